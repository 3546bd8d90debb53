//! The reference Raft under every scenario of the lab, in the simulation and on threads: `cargo test -- 3A`.

tester::raft_tests!(raft::Raft);
