//! The replicated key/value store as a command: `cargo run --release -p kvnode -- cluster 3`.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use kvnode::Command;

/// A replicated key/value store: servers that may be killed at any time, and the commands that use them.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let result = match Args::try_parse() {
        Ok(args) => args.command.execute(),
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand || !error.use_stderr() => {
            // A reader that closes the output has read enough.
            let _ = error.print();
            Ok(if error.use_stderr() { 2 } else { 0 })
        }
        Err(error) => Err(in_one_line(&error.render().to_string())),
    };
    ExitCode::from(result.unwrap_or_else(|message| {
        eprintln!("error: {message}");
        2
    }))
}

/// Returns clap's error in one line. clap puts each missing argument on a line of its own.
fn in_one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    format!("{}; see --help", lines.join(" ").trim_start_matches("error: "))
}
