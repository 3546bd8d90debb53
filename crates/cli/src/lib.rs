//! The command line of the lab, for any [`Raft`] and any [`KvService`]. A package that has both needs a `main` of one
//! line.
//!
//! ```ignore
//! fn main() -> std::process::ExitCode {
//!     cli::main::<raft::Raft, kvraft::KvServer<raft::Raft>>(env!("CARGO_PKG_NAME"))
//! }
//! ```
//!
//! Exit status: 0 for success, 1 if a run failed or a history is not linearizable, 130 after Ctrl-C. Status 2 means
//! that the command cannot be executed; one line on standard error then says what was wrong and what to do.

mod args;
mod batch;
mod check;
mod compare;
mod log;
mod moment;
mod page;
mod plan;
mod progress;
mod replay;
mod results;
mod resume;
mod run;
mod select;
mod series;
mod server_filter;
mod shrink;
mod summary;
#[cfg(test)]
mod test_scenarios;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use raftapi::{KvService, Raft};
use tester::{KvSubject, Scenario, Subject};

use crate::args::{Args, Command};
use crate::check::CheckOutcome;

/// The reason why a command could not be executed.
#[derive(Debug)]
enum Error {
    /// A mistake of the user, in one line.
    Usage(String),
    /// The output could not be written.
    Output(io::Error),
}

/// Parses the arguments of the process and executes the command, with `R` as the Raft and `K` as the key/value service
/// under test. `package` is the name of the calling package, with the flags of cargo that select its
/// features, if there are any; the printed replay commands use it.
pub fn main<R: Raft, K: KvService>(package: &'static str) -> ExitCode {
    ExitCode::from(run_with_args::<R, K>(package, std::env::args_os()))
}

/// As [`main`], with the given arguments, of which the first is the program's name. Returns the exit status.
pub fn run_with_args<R: Raft, K: KvService>(
    package: &'static str,
    arguments: impl IntoIterator<Item = OsString>,
) -> u8 {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => return print_help_or_error(&error),
    };
    let mut scenarios = tester::raft_scenarios(&Subject::of::<R>());
    scenarios.extend(tester::kv_scenarios(&KvSubject::of::<K>()));
    match execute(args.command, scenarios, package) {
        Ok(status) => status,
        // The reader closed the output because it has read enough.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(Error::Output(error)) => print_error(&format!("cannot write the output: {error}")),
        Err(Error::Usage(message)) => print_error(&message),
    }
}

/// Executes a command of the lab. Returns the exit status.
fn execute(command: Command, scenarios: Vec<Scenario>, package: &'static str) -> Result<u8, Error> {
    record::live::init_from_env().map_err(Error::Usage)?;
    labstd::check_environment().map_err(Error::Usage)?;
    record::install_logger();
    match command {
        Command::Run(run) => {
            let all_passed = run::run(&run, scenarios, package, &mut io::stdout().lock())?;
            Ok(if all_passed { 0 } else { 1 })
        }
        Command::Check(check) => Ok(match check::check(&check, &mut io::stdout().lock())? {
            CheckOutcome::AllOk => 0,
            CheckOutcome::SomeIllegal => 1,
            CheckOutcome::SomeUnknown => 2,
        }),
        Command::Log(log) => log::log(&log).map(|()| 0),
        Command::Replay(replay) => {
            let all_passed = replay::replay(&replay, scenarios, package, &mut io::stdout().lock())?;
            Ok(if all_passed { 0 } else { 1 })
        }
        Command::Shrink(shrink) => {
            let found = shrink::shrink(&shrink, scenarios, package, &mut io::stdout().lock())?;
            Ok(if found { 1 } else { 0 })
        }
        Command::Compare(compare) => {
            let all_passed = compare::compare(&compare, scenarios, package, &mut io::stdout().lock())?;
            Ok(if all_passed { 0 } else { 1 })
        }
    }
}

/// Prints the help if the user asked for it, otherwise clap's error in one line. Returns the exit status.
fn print_help_or_error(error: &clap::Error) -> u8 {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that closes the output has read enough.
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
    // clap lists each missing argument on a line of its own.
    let message: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let message = message.join(" ");
    print_error(&format!("{}; see --help", message.trim_start_matches("error: ")))
}

fn print_error(message: &str) -> u8 {
    eprintln!("error: {message}");
    2
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Output(error)
    }
}
