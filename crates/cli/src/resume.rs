//! A batch that goes on in a new process, because a stack overflow ended the process of the runs before.
//!
//! The old process replaces itself by a new one with the same arguments. An environment variable tells the new process
//! which runs need not be made again.

use std::process::Command;

use labstd::StackOverflow;
use labstd::time::Duration;
use record::{Options, Recorder};
use serde::{Deserialize, Serialize};
use tester::{Clock, Report, RunFailure, ScenarioInfo, Verdict};

use crate::Error;

/// The environment variable with a [`Resume`], as JSON.
const VARIABLE: &str = "LAB_RESUME";

/// The part of a batch that earlier processes have made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resume {
    /// The number of the first run in the plan that was not reported. All runs before it were reported.
    pub(crate) next: usize,
    /// Number of reported runs, without those that overflowed a stack.
    pub(crate) runs: usize,
    /// Number of passed runs.
    pub(crate) passed: usize,
    /// Scenario and seed of each run that overflowed a stack, with the description of the overflow.
    pub(crate) overflows: Vec<Overflow>,
}

/// A run that overflowed a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Overflow {
    pub(crate) scenario: String,
    pub(crate) seed: u64,
    thread: String,
    stack_bytes: usize,
}

impl From<&StackOverflow> for Overflow {
    fn from(overflow: &StackOverflow) -> Overflow {
        let StackOverflow { thread, run, seed, stack_bytes } = overflow.clone();
        Overflow { scenario: run, seed, thread, stack_bytes }
    }
}

impl Overflow {
    /// The report on the run: it failed.
    pub(crate) fn report(&self, info: &ScenarioInfo) -> Report {
        let text = format!(
            "thread '{}' overflowed its stack of {} KiB: a recursion without end, or a very large local variable",
            self.thread,
            self.stack_bytes / 1024
        );
        let diagnosis = diagnosis::Diagnosis::default();
        let failure = RunFailure { text, at: Duration::ZERO, unwritten: false, foreign_thread: false, diagnosis };
        Report {
            info: info.clone(),
            clock: Clock::Simulated,
            seed: self.seed,
            fault_cutoff: None,
            verdict: Verdict::Failed(failure),
            finished_stages: Vec::new(),
            active_stage: None,
            gave_up: None,
            stats: labstd::Stats::default(),
            divergence: None,
            record: Recorder::new(Options::off()),
        }
    }
}

impl Resume {
    /// Returns the results of earlier processes; none if this process is the first.
    ///
    /// # Errors
    ///
    /// If the environment variable has another value than an earlier process gives it.
    pub(crate) fn from_env() -> Result<Resume, Error> {
        let Ok(text) = std::env::var(VARIABLE) else { return Ok(Resume::default()) };
        serde_json::from_str(&text).map_err(|_| Error::Usage(format!("{VARIABLE} is set by the lab itself; unset it")))
    }

    /// Whether an earlier process has made the run.
    pub(crate) fn has_made(&self, number: usize, scenario: &str, seed: u64) -> bool {
        let overflowed = |overflow: &Overflow| overflow.scenario == scenario && overflow.seed == seed;
        number < self.next || self.overflows.iter().any(overflowed)
    }

    /// Replaces this process by a new one that makes the remaining runs. Returns only if that fails.
    pub(crate) fn go_on(&self) -> std::io::Error {
        let program = match std::env::current_exe() {
            Ok(program) => program,
            Err(error) => return error,
        };
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1)).env(VARIABLE, self.to_text());
        replace_process(command)
    }

    fn to_text(&self) -> String {
        serde_json::to_string(self).expect("numbers and strings")
    }

    /// The line about the runs of earlier processes; empty if there were none.
    pub(crate) fn line(&self) -> String {
        let Resume { runs, passed, .. } = self;
        if self.overflows.is_empty() {
            return String::new();
        }
        format!(
            "before a stack overflow ended an earlier process: {runs} runs: {passed} passed, {} failed\n",
            runs - passed
        )
    }
}

#[cfg(unix)]
fn replace_process(mut command: Command) -> std::io::Error {
    std::os::unix::process::CommandExt::exec(&mut command)
}

#[cfg(not(unix))]
fn replace_process(mut command: Command) -> std::io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_process_reads_what_the_last_one_wrote() {
        let overflow =
            |seed| Overflow { scenario: "backup_3B".into(), seed, thread: "S1/ticker".into(), stack_bytes: 2 << 20 };
        let resume = Resume { next: 7, runs: 6, passed: 5, overflows: vec![overflow(3), overflow(9)] };
        assert_eq!(serde_json::from_str::<Resume>(&resume.to_text()).expect("JSON"), resume);
        assert!(resume.has_made(6, "backup_3B", 7) && resume.has_made(8, "backup_3B", 9));
        assert!(!resume.has_made(7, "backup_3B", 8) && !resume.has_made(8, "rejoin_3B", 9));
        assert!(serde_json::from_str::<Resume>("7").is_err());
    }
}
