//! The reference key/value service over the reference Raft, under every scenario of parts 4A and 4B: `cargo test --
//! 4A`.

tester::kv_tests!(kvraft::KvServer<raft::Raft>, package = PACKAGE);

/// The package with the flags of cargo that select its features, for the printed replay commands.
const PACKAGE: &str = if cfg!(feature = "fast") { "raftlab" } else { "raftlab --no-default-features" };
