//! The command line. It runs the lab over the reference Raft and key/value service (`cargo run --release -- run 3A`),
//! and the same Raft as real processes (`cargo run --release -- cluster 3`).

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main_with_commands::<raft::Raft, kvraft::KvServer<raft::Raft>, kvnode::Command>(
        env!("CARGO_PKG_NAME"),
        kvnode::Command::execute,
    )
}
