//! The command line of the lab, over the reference Raft.

fn main() {}
