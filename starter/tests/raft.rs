//! Runs your Raft in every scenario of parts 3A to 3D: `cargo test -p starter -- 3A`.

tester::raft_tests!(starter::Raft);
