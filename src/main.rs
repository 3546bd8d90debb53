//! The command line of the lab over the reference Raft and key/value service: `cargo run --release -- run 3A`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let package = if cfg!(feature = "fast") { "raftlab" } else { "raftlab --no-default-features" };
    cli::main::<raft::Raft, kvraft::KvServer<raft::Raft>>(package)
}
