//! Execution of a plan: makes the runs, several at a time, counts their results, and writes the output.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tester::artifacts::Artifacts;
use tester::artifacts::interrupt::{self, InterruptGuard, InterruptHook};
use tester::harness::{self, FinishedRun, Recording};
use tester::{Clock, Report, ScenarioInfo};

use crate::plan::Plan;
use crate::progress::Progress;
use crate::results::{EndReason, ResultsFile};
use crate::resume::{Overflow, Resume};
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
    /// The runs of earlier processes, if the batch goes on in a new process after a stack overflow.
    pub(crate) resume: Option<Resume>,
}

/// The results of all reported runs.
struct BatchState {
    package: String,
    tallies: Vec<Tally>,
    /// The number of the first run in the plan that is not counted yet.
    next: usize,
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
        let Series { plan, package, fail_fast, twice, hashes, progress, results, resume } = self;
        let goes_on = resume.is_some();
        let earlier = resume.unwrap_or_default();
        let count = plan.scenarios.len();
        let state = Arc::new(Mutex::new(BatchState {
            package: package.to_string(),
            tallies: plan.scenarios.iter().map(|scenario| Tally::new(&scenario.info)).collect(),
            next: earlier.next,
            saved: vec![false; count],
            ended: false,
            results,
        }));
        lock(&state).add_overflows(&earlier, plan);
        interrupt::install();
        if goes_on {
            let ends = fail_fast;
            let (state, earlier, progress) = (Arc::clone(&state), earlier.clone(), progress.clone());
            let infos: Vec<_> = plan.scenarios.iter().map(|scenario| scenario.info.clone()).collect();
            labstd::on_stack_overflow(move |overflow| {
                let text = lock(&state).overflowed(overflow.into(), &infos, earlier.clone(), ends);
                progress.close();
                match text {
                    Ok(()) => std::process::exit(1),
                    Err(error) => eprintln!("the remaining runs cannot be made: {error}"),
                }
            });
        }
        let waiting = InterruptGuard::new(FinishOnInterrupt { state: Arc::clone(&state), progress: progress.clone() });

        let (begun, stop) = (Instant::now(), AtomicBool::new(false));
        // Number of repeated failures, by scenario index.
        let rerun_counts: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        // The hash of a run is a hash of its record, and two runs are compared by their records.
        let recorded = hashes || twice || plan.prints_each_run();
        let recording = if recorded { Recording::All } else { Recording::OnlyFailures };
        let work = |number: usize| {
            let (index, seed) = plan.run(number);
            if earlier.has_made(number, plan.scenarios[index].info.name, seed) {
                return None;
            }
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

        let report_run = |number: usize, report: Report, kept: Artifacts| {
            let index = plan.scenario_index(number);
            if hashes {
                lock(&state).next = number + 1;
                return RunLines(format!("{} {} {:016x}\n", report.info.name, report.seed, report.hash()));
            }
            let lines = RunLines(if plan.prints_each_run() {
                report.lines() + &harness::indented_artifact_lines(&kept)
            } else {
                String::new()
            });
            let first = lock(&state).add(number, report, &kept, plan);
            if first && !plan.prints_each_run() && progress.is_visible() {
                let failure = lock(&state).tallies[index].first_failure();
                progress.print_above(&failure);
            }
            lines
        };
        let may_keep =
            |index: usize, ended: &FinishedRun| !hashes && lock(&state).tallies[index].may_keep(ended.report());
        let mut all_passed = earlier.overflows.is_empty() && earlier.runs == earlier.passed;
        let arrived = |number: usize, ended: Option<FinishedRun>| {
            let (Some(ended), index) = (ended, plan.scenario_index(number)) else { return Ok(ArrivedRun::Skipped) };
            all_passed &= ended.report().passed();
            progress.run_ended(index, ended.report().passed());
            Ok::<_, Error>(match plan.clock {
                Clock::Simulated => ArrivedRun::Ended(Box::new(ended)),
                // On threads an earlier run may take another minute, so this run is reported at once.
                Clock::Threads => {
                    let may_keep = may_keep(index, &ended);
                    ArrivedRun::Reported(ended.finish(may_keep, |report, kept| report_run(number, report, kept)))
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
                    ended.finish(may_keep, |report, kept| write(report_run(number, report, kept)))
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
        write!(out, "{}", earlier.line())?;
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
    fn add(&mut self, number: usize, report: Report, kept: &Artifacts, plan: &Plan) -> bool {
        let index = plan.scenario_index(number);
        self.next = number + 1;
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

    /// Counts the runs that overflowed a stack in earlier processes.
    fn add_overflows(&mut self, earlier: &Resume, plan: &Plan) {
        for overflow in &earlier.overflows {
            let mut scenarios = plan.scenarios.iter().enumerate();
            let Some((index, scenario)) = scenarios.find(|(_, known)| known.info.name == overflow.scenario) else {
                continue;
            };
            let report = overflow.report(&scenario.info);
            if let Some(results) = &mut self.results {
                results.run(&report, &Artifacts::default());
            }
            self.tallies[index].add(report, &Artifacts::default(), &self.package);
        }
    }

    /// Saves the results after a stack overflow, and goes on with the remaining runs in a new process, unless the batch
    /// `ends` at a failure.
    ///
    /// # Errors
    ///
    /// If the new process cannot be started.
    fn overflowed(
        &mut self,
        overflow: Overflow,
        infos: &[ScenarioInfo],
        earlier: Resume,
        ends: bool,
    ) -> Result<(), std::io::Error> {
        if let Some(info) = infos.iter().find(|info| info.name == overflow.scenario)
            && let Some(results) = &mut self.results
        {
            results.run(&overflow.report(info), &Artifacts::default());
        }
        self.save(if ends { EndReason::StoppedAtAFailure } else { EndReason::StackOverflow });
        let sum = |count: fn(&Tally) -> usize| self.tallies.iter().map(count).sum::<usize>();
        let (runs, passed) = (sum(Tally::runs) - earlier.overflows.len(), sum(Tally::passed));
        let mut text = format!("so far {runs} more runs: {passed} passed, {} failed\n", runs - passed);
        if let Some(results) = &self.results {
            text += &results.lines(&self.package, false);
        }
        eprint!("{text}");
        if ends {
            return Ok(());
        }
        eprintln!("the remaining runs are made in a new process");
        let mut overflows = earlier.overflows;
        overflows.push(overflow);
        let (runs, passed) = (earlier.runs + runs, earlier.passed + passed);
        Err(Resume { next: self.next, runs, passed, overflows }.go_on())
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
