//! What a batch of runs came to: per scenario while it goes on, and all in all at the end.

use std::io::Write;
use std::time::Duration;

use tester::keep::Kept;
use tester::{About, Clock, Figures, Layer, Report, Stage, Verdict};
use tester::{harness, lines};

use crate::Error;

/// How many failing seeds of one scenario are listed with their commands.
const LISTED_MAX: usize = 5;

/// The runs of one scenario.
#[derive(Debug)]
pub(crate) struct Tally {
    about: About,
    /// What each passed run cost, stage by stage.
    passed: Vec<Vec<Stage>>,
    /// What went wrong: the first few whole, and where their files are.
    failures: Vec<(Report, Kept)>,
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

    /// Whether the files of the next run may be written: a batch leaves those of the first few that did not pass, which are
    /// listed, and, where runs that passed are to be written as well, those of as many of them.
    pub(crate) fn may_keep(&self, report: &Report) -> bool {
        let before = if report.passed() { self.passed.len() } else { self.failures.len() };
        before < LISTED_MAX
    }

    /// Counts one more run, of which this was written.
    pub(crate) fn add(&mut self, report: Report, kept: Kept) {
        self.simulated += report.stats.elapsed;
        match report.verdict {
            Verdict::Passed(stages) => return self.passed.push(stages),
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Aborted(_) => self.aborted += 1,
            Verdict::Undecided(_) => self.undecided += 1,
            Verdict::Disturbed(_) => self.disturbed += 1,
        }
        if self.failures.len() < LISTED_MAX {
            self.failures.push((report, kept));
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
        let Some((first, kept)) = self.failures.first() else {
            let stages = self.passed.first().map_or(&[][..], Vec::as_slice).iter().enumerate();
            let line = |(place, stage): (usize, &Stage)| {
                let figures: Vec<&Figures> = self.passed.iter().map(|stages| &stages[place].figures).collect();
                let (title, passed) = (lines::title(part, &stage.title), lines::passed(part, &medians(&figures)));
                format!("{title}\n{passed}   (medians of {runs} runs)\n")
            };
            return stages.map(line).collect();
        };
        let title = lines::title(part, first.title());
        let (count, failure, files) = (self.not_passed(), first.failure(), harness::below(kept));
        format!("{title}\n  ... {count} of {runs} runs did not pass; the first:\n{failure}{files}")
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
        for (report, kept) in &tally.failures {
            let text = report.broken().map_or("", |broken| broken.text.lines().next().unwrap_or(""));
            writeln!(
                out,
                "\n{} with seed {}: {text}\n{}",
                report.about.name,
                report.seed,
                harness::closing(report, kept, package)
            )?;
        }
        if tally.not_passed() > tally.failures.len() {
            let name = tally.about.name;
            writeln!(out, "\nand {} more runs of {name}", tally.not_passed() - tally.failures.len())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tester::{Asked, Part, Scenario, Told, runner};

    use super::*;

    fn about() -> About {
        let title = "a story".to_string();
        About { name: "story_3A", part: Part::P3A, title, of_the_course: false, servers: 3, seconds: 1 }
    }

    fn report(passes: bool, seed: u64) -> Report {
        let story = move |_, _: &_| {
            assert!(passes, "it goes wrong");
            Told { stages: Vec::new(), asked: Some(Asked::default()) }
        };
        runner::run(&Scenario::new(about(), story), Clock::Simulated, seed)
    }

    #[test]
    fn a_batch_keeps_the_first_few_runs_that_pass_and_the_first_few_that_do_not() {
        let mut tally = Tally::new(&about());
        let mut kept = [0, 0];
        for seed in 0..3 * LISTED_MAX as u64 {
            for passes in [true, false] {
                let report = report(passes, seed);
                assert_eq!(report.passed(), passes);
                let may = tally.may_keep(&report);
                assert_eq!(may, seed < LISTED_MAX as u64, "seed {seed}");
                kept[usize::from(passes)] += usize::from(may);
                tally.add(report, Kept::default());
            }
        }
        assert_eq!(kept, [LISTED_MAX; 2]);
    }

    #[test]
    fn the_summary_ends_each_failure_with_its_files_its_seed_and_the_command_that_replays_it() {
        let mut tally = Tally::new(&about());
        let kept = Kept {
            record: Some(PathBuf::from("/lab/story.record")),
            picture: Some(PathBuf::from("/lab/story.html")),
            troubles: Vec::new(),
        };
        tally.add(report(false, 42), kept);
        assert!(tally.lines().ends_with("      picture: /lab/story.html\n      record:  /lab/story.record\n"));
        let mut out = Vec::new();
        write(&[tally], Clock::Simulated, Duration::from_secs(1), "starter", &mut out)
            .expect("a vector takes everything");
        let text = String::from_utf8(out).expect("text");
        let end = "\npicture: /lab/story.html\nlog:     cargo run --release -p starter -- log /lab/story.record\n\
                   seed:    42\nreplay:  LAB_SEED=42 cargo test -p starter -- simulated::story_3A\n    or:  cargo run \
                   --release -p starter -- run story_3A --seed 42\n";
        assert!(text.ends_with(end), "{text}");
    }
}
