//! The command-line arguments, parsed by `clap`. The doc comments of this file are the text of `--help`.

use std::num::{NonZeroU8, NonZeroU16, NonZeroU64};
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use record::Topic;

use crate::moment::Moment;
use crate::server_filter::ServerFilter;

/// Learn, test and compare Raft: the scenarios of the MIT 6.5840 lab, simulated or on threads.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands of the lab.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run scenarios and print their cost
    ///
    /// A command with many runs (-n, --until-fail) saves its results to target/lab as run.json, run-2.json and so on;
    /// `replay` repeats the failed runs of such a file. Exit status: 0 if all runs passed, 1 if a run did not pass, 130
    /// after Ctrl-C.
    Run(RunArgs),

    /// Check whether recorded histories are linearizable
    ///
    /// Exit status: 0 if all are linearizable, 1 if some are not, 2 if a file cannot be read or a history is too hard
    /// to decide.
    Check(CheckArgs),

    /// Print the record of a run as text
    ///
    /// A line has the time in tenths of a millisecond, the topic, the server (-- for the tester, the network and the
    /// clients) and the event. The topics, each with its letters in a line, are: rpc RPCS, drop DROP, vote VOTE, term
    /// TERM, lead LEAD, log LOG1 (also: append), commit CMIT, apply APLY, snapshot SNAP, persist PERS, fault FALT, test
    /// TEST, check CHEK, client CLNT, note NOTE, line INFO, failure ERRO.
    Log(LogArgs),

    /// Run failed runs again
    ///
    /// For the record of a simulated run, replay also compares the two runs event by event. Runs on threads cannot be
    /// replayed exactly; they run again with the same seed. Exit status: 0 if all runs pass now, 1 if a run fails
    /// again.
    Replay(ReplayArgs),

    /// Search for the shortest run that fails in the same way: fewer faults, an earlier failure
    ///
    /// Exit status: 1 if a failing run was found and its files were written, 0 if no tried run fails.
    Shrink(ShrinkArgs),

    /// Run the scenarios of a Go lab's output, and print both results side by side
    ///
    /// The table has medians of several runs, with ratios. A ratio above 1 means that our run takes more.
    Compare(CompareArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Parts (3A), scenarios (backup_3B) or pieces of scenario names; default: everything
    pub(crate) filters: Vec<String>,

    /// Clock of the runs
    #[arg(long, value_enum, default_value_t = ClockName::Simulated)]
    pub(crate) clock: ClockName,

    /// First seed; on threads the default is a fresh seed for each run
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,

    /// Number of runs of each scenario; each run takes the next seed
    #[arg(short = 'n', long = "runs", value_name = "RUNS", default_value_t = NonZeroU64::MIN)]
    pub(crate) runs: NonZeroU64,

    /// Number of concurrent runs [default: one per processor; on threads as many as there are]
    #[arg(short, long)]
    pub(crate) jobs: Option<NonZeroU16>,

    /// Start no further run after a run that did not pass
    #[arg(long)]
    pub(crate) fail_fast: bool,

    /// Run all scenarios with one seed after the other until a run does not pass
    #[arg(long, conflicts_with = "runs")]
    pub(crate) until_fail: bool,

    /// Run each seed twice, and report the first difference between the two runs (simulated only)
    #[arg(long)]
    pub(crate) twice: bool,

    /// End all faults of each run at this time: seconds (1.25 or 1.25s) or milliseconds (250ms) (simulated only)
    #[arg(long, value_name = "TIME")]
    pub(crate) calm_from: Option<Moment>,

    /// Progress display; auto: bars in a terminal, else lines if there are many runs
    #[arg(long, value_name = "MODE", value_enum, default_value_t = ProgressMode::Auto)]
    pub(crate) progress: ProgressMode,

    /// Print only the scenario, seed and hash of each run
    #[arg(long)]
    pub(crate) hashes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    Auto,
    Bar,
    Lines,
    None,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// Record of one run, or saved results of many runs; only their failed runs run again
    pub(crate) file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShrinkArgs {
    /// Record of the failed run, or name of its scenario
    pub(crate) run: PathBuf,

    /// Seed of the failed run, if its scenario is given by name
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,

    /// Number of runs to try: neighbouring seeds, and the same runs with fewer faults
    #[arg(long, value_name = "RUNS", default_value_t = NonZeroU64::new(1000).expect("not zero"))]
    pub(crate) tries: NonZeroU64,

    /// Number of concurrent runs; it does not change the result [default: one per processor]
    #[arg(short, long)]
    pub(crate) jobs: Option<NonZeroU16>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// Output of `go test -v` of the 2024 or 2025 edition; - reads standard input
    pub(crate) file: PathBuf,

    /// Number of runs of each scenario; the table shows their medians
    #[arg(short = 'n', long, value_name = "RUNS", default_value_t = NonZeroU64::MIN)]
    pub(crate) runs: NonZeroU64,

    /// Clock of our runs
    #[arg(long, value_enum, default_value_t = ClockName::Threads)]
    pub(crate) clock: ClockName,

    /// Number of concurrent runs [default: one per processor; on threads as many as there are]
    #[arg(short, long)]
    pub(crate) jobs: Option<NonZeroU16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClockName {
    /// Virtual time: a run takes milliseconds and can be replayed
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
    /// History files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Format of the files
    #[arg(long, value_enum)]
    pub(crate) format: Format,

    /// Search budget for each file, in steps
    #[arg(long, value_name = "STEPS", default_value_t = linearizability::kv::BUDGET)]
    pub(crate) steps: u64,

    /// Write a timeline of each history and its linearizations to this folder
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, require_equals = true, default_missing_value = "target/lab")]
    pub(crate) timeline: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Logs of Jepsen runs against a register with read, write, and compare-and-set
    Jepsen,
    /// Histories of a key/value service: one EDN map per line, with get, put and append
    Kv,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Record of a run; - reads standard input
    pub(crate) file: PathBuf,

    /// Print only events of these topics, such as vote,append
    #[arg(long, value_delimiter = ',')]
    pub(crate) topics: Vec<Topic>,

    /// Leave out events of these topics
    #[arg(long, value_name = "TOPICS", value_delimiter = ',')]
    pub(crate) ignore: Vec<Topic>,

    /// Print only events of these servers, such as 0,2 or 0,tester, and global events: the run, faults, failures
    #[arg(long, value_delimiter = ',')]
    pub(crate) servers: Vec<ServerFilter>,

    /// Print only events from this time on: seconds (1.25 or 1.25s) or milliseconds (250ms)
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<Moment>,

    /// Print only events up to this time
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<Moment>,

    /// Print one column per server, or for the first N servers, and one for all others
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true)]
    pub(crate) columns: Option<Option<NonZeroU8>>,

    /// Total width of all columns, in characters [default: the terminal's width, or 120]
    #[arg(long, value_name = "CHARACTERS", requires = "columns")]
    pub(crate) width: Option<NonZeroU16>,

    /// Colour of each topic; auto: only in a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorMode::Auto)]
    pub(crate) color: ColorMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorMode {
    Auto,
    Always,
    Never,
}
