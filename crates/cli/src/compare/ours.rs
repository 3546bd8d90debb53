//! Our runs of the scenarios of a Go output.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tester::artifacts::interrupt;
use tester::harness::Recording;
use tester::{Clock, Report, Scenario, Stage, Verdict, harness};

use super::cost::{Cost, medians};
use crate::{Error, batch};

/// Number of failed runs of each scenario that leave their files.
const KEPT_MAX: usize = 2;

/// The runs of one scenario.
#[derive(Debug, Default)]
pub(super) struct OurRuns {
    pub(super) runs: usize,
    pub(super) passed: Vec<Vec<Stage>>,
    pub(super) not_passed: Vec<NotPassed>,
}

/// A run that did not pass.
#[derive(Clone, Debug)]
pub(super) struct NotPassed {
    /// The verdict in one word.
    pub(super) word: &'static str,
    pub(super) seed: u64,
    /// The failure in one line.
    pub(super) text: String,
    /// The paths of its files, and the command that runs it again.
    pub(super) closing: String,
}

impl OurRuns {
    /// Returns the median cost of the stage with this title, if all runs passed. `only` says that the scenario has one
    /// stage, which may have any title.
    pub(super) fn cost(&self, title: &str, only: bool) -> Option<Cost> {
        let of = |stages: &Vec<Stage>| {
            let stage = stages.iter().find(|stage| stage.title == title || only)?;
            Some(Cost::from(stage.metrics))
        };
        let costs: Vec<Cost> = self.passed.iter().filter_map(of).collect();
        medians(&costs).filter(|_| self.not_passed.is_empty())
    }
}

/// Runs each of `scenarios` `runs` times, and prints its progress to standard error.
pub(super) fn run(
    scenarios: &[&Scenario],
    clock: Clock,
    runs: usize,
    jobs: usize,
    package: &str,
) -> Result<Vec<OurRuns>, Error> {
    let count = scenarios.len().checked_mul(runs);
    let count = count.ok_or_else(|| Error::Usage(format!("{runs} runs are too many")))?;
    let progress = Progress::new(count);
    let kept: Vec<AtomicUsize> = scenarios.iter().map(|_| AtomicUsize::new(0)).collect();
    let recording = if runs == 1 { Recording::All } else { Recording::OnlyFailures };
    let work = |number: usize| {
        let (index, run) = (number / runs, number % runs);
        let seed = match clock {
            Clock::Simulated => 1 + run as u64,
            Clock::Threads => labstd::rng::fresh_seed(),
        };
        let ended = harness::run_undisturbed(scenarios[index], clock, seed, recording, harness::print);
        let may_keep = !ended.report().passed() && kept[index].fetch_add(1, Relaxed) < KEPT_MAX;
        ended.finish(may_keep, |report, kept| {
            progress.report(&report);
            let closing =
                if report.passed() { String::new() } else { harness::failure_footer(&report, &kept, package) };
            outcome(report, closing)
        })
    };
    interrupt::install();
    let mut all: Vec<OurRuns> = scenarios.iter().map(|_| OurRuns::default()).collect();
    batch::in_order(count, jobs, work, |number, outcome| {
        let ours = &mut all[number / runs];
        ours.runs += 1;
        match outcome {
            Ok(stages) => ours.passed.push(stages),
            Err(not_passed) => ours.not_passed.push(not_passed),
        }
        Ok::<(), Error>(())
    })?;
    Ok(all)
}

fn outcome(report: Report, closing: String) -> Result<Vec<Stage>, NotPassed> {
    let text = report.run_failure().and_then(|broken| broken.text.lines().next()).unwrap_or("").to_string();
    let word = match report.verdict {
        Verdict::Passed(stages) => return Ok(stages),
        Verdict::Failed(_) => "FAILED",
        Verdict::Disturbed(_) => "disturbed",
        Verdict::Aborted(_) => "aborted",
        Verdict::Undecided(_) => "undecided",
    };
    Err(NotPassed { word, seed: report.seed, text, closing })
}

/// A progress line about the last completed run, printed at intervals.
struct Progress {
    count: usize,
    pause: Duration,
    state: Mutex<(usize, Instant)>,
}

impl Progress {
    fn new(count: usize) -> Progress {
        let pause = if std::io::stderr().is_terminal() { Duration::from_millis(100) } else { Duration::from_secs(5) };
        Progress { count, pause, state: Mutex::new((0, Instant::now())) }
    }

    fn report(&self, report: &Report) {
        let Ok(mut state) = self.state.lock() else { return };
        state.0 += 1;
        if state.1.elapsed() < self.pause && (state.0 < self.count || self.pause > Duration::from_secs(1)) {
            return;
        }
        state.1 = Instant::now();
        let how = if report.passed() { "passed" } else { "did not pass" };
        harness::print(&format!("{} of {} runs: {} {how}\n", state.0, self.count, report.info.name));
    }
}
