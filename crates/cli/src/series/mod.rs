//! Execution of a plan: makes the runs, several at a time, counts their results, and writes the output.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tester::artifacts::Artifacts;
use tester::artifacts::interrupt::{self, InterruptGuard, InterruptHook};
use tester::harness::{self, FinishedRun, Recording};
use tester::{Clock, Report};

use crate::plan::Plan;
use crate::progress::Progress;
use crate::results::{EndReason, ResultsFile};
use crate::summary::{self, LISTED_MAX, Tally};
use crate::{Error, batch};

/// The options of a batch.
#[derive(Debug)]
pub(crate) struct Series<'a> {
    pub(crate) plan: &'a Plan,
    /// The calling package.
    pub(crate) package: &'a str,
    /// Start no run after a run that did not pass.
    pub(crate) fail_fast: bool,
    /// Run every seed twice. Without it, only failed runs whose files are kept run twice.
    pub(crate) twice: bool,
    /// Write only scenario, seed and hash of each run.
    pub(crate) hashes: bool,
    pub(crate) progress: Progress,
    /// The file for the results, if they are saved.
    pub(crate) results: Option<ResultsFile>,
}

/// The results of all reported runs.
struct BatchState {
    package: String,
    tallies: Vec<Tally>,
    /// The scenarios whose totals are saved, by scenario index.
    saved: Vec<bool>,
    /// Whether the last line of the results file is written.
    ended: bool,
    results: Option<ResultsFile>,
}

/// The output lines of a reported run.
struct RunLines(String);

/// A result on its way through the batch.
enum ArrivedRun {
    /// A simulated run. It is reported in plan order, so that the output is the same each time.
    Ended(Box<FinishedRun>),
    /// A run on threads, which was reported when it ended.
    Reported(RunLines),
    /// A run that did not start.
    Skipped,
}

impl Series<'_> {
    /// Makes the runs, and writes their lines and the summary to `out`. Returns whether all runs passed.
    pub(crate) fn run(self, out: &mut impl Write) -> Result<bool, Error> {
        let Series { plan, package, fail_fast, twice, hashes, progress, results } = self;
        let count = plan.scenarios.len();
        let state = Arc::new(Mutex::new(BatchState {
            package: package.to_string(),
            tallies: plan.scenarios.iter().map(|scenario| Tally::new(&scenario.info)).collect(),
            saved: vec![false; count],
            ended: false,
            results,
        }));
        interrupt::install();
        let waiting = InterruptGuard::new(FinishOnInterrupt { state: Arc::clone(&state), progress: progress.clone() });

        let (begun, stop) = (Instant::now(), AtomicBool::new(false));
        // Number of repeated failures, by scenario index.
        let rerun_counts: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        // The hash of a run is a hash of its record, and two runs are compared by their records.
        let recorded = hashes || twice || plan.prints_each_run();
        let recording = if recorded { Recording::All } else { Recording::OnlyFailures };
        let work = |number: usize| {
            let (index, seed) = plan.run(number);
            let wanted = || {
                let wanted = !stop.load(SeqCst);
                if wanted {
                    progress.run_started(index);
                }
                wanted
            };
            // The first failures in plan order are kept. They are among the first to arrive if a few more are taken,
            // one per job.
            let is_kept = |report: &Report| {
                !hashes
                    && !report.passed()
                    && !harness::prints_events()
                    && rerun_counts[index].fetch_add(1, SeqCst) < LISTED_MAX + plan.jobs
            };
            let again = |report: &Report| twice || is_kept(report);
            let print = |text: &str| progress.print_above(text);
            let scenario = &plan.scenarios[index];
            let ended = harness::run_if(wanted, scenario, plan.clock, seed, recording, again, print);
            if fail_fast && ended.as_ref().is_some_and(|ended| !ended.report().passed()) {
                stop.store(true, SeqCst);
            }
            ended
        };

        let report_run = |index: usize, report: Report, kept: Artifacts| {
            if hashes {
                return RunLines(format!("{} {} {:016x}\n", report.info.name, report.seed, report.hash()));
            }
            let lines = RunLines(if plan.prints_each_run() {
                report.lines() + &harness::indented_artifact_lines(&kept)
            } else {
                String::new()
            });
            let first = lock(&state).add(index, report, &kept, plan);
            if first && !plan.prints_each_run() && progress.is_visible() {
                let failure = lock(&state).tallies[index].first_failure();
                progress.print_above(&failure);
            }
            lines
        };
        let may_keep =
            |index: usize, ended: &FinishedRun| !hashes && lock(&state).tallies[index].may_keep(ended.report());
        let mut all_passed = true;
        let arrived = |number: usize, ended: Option<FinishedRun>| {
            let (Some(ended), index) = (ended, plan.scenario_index(number)) else { return Ok(ArrivedRun::Skipped) };
            all_passed &= ended.report().passed();
            progress.run_ended(index, ended.report().passed());
            Ok::<_, Error>(match plan.clock {
                Clock::Simulated => ArrivedRun::Ended(Box::new(ended)),
                // On threads an earlier run may take another minute, so this run is reported at once.
                Clock::Threads => {
                    let may_keep = may_keep(index, &ended);
                    ArrivedRun::Reported(ended.finish(may_keep, |report, kept| report_run(index, report, kept)))
                }
            })
        };
        let mut written = vec![false; count];
        let done = |number: usize, arrived: ArrivedRun| {
            let index = plan.scenario_index(number);
            let mut write = |RunLines(lines): RunLines| {
                let mut lines = lines;
                if !hashes && !plan.prints_each_run() && lock(&state).is_complete(index, plan) {
                    lines += &lock(&state).tallies[index].lines();
                    written[index] = true;
                }
                if lines.is_empty() { Ok(()) } else { Ok::<(), Error>(progress.write(index, &lines, out)?) }
            };
            match arrived {
                ArrivedRun::Skipped => Ok(()),
                ArrivedRun::Reported(lines) => write(lines),
                ArrivedRun::Ended(ended) => {
                    let may_keep = may_keep(index, &ended);
                    ended.finish(may_keep, |report, kept| write(report_run(index, report, kept)))
                }
            }
        };
        let result = batch::in_order_until_stopped(plan.count(), plan.jobs, &stop, work, arrived, done);
        progress.close();
        result?;
        if hashes {
            return Ok(all_passed);
        }
        let state = &mut *lock(&state);
        let how = if stop.load(SeqCst) { EndReason::StoppedAtAFailure } else { EndReason::Complete };
        state.save(how);
        for (tally, written) in state.tallies.iter().zip(&written) {
            if !plan.prints_each_run() && !written && tally.runs() > 0 {
                write!(out, "{}", tally.lines())?;
            }
        }
        summary::write(&state.tallies, plan.clock, begun.elapsed(), out)?;
        if let Some(results) = &state.results {
            let lines = results.lines(package, all_passed);
            write!(out, "{}{lines}", if lines.is_empty() { "" } else { "\n" })?;
        }
        out.flush()?;
        drop(waiting);
        Ok(all_passed)
    }
}

