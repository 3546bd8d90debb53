//! The lab's command line for your code: `cargo run --release -p starter -- run 3A`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main::<starter::Raft, starter::KvServer>(env!("CARGO_PKG_NAME"))
}
