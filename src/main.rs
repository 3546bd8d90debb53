//! The command line of the lab over the reference Raft and key/value service: `cargo run --release -- run 3A`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main::<raft::Raft, kvraft::KvServer<raft::Raft>>(env!("CARGO_PKG_NAME"))
}
