//! The reference Raft under every scenario of the lab, in the simulation and on threads: `cargo test -- 3A`.

tester::raft_tests!(raft::Raft, package = PACKAGE);

/// The package with the flags of cargo that select its features, for the printed replay commands.
const PACKAGE: &str = if cfg!(feature = "fast") { "raftlab" } else { "raftlab --no-default-features" };
