//! The arguments, as `clap` reads them. The comments here are the text of `--help`.

use std::num::{NonZeroU8, NonZeroU16, NonZeroU64};
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use record::Topic;

use crate::log::{Moment, Place};

/// Learn, test and compare Raft: the scenarios of the MIT 6.5840 lab, simulated or on threads.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Args<M: Subcommand> {
    #[command(subcommand)]
    pub(crate) command: Command<M>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command<M: Subcommand> {
    #[command(flatten)]
    Lab(LabCommand),
    #[command(flatten)]
    More(M),
}

/// What can be done with the lab.
#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Run scenarios and print what they cost
    ///
    /// What came of many runs (-n, --until-fail) is saved to target/lab as run.json, run-2.json and so on, and what did not pass
    /// is run again by `replay`. Exit status: 0 if all passed, 1 if a run did not, 130 after Ctrl-C.
    Run(RunArgs),

    /// Tell whether recorded histories are linearizable
    ///
    /// Exit status: 0 if all are, 1 if some are not, 2 if a file cannot be read or a history is too hard to decide.
    Check(CheckArgs),

    /// Print the record of a run as text
    ///
    /// A line has the time in tenths of a millisecond, the topic, the server (-- for the tester, the network and the
    /// clients) and what happened. Topics, with the letters that stand for them in a line: rpc RPCS, drop DROP, vote VOTE,
    /// term TERM, lead LEAD, log LOG1 (also: append), commit CMIT, apply APLY, snapshot SNAP, persist PERS, fault FALT, test
    /// TEST, check CHEK, client CLNT, note NOTE, line INFO, failure ERRO.
    Log(LogArgs),

    /// Run again what did not pass
    ///
    /// Of the record of a simulated run it also says whether this is the same run, event by event. Runs on threads cannot be
    /// replayed exactly: those run again with the same seed. Exit status: 0 if all passes now, 1 if something fails again.
    Replay(ReplayArgs),

    /// Look for the shortest run that fails in the same way: fewer faults, an earlier end
    ///
    /// Exit status: 1 if a run that fails was found, and its files were written; 0 if none of those that were tried fails.
    Shrink(ShrinkArgs),

    /// Run the scenarios of a Go lab's output, and print both side by side
    ///
    /// Medians of several runs, with ratios: above 1 where ours takes more.
    Compare(CompareArgs),
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

    /// Start no further run once one has not passed
    #[arg(long)]
    pub(crate) fail_fast: bool,

    /// Run seed after seed, all scenarios with each, until a run does not pass
    #[arg(long, conflicts_with = "runs")]
    pub(crate) until_fail: bool,

    /// Run each seed twice, and report where the second run differs from the first (simulated only)
    #[arg(long)]
    pub(crate) twice: bool,

    /// From this moment of each run on nothing goes wrong any more: seconds, such as 1.25 or 1.25s, or 250ms (simulated only)
    #[arg(long, value_name = "TIME")]
    pub(crate) calm_from: Option<Moment>,

    /// How to show how far it is; auto: a bar in a terminal, else lines, if there are many runs
    #[arg(long, value_name = "HOW", value_enum, default_value_t = ProgressName::Auto)]
    pub(crate) progress: ProgressName,

    /// Print scenario, seed and hash of each run, and nothing else
    #[arg(long)]
    pub(crate) hashes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressName {
    Auto,
    Bar,
    Lines,
    None,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// The record of a run, or the saved results of many, of which those are run again that did not pass
    pub(crate) file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShrinkArgs {
    /// The record of the run that failed, or the name of its scenario
    pub(crate) run: PathBuf,

    /// The seed of the run that failed, if its scenario is given
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,

    /// How many runs to try, neighbouring seeds and the same runs with fewer faults
    #[arg(long, value_name = "RUNS", default_value_t = NonZeroU64::new(1000).expect("not zero"))]
    pub(crate) tries: NonZeroU64,

    /// How many runs at once; the result does not depend on it [default: one a processor]
    #[arg(short, long)]
    pub(crate) jobs: Option<NonZeroU16>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// The output of `go test -v` of the 2024 or 2025 edition; - is the standard input
    pub(crate) file: PathBuf,

    /// How many runs of each scenario to take medians of
    #[arg(short = 'n', long, value_name = "RUNS", default_value_t = NonZeroU64::MIN)]
    pub(crate) runs: NonZeroU64,

    /// The clock to run under
    #[arg(long, value_enum, default_value_t = ClockName::Threads)]
    pub(crate) clock: ClockName,

    /// How many runs at once [default: one a processor; on threads as many as there are]
    #[arg(short, long)]
    pub(crate) jobs: Option<NonZeroU16>,
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

#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// The record; - is the standard input
    pub(crate) file: PathBuf,

    /// Only events of these topics, such as vote,append
    #[arg(long, value_delimiter = ',')]
    pub(crate) topics: Vec<Topic>,

    /// No events of these topics
    #[arg(long, value_name = "TOPICS", value_delimiter = ',')]
    pub(crate) ignore: Vec<Topic>,

    /// Only events of these servers, such as 0,2 or 0,tester, and what concerns all: the run, faults, failures
    #[arg(long, value_delimiter = ',')]
    pub(crate) servers: Vec<Place>,

    /// Only what happens from then on: seconds, such as 1.25 or 1.25s, or 250ms
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<Moment>,

    /// Only what happens until then
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<Moment>,

    /// A column for each server, or for the first N, and one for all others
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true)]
    pub(crate) columns: Option<Option<NonZeroU8>>,

    /// How wide all columns are together, in characters [default: the terminal's width, or 120]
    #[arg(long, value_name = "CHARACTERS", requires = "columns")]
    pub(crate) width: Option<NonZeroU16>,

    /// Whether each topic has its colour; auto: in a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorName::Auto)]
    pub(crate) color: ColorName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorName {
    Auto,
    Always,
    Never,
}
