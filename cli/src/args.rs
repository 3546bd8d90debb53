//! The arguments, as `clap` reads them. The comments here are the text of `--help`.

use std::num::{NonZeroU16, NonZeroU64};
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Learn, test and compare Raft: the scenarios of the MIT 6.5840 lab, simulated or on threads.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run scenarios and print what they cost
    Run(RunArgs),

    /// Tell whether recorded histories are linearizable
    ///
    /// Exit status: 0 if all are, 1 if some are not, 2 if a file cannot be read or a history is too hard to decide.
    Check(CheckArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Parts (3A), scenarios (backup_3B) or pieces of their names; none: everything
    pub(crate) filters: Vec<String>,

    /// The clock to run under
    #[arg(long, value_enum, default_value_t = ClockName::Simulated)]
    pub(crate) clock: ClockName,

    /// The first seed; on threads the default is another one every time
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,

    /// How many runs of each scenario, each with the next seed
    #[arg(short = 'n', long = "runs", value_name = "RUNS", default_value_t = NonZeroU64::MIN)]
    pub(crate) runs: NonZeroU64,

    /// How many runs at once [default: one a processor; on threads as many as there are]
    #[arg(short, long)]
    pub(crate) jobs: Option<NonZeroU16>,

    /// Print scenario, seed and hash of each run, and nothing else
    #[arg(long)]
    pub(crate) hashes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClockName {
    /// Virtual time: every run takes milliseconds and can be replayed
    Simulated,
    /// Real time and OS threads
    Threads,
}

impl From<ClockName> for tester::Clock {
    fn from(name: ClockName) -> tester::Clock {
        match name {
            ClockName::Simulated => tester::Clock::Simulated,
            ClockName::Threads => tester::Clock::Threads,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// What the files are
    #[arg(long, value_enum)]
    pub(crate) format: Format,

    /// How many steps of the search to spend on a file
    #[arg(long, value_name = "STEPS", default_value_t = linearizability::kv::BUDGET)]
    pub(crate) steps: u64,

    /// Write a page that shows the history and its linearizations, for each file, to this folder
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, require_equals = true, default_missing_value = "target/lab")]
    pub(crate) picture: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Logs of Jepsen runs against a register that can be read, written, and compared and set
    Jepsen,
    /// Histories of a key/value service: one EDN map a line, with get, put and append
    Kv,
}
