//! The reference key/value service over the reference Raft, under every scenario of parts 4A and 4B: `cargo test --
//! 4A`.

tester::kv_tests!(kvraft::KvServer<raft::Raft>);
