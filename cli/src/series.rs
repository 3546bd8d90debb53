//! Carries out a plan: makes the runs, several at a time, keeps the books on them, and writes what is to be read.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tester::harness::{self, Ended};
use tester::keep::Kept;
use tester::keep::interrupt::{self, Farewell, Waiting};
use tester::{Clock, Report};

use crate::plan::Plan;
use crate::progress::Progress;
use crate::results::{HowWord, Results};
use crate::summary::{self, LISTED_MAX, Tally};
use crate::{Error, batch};

/// How the runs of a plan are made.
#[derive(Debug)]
pub(crate) struct Series<'a> {
    pub(crate) plan: &'a Plan,
    /// Whose command line this is.
    pub(crate) package: &'a str,
    /// No run begins after one that did not pass.
    pub(crate) fail_fast: bool,
    /// Each seed is run twice, and not those alone that fail and are kept.
    pub(crate) twice: bool,
    /// Scenario, seed and hash of each run are written, and nothing else.
    pub(crate) hashes: bool,
    pub(crate) progress: Progress,
    /// What came of the runs is saved here.
    pub(crate) results: Option<Results>,
}

/// What is known of the runs that somebody has been told of.
struct Books {
    package: String,
    tallies: Vec<Tally>,
    /// The scenarios whose line is in the saved results.
    saved: Vec<bool>,
    /// The last line of the saved results is written.
    ended: bool,
    results: Option<Results>,
}

/// A run that somebody has been told of, and what is to be written of it.
struct Told(String);

/// A result on its way through the batch.
enum Arrived {
    /// It is told of in its turn: in a simulation everything has its order.
    Ended(Box<Ended>),
    /// It was told of when it came.
    Told(Told),
    /// It did not begin.
    Skipped,
}

