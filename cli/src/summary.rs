//! What a batch of runs came to: per scenario while it goes on, and all in all at the end.

use std::io::Write;
use std::time::Duration;

use tester::harness;
use tester::lines;
use tester::{Clock, Figures, Report, Verdict};

use crate::Error;

/// How many failing seeds of one scenario are listed with their commands.
const LISTED_MAX: usize = 5;

/// The runs of one scenario.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    figures: Vec<Figures>,
    /// What went wrong: the first few whole.
    failures: Vec<Report>,
    failed: usize,
    aborted: usize,
    disturbed: usize,
    simulated: Duration,
}

impl Tally {
    /// Counts one more run.
    pub(crate) fn add(&mut self, report: Report) {
        self.simulated += report.stats.elapsed;
        match report.verdict {
            Verdict::Passed(figures) => return self.figures.push(figures),
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Aborted(_) => self.aborted += 1,
            Verdict::Disturbed(_) => self.disturbed += 1,
        }
        if self.failures.len() < LISTED_MAX {
            self.failures.push(report);
        }
    }

    fn runs(&self) -> usize {
        self.figures.len() + self.not_passed()
    }

    fn not_passed(&self) -> usize {
        self.failed + self.aborted + self.disturbed
    }

    /// The lines of a scenario that ran several times: medians if all passed, else what went wrong first.
    pub(crate) fn lines(&self, title: &str) -> String {
        let runs = self.runs();
        match self.failures.first() {
            None => format!("{title}\n{}   (medians of {runs} runs)\n", lines::passed(&medians(&self.figures))),
            Some(first) => {
                let text = first.lines();
                let what = text.split_once('\n').map_or("", |(_, rest)| rest);
                format!("{title}\n  ... {} of {runs} runs did not pass; the first:\n{what}", self.not_passed())
            }
        }
    }
}

/// Median of each column.
fn medians(all: &[Figures]) -> Figures {
    fn median<T: Ord + Copy>(all: &[Figures], column: impl Fn(&Figures) -> T) -> T {
        let mut values: Vec<T> = all.iter().map(column).collect();
        values.sort_unstable();
        values[values.len() / 2]
    }
    Figures {
        elapsed: median(all, |figures| figures.elapsed),
        servers: median(all, |figures| figures.servers),
        rpcs: median(all, |figures| figures.rpcs),
        bytes: median(all, |figures| figures.bytes),
        commands: median(all, |figures| figures.commands),
    }
}

/// Writes the summary of a batch, and the command that replays each failure.
pub(crate) fn write(
    tallies: &[Tally],
    clock: Clock,
    real: Duration,
    package: &str,
    out: &mut impl Write,
) -> Result<(), Error> {
    let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    let runs = sum(Tally::runs);
    write!(out, "\n{} scenarios, {runs} runs: {} passed", tallies.len(), sum(|tally| tally.figures.len()))?;
    write!(out, ", {} failed", sum(|tally| tally.failed))?;
    if sum(|tally| tally.aborted) > 0 {
        write!(out, ", {} aborted", sum(|tally| tally.aborted))?;
    }
    if harness::disturbed() > 0 {
        let gave_up = sum(|tally| tally.disturbed);
        write!(
            out,
            "; {} disturbed by a busy machine and repeated, {gave_up} of them to no avail",
            harness::disturbed()
        )?;
    }
    let simulated: Duration = tallies.iter().map(|tally| tally.simulated).sum();
    let (simulated, real) = (simulated.as_secs_f64(), real.as_secs_f64());
    match clock {
        Clock::Simulated => writeln!(
            out,
            "\n{simulated:.1} s of simulated time in {real:.2} s of real time, {:.0} times as fast",
            simulated / real.max(1e-9)
        )?,
        Clock::Threads => writeln!(out, "\n{simulated:.1} s of scenarios in {real:.2} s")?,
    }
    for tally in tallies {
        for report in &tally.failures {
            let text = report.broken().map_or("", |broken| broken.text.lines().next().unwrap_or(""));
            writeln!(
                out,
                "\n{} with seed {}: {text}\n{}",
                report.scenario,
                report.seed,
                harness::replay(report, package)
            )?;
        }
        if tally.not_passed() > tally.failures.len() {
            let name = tally.failures[0].scenario;
            writeln!(out, "\nand {} more runs of {name}", tally.not_passed() - tally.failures.len())?;
        }
    }
    Ok(())
}
