//! The command line of the lab, for any [`Raft`] and any [`KvService`]: a package that has them needs a `main` of one line.
//!
//! ```ignore
//! fn main() -> std::process::ExitCode {
//!     cli::main::<raft::Raft, kvraft::KvServer<raft::Raft>>(env!("CARGO_PKG_NAME"))
//! }
//! ```
//!
//! Exit status: 0 if all went well, 1 if a run failed or a history is not linearizable, 2 if what was asked for cannot be
//! done; then one line on standard error says what was wrong and what to do. 130 after Ctrl-C.

mod args;
mod batch;
mod check;
mod compare;
mod log;
mod page;
mod plan;
mod progress;
mod replay;
mod results;
mod run;
mod select;
mod series;
mod shrink;
#[cfg(test)]
mod stories;
mod summary;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use raftapi::{KvService, Raft};
use tester::{KvSubject, Scenario, Subject};

use crate::args::{Args, Command, LabCommand};
use crate::check::Outcome;

/// Why a command could not be carried out.
#[derive(Debug)]
enum Error {
    /// The user's mistake, in one line.
    Usage(String),
    /// The output could not be written.
    Output(io::Error),
}

/// No further commands.
#[derive(Debug, Subcommand)]
enum NoMore {}

/// Reads the arguments of the process and does what they say, with `R` as the Raft and `K` as the key/value service under
/// test. `package` is the name of the calling package, for the commands that replay a failure.
pub fn main<R: Raft, K: KvService>(package: &'static str) -> ExitCode {
    ExitCode::from(with::<R, K>(package, std::env::args_os()))
}

/// As [`main`], with these arguments, the first of which is the name of the program. Returns the exit status.
pub fn with<R: Raft, K: KvService>(package: &'static str, arguments: impl IntoIterator<Item = OsString>) -> u8 {
    read_and_do::<R, K, NoMore>(package, arguments, |none| match none {})
}

/// As [`main`], with the calling package's own commands `M` beside those of the lab. `execute` does what one of them says and
/// returns the exit status, or one line that says what the user has done wrong and what to do.
pub fn main_and<R: Raft, K: KvService, M: Subcommand>(
    package: &'static str,
    execute: fn(M) -> Result<u8, String>,
) -> ExitCode {
    ExitCode::from(read_and_do::<R, K, M>(package, std::env::args_os(), execute))
}

fn read_and_do<R: Raft, K: KvService, M: Subcommand>(
    package: &'static str,
    arguments: impl IntoIterator<Item = OsString>,
    execute_more: fn(M) -> Result<u8, String>,
) -> u8 {
    let args = match Args::<M>::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => return refuse_or_help(&error),
    };
    let mut scenarios = tester::raft_scenarios(&Subject::<R>::new());
    scenarios.extend(tester::kv_scenarios(&KvSubject::<K>::new()));
    let outcome = match args.command {
        Command::Lab(command) => execute(command, scenarios, package),
        Command::More(command) => execute_more(command).map_err(Error::Usage),
    };
    match outcome {
        Ok(status) => status,
        // Whoever reads the output has seen enough.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(Error::Output(error)) => refuse(&format!("cannot write the output: {error}")),
        Err(Error::Usage(message)) => refuse(&message),
    }
}

/// Does it. Returns the exit status.
fn execute(command: LabCommand, scenarios: Vec<Scenario>, package: &'static str) -> Result<u8, Error> {
    record::live::init_from_env().map_err(Error::Usage)?;
    record::install_logger();
    match command {
        LabCommand::Run(run) => {
            let all_passed = run::run(&run, scenarios, package, &mut io::stdout().lock())?;
            Ok(if all_passed { 0 } else { 1 })
        }
        LabCommand::Check(check) => Ok(match check::check(&check, &mut io::stdout().lock())? {
            Outcome::AllOk => 0,
            Outcome::SomeIllegal => 1,
            Outcome::SomeUnknown => 2,
        }),
        LabCommand::Log(log) => log::log(&log).map(|()| 0),
        LabCommand::Replay(replay) => {
            let all_passed = replay::replay(&replay, scenarios, package, &mut io::stdout().lock())?;
            Ok(if all_passed { 0 } else { 1 })
        }
        LabCommand::Shrink(shrink) => {
            let found = shrink::shrink(&shrink, scenarios, package, &mut io::stdout().lock())?;
            Ok(if found { 1 } else { 0 })
        }
        LabCommand::Compare(compare) => {
            let all_passed = compare::compare(&compare, scenarios, package, &mut io::stdout().lock())?;
            Ok(if all_passed { 0 } else { 1 })
        }
    }
}

/// The help if it was asked for; else clap's complaint in one line.
fn refuse_or_help(error: &clap::Error) -> u8 {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Whoever closes the output has read enough of it.
            let _ = error.print();
            return 0;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return 2;
        }
        _ => {}
    }
    let text = error.render().to_string();
    // A list of what is missing has a line for each.
    let complaint: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let complaint = complaint.join(" ");
    refuse(&format!("{}; --help lists what there is", complaint.trim_start_matches("error: ")))
}

fn refuse(message: &str) -> u8 {
    eprintln!("error: {message}");
    2
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Output(error)
    }
}
