//! What a batch of runs came to: per scenario while it goes on, and all in all at the end.

use std::io::Write;
use std::time::Duration;

use tester::harness;
use tester::lines;
use tester::{About, Clock, Figures, Layer, Report, Stage, Verdict};

use crate::Error;

/// How many failing seeds of one scenario are listed with their commands.
const LISTED_MAX: usize = 5;

/// The runs of one scenario.
#[derive(Debug)]
pub(crate) struct Tally {
    about: About,
    /// What each passed run cost, stage by stage.
    passed: Vec<Vec<Stage>>,
    /// What went wrong: the first few whole.
    failures: Vec<Report>,
    failed: usize,
    aborted: usize,
    undecided: usize,
    disturbed: usize,
    simulated: Duration,
}

impl Tally {
    /// No run of this scenario yet.
    pub(crate) fn new(about: &About) -> Tally {
        Tally {
            about: about.clone(),
            passed: Vec::new(),
            failures: Vec::new(),
            failed: 0,
            aborted: 0,
            undecided: 0,
            disturbed: 0,
            simulated: Duration::ZERO,
        }
    }

    /// Counts one more run.
    pub(crate) fn add(&mut self, report: Report) {
        self.simulated += report.stats.elapsed;
        match report.verdict {
            Verdict::Passed(stages) => return self.passed.push(stages),
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Aborted(_) => self.aborted += 1,
            Verdict::Undecided(_) => self.undecided += 1,
            Verdict::Disturbed(_) => self.disturbed += 1,
        }
        if self.failures.len() < LISTED_MAX {
            self.failures.push(report);
        }
    }

    fn runs(&self) -> usize {
        self.passed.len() + self.not_passed()
    }

    fn not_passed(&self) -> usize {
        self.failed + self.aborted + self.undecided + self.disturbed
    }

    /// Commands that a Raft agreed on, or operations of clients, in all runs that passed.
    fn commands(&self) -> u64 {
        self.passed.iter().flatten().map(|stage| stage.figures.commands).sum()
    }

    /// The lines of a scenario that ran several times: medians if all passed, else what went wrong first.
    pub(crate) fn lines(&self) -> String {
        let (runs, part) = (self.runs(), self.about.part);
        let Some(first) = self.failures.first() else {
            let stages = self.passed.first().map_or(&[][..], Vec::as_slice).iter().enumerate();
            let line = |(place, stage): (usize, &Stage)| {
                let figures: Vec<&Figures> = self.passed.iter().map(|stages| &stages[place].figures).collect();
                let (title, passed) = (lines::title(part, &stage.title), lines::passed(part, &medians(&figures)));
                format!("{title}\n{passed}   (medians of {runs} runs)\n")
            };
            return stages.map(line).collect();
        };
        let title = lines::title(part, &self.about.title);
        let text = first.lines();
        let what = text.split_once('\n').map_or("", |(_, rest)| rest);
        format!("{title}\n  ... {} of {runs} runs did not pass; the first:\n{what}", self.not_passed())
    }
}

/// Median of each column.
fn medians(all: &[&Figures]) -> Figures {
    fn median<T: Ord + Copy>(all: &[&Figures], column: impl Fn(&Figures) -> T) -> T {
        let mut values: Vec<T> = all.iter().map(|figures| column(figures)).collect();
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
    write!(out, "\n{} scenarios, {runs} runs: {} passed", tallies.len(), sum(|tally| tally.passed.len()))?;
    write!(out, ", {} failed", sum(|tally| tally.failed))?;
    if sum(|tally| tally.aborted) > 0 {
        write!(out, ", {} aborted", sum(|tally| tally.aborted))?;
    }
    if sum(|tally| tally.undecided) > 0 {
        write!(out, ", {} undecided", sum(|tally| tally.undecided))?;
    }
    if harness::disturbed() > 0 {
        let gave_up = sum(|tally| tally.disturbed);
        write!(
            out,
            "; {} disturbed by a busy machine and repeated, {gave_up} of them to no avail",
            harness::disturbed()
        )?;
    }
    let operations: u64 =
        tallies.iter().filter(|tally| tally.about.part.layer() == Layer::Kv).map(Tally::commands).sum();
    if operations > 0 {
        write!(out, "; {operations} operations of clients")?;
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
                report.about.name,
                report.seed,
                harness::replay(report, package)
            )?;
        }
        if tally.not_passed() > tally.failures.len() {
            let name = tally.about.name;
            writeln!(out, "\nand {} more runs of {name}", tally.not_passed() - tally.failures.len())?;
        }
    }
    Ok(())
}
