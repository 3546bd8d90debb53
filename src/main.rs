//! The command line of the lab, over the reference Raft: `cargo run --release -- run 3A`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main::<raft::Raft>(env!("CARGO_PKG_NAME"))
}