impl Series<'_> {
    /// Makes the runs and writes the lines and the summary to `out`. Whether all runs passed.
    pub(crate) fn run(self, out: &mut impl Write) -> Result<bool, Error> {
        let Series { plan, package, fail_fast, twice, hashes, progress, results } = self;
        let count = plan.scenarios.len();
        let books = Arc::new(Mutex::new(Books {
            package: package.to_string(),
            tallies: plan.scenarios.iter().map(|scenario| Tally::new(&scenario.about)).collect(),
            saved: vec![false; count],
            ended: false,
            results,
        }));
        interrupt::install();
        let waiting = Waiting::new(Goodbye { books: Arc::clone(&books), progress: progress.clone() });

        let (begun, stop) = (Instant::now(), AtomicBool::new(false));
        // Of each scenario: how many failures have been run again.
        let rerun: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        let work = |number: usize| {
            let (place, seed) = plan.get(number);
            let wanted = || {
                let wanted = !stop.load(SeqCst);
                if wanted {
                    progress.begun(place);
                }
                wanted
            };
            // Those that are kept are the first in their order. They are among the first that come, if some more are taken.
            let is_kept = |report: &Report| {
                !hashes
                    && !report.passed()
                    && !harness::prints_events()
                    && rerun[place].fetch_add(1, SeqCst) < LISTED_MAX + plan.jobs
            };
            let again = |report: &Report| twice || is_kept(report);
            let tell = |text: &str| progress.say(text);
            let ended = harness::run_if(wanted, &plan.scenarios[place], plan.clock, seed, again, tell);
            if fail_fast && ended.as_ref().is_some_and(|ended| !ended.report().passed()) {
                stop.store(true, SeqCst);
            }
            ended
        };

        let tell = |place: usize, report: Report, kept: Kept| {
            if hashes {
                return Told(format!("{} {} {:016x}\n", report.about.name, report.seed, report.hash()));
            }
            let told = Told(if plan.tells_each() { report.lines() + &harness::below(&kept) } else { String::new() });
            let first = lock(&books).add(place, report, &kept, plan);
            if first && !plan.tells_each() && progress.shows() {
                let failure = lock(&books).tallies[place].first_failure();
                progress.say(&failure);
            }
            told
        };
        let may_keep = |place: usize, ended: &Ended| !hashes && lock(&books).tallies[place].may_keep(ended.report());
        let mut all_passed = true;
        let arrived = |number: usize, ended: Option<Ended>| {
            let (Some(ended), place) = (ended, plan.place(number)) else { return Ok(Arrived::Skipped) };
            all_passed &= ended.report().passed();
            progress.ended(place, ended.report().passed());
            Ok::<_, Error>(match plan.clock {
                Clock::Simulated => Arrived::Ended(Box::new(ended)),
                // The run before it may take another minute.
                Clock::Threads => {
                    let may_keep = may_keep(place, &ended);
                    Arrived::Told(ended.tell(may_keep, |report, kept| tell(place, report, kept)))
                }
            })
        };
        let mut written = vec![false; count];
        let done = |number: usize, arrived: Arrived| {
            let place = plan.place(number);
            let mut write = |Told(lines): Told| {
                let mut lines = lines;
                if !hashes && !plan.tells_each() && lock(&books).is_over(place, plan) {
                    lines += &lock(&books).tallies[place].lines();
                    written[place] = true;
                }
                if lines.is_empty() { Ok(()) } else { Ok::<(), Error>(progress.write(place, &lines, out)?) }
            };
            match arrived {
                Arrived::Skipped => Ok(()),
                Arrived::Told(told) => write(told),
                Arrived::Ended(ended) => {
                    let may_keep = may_keep(place, &ended);
                    ended.tell(may_keep, |report, kept| write(tell(place, report, kept)))
                }
            }
        };
        let made = batch::until(plan.count(), plan.jobs, &stop, work, arrived, done);
        progress.close();
        made?;
        if hashes {
            return Ok(all_passed);
        }
        let books = &mut *lock(&books);
        let how = if stop.load(SeqCst) { HowWord::StoppedAtAFailure } else { HowWord::Complete };
        books.save(how);
        for (tally, written) in books.tallies.iter().zip(&written) {
            if !plan.tells_each() && !written && tally.runs() > 0 {
                write!(out, "{}", tally.lines())?;
            }
        }
        summary::write(&books.tallies, plan.clock, begun.elapsed(), out)?;
        if let Some(results) = &books.results {
            let lines = results.lines(package, all_passed);
            write!(out, "{}{lines}", if lines.is_empty() { "" } else { "\n" })?;
        }
        out.flush()?;
        drop(waiting);
        Ok(all_passed)
    }
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Books {
    /// Counts a run. Whether it is the first of its scenario that did not pass.
    fn add(&mut self, place: usize, report: Report, kept: &Kept, plan: &Plan) -> bool {
        let tally = &mut self.tallies[place];
        let unwritten = report.broken().is_some_and(|broken| broken.unwritten);
        let first = !report.passed() && !unwritten && tally.not_passed() == 0;
        if let Some(results) = &mut self.results {
            results.run(&report, kept);
        }
        tally.add(report, kept, &self.package);
        if self.is_over(place, plan)
            && let Some(results) = &mut self.results
        {
            results.scenario(&self.tallies[place]);
            self.saved[place] = true;
        }
        first
    }

    /// Whether all runs of a scenario have been counted.
    fn is_over(&self, place: usize, plan: &Plan) -> bool {
        plan.runs_of(place) == Some(self.tallies[place].runs())
    }

    /// Saves what is not saved yet.
    fn save(&mut self, how: HowWord) {
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

/// What is left to do when somebody presses Ctrl-C.
struct Goodbye {
    books: Arc<Mutex<Books>>,
    progress: Progress,
}

impl Farewell for Goodbye {
    fn begin(&mut self) {
        lock(&self.books).save(HowWord::Interrupted);
        self.progress.close();
    }

    fn end(&mut self) -> String {
        let books = &*lock(&self.books);
        let sum = |count: fn(&Tally) -> usize| books.tallies.iter().map(count).sum::<usize>();
        let (runs, passed) = (sum(Tally::runs), sum(Tally::passed));
        let mut text = format!("so far {runs} runs: {passed} passed, {} failed\n", runs - passed);
        if let Some(results) = &books.results {
            text += &results.lines(&books.package, runs == passed);
        }
        text
    }
}

#[cfg(test)]
mod tests;