fn lock(state: &Mutex<BatchState>) -> MutexGuard<'_, BatchState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BatchState {
    /// Counts a run. Returns whether it is the first failure of its scenario.
    fn add(&mut self, index: usize, report: Report, kept: &Artifacts, plan: &Plan) -> bool {
        let tally = &mut self.tallies[index];
        let unwritten = report.run_failure().is_some_and(|broken| broken.unwritten);
        let first = !report.passed() && !unwritten && tally.not_passed() == 0;
        if let Some(results) = &mut self.results {
            results.run(&report, kept);
        }
        tally.add(report, kept, &self.package);
        if self.is_complete(index, plan)
            && let Some(results) = &mut self.results
        {
            results.scenario(&self.tallies[index]);
            self.saved[index] = true;
        }
        first
    }

    /// Whether all runs of a scenario are counted.
    fn is_complete(&self, index: usize, plan: &Plan) -> bool {
        plan.runs_of(index) == Some(self.tallies[index].runs())
    }

    /// Saves all totals that are not saved yet, and the end of the batch.
    fn save(&mut self, how: EndReason) {
        let Some(results) = self.results.as_mut().filter(|_| !self.ended) else { return };
        self.ended = true;
        for (tally, saved) in self.tallies.iter().zip(&mut self.saved) {
            if tally.runs() > 0 && !std::mem::replace(saved, true) {
                results.scenario(tally);
            }
        }
        let sum = |count: fn(&Tally) -> usize| self.tallies.iter().map(count).sum();
        results.end(how, sum(Tally::runs), sum(Tally::passed));
    }
}

/// The work that remains when the user presses Ctrl-C.
struct FinishOnInterrupt {
    state: Arc<Mutex<BatchState>>,
    progress: Progress,
}

impl InterruptHook for FinishOnInterrupt {
    fn on_interrupt(&mut self) {
        lock(&self.state).save(EndReason::Interrupted);
        self.progress.close();
    }

    fn finish(&mut self) -> String {
        let state = &*lock(&self.state);
        let sum = |count: fn(&Tally) -> usize| state.tallies.iter().map(count).sum::<usize>();
        let (runs, passed) = (sum(Tally::runs), sum(Tally::passed));
        let mut text = format!("so far {runs} runs: {passed} passed, {} failed\n", runs - passed);
        if let Some(results) = &state.results {
            text += &results.lines(&state.package, runs == passed);
        }
        text
    }
}

#[cfg(test)]
mod tests;
