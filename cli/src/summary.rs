//! What a batch of runs came to: per scenario while it goes on, and all in all at the end.

use std::cmp::Ordering;
use std::io::Write;
use std::time::Duration;

use tester::keep::Kept;
use tester::{About, Clock, Figures, Layer, Report, Stage, Verdict};
use tester::{harness, lines};

use crate::Error;

/// How many failing seeds of one scenario are listed with their commands.
pub(crate) const LISTED_MAX: usize = 5;

/// Of how many runs of one scenario the figures are remembered: a batch may go on for days.
const MEDIANS_MAX: usize = 10_000;

/// The runs of one scenario.
#[derive(Debug)]
pub(crate) struct Tally {
    about: About,
    /// How many passed.
    passed: usize,
    /// What each of the first of them cost, stage by stage.
    costs: Vec<Vec<Stage>>,
    /// What went wrong: the first few.
    failures: Vec<Failure>,
    failed: usize,
    aborted: usize,
    undecided: usize,
    disturbed: usize,
    /// Of those that failed: where a second run of the seed was another one.
    not_deterministic: usize,
    /// Of those that failed: they came to code that is not written yet.
    unwritten: usize,
    /// Commands that a Raft agreed on, or operations of clients, in all runs that passed.
    commands: u64,
    simulated: Duration,
}

/// A run that did not pass, as it is told in the end. Its record is not kept in memory.
#[derive(Debug)]
struct Failure {
    /// The title of the stage that was under way.
    title: String,
    /// What went wrong, as it stands below the title.
    lines: String,
    /// Where its files are, as it stands below that.
    files: String,
    /// What went wrong, in one line.
    sentence: String,
    seed: u64,
    closing: String,
}

impl Tally {
    /// No run of this scenario yet.
    pub(crate) fn new(about: &About) -> Tally {
        Tally {
            about: about.clone(),
            passed: 0,
            costs: Vec::new(),
            failures: Vec::new(),
            failed: 0,
            aborted: 0,
            undecided: 0,
            disturbed: 0,
            not_deterministic: 0,
            unwritten: 0,
            commands: 0,
            simulated: Duration::ZERO,
        }
    }

    /// Whether the files of the next run may be written: a batch leaves those of the first few that did not pass, which are
    /// listed, and, where runs that passed are to be written as well, those of as many of them.
    pub(crate) fn may_keep(&self, report: &Report) -> bool {
        let before = if report.passed() { self.passed } else { self.not_passed() };
        before < LISTED_MAX
    }

    /// Counts one more run, of which this was written, in a process of this package.
    pub(crate) fn add(&mut self, report: Report, kept: &Kept, package: &str) {
        self.simulated += report.stats.elapsed;
        match &report.verdict {
            Verdict::Passed(stages) => {
                self.passed += 1;
                self.commands += stages.iter().map(|stage| stage.figures.commands).sum::<u64>();
                if self.costs.len() < MEDIANS_MAX {
                    self.costs.push(stages.clone());
                }
                return;
            }
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Aborted(_) => self.aborted += 1,
            Verdict::Undecided(_) => self.undecided += 1,
            Verdict::Disturbed(_) => self.disturbed += 1,
        }
        self.not_deterministic += usize::from(report.difference.is_some());
        self.unwritten += usize::from(report.broken().is_some_and(|broken| broken.unwritten));
        if self.failures.len() < LISTED_MAX {
            self.failures.push(Failure {
                title: report.title().to_string(),
                lines: report.failure(),
                files: harness::below(kept),
                sentence: sentence(&report),
                seed: report.seed,
                closing: harness::closing(&report, kept, package),
            });
        }
    }

    /// How its scenario is called.
    pub(crate) fn name(&self) -> &'static str {
        self.about.name
    }

    /// How many runs there were.
    pub(crate) fn runs(&self) -> usize {
        self.passed + self.not_passed()
    }

    /// How many of them passed.
    pub(crate) fn passed(&self) -> usize {
        self.passed
    }

    /// How many of them did not.
    pub(crate) fn not_passed(&self) -> usize {
        self.failed + self.aborted + self.undecided + self.disturbed
    }

    /// How many of these came to code that is not written yet.
    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten
    }

    /// What is said at once when a run is the first that did not pass.
    pub(crate) fn first_failure(&self) -> String {
        let Some(Failure { seed, sentence, files, .. }) = self.failures.first() else { return String::new() };
        format!("{} does not pass with seed {seed}: {sentence}\n{files}", self.about.name)
    }

    /// The medians of what a run that passed costs, with their titles; nothing if none has passed.
    pub(crate) fn medians(&self) -> Vec<Stage> {
        let stages = self.costs.first().map_or(&[][..], Vec::as_slice).iter().enumerate();
        let median = |(place, stage): (usize, &Stage)| {
            let figures: Vec<&Figures> = self.costs.iter().map(|stages| &stages[place].figures).collect();
            Stage { title: stage.title.clone(), figures: medians(&figures) }
        };
        stages.map(median).collect()
    }

    /// The lines of a scenario that ran several times: medians if all passed, else what went wrong first.
    pub(crate) fn lines(&self) -> String {
        let (runs, part) = (self.runs(), self.about.part);
        let Some(first) = self.failures.first() else {
            let of = if runs > MEDIANS_MAX { format!("the first {MEDIANS_MAX} of ") } else { String::new() };
            let line = |stage: &Stage| {
                let (title, passed) = (lines::title(part, &stage.title), lines::passed(part, &stage.figures));
                format!("{title}\n{passed}   (medians of {of}{runs} runs)\n")
            };
            return self.medians().iter().map(line).collect();
        };
        let title = lines::title(part, &first.title);
        if self.unwritten == runs {
            return format!("{title}\n{}", first.lines);
        }
        format!(
            "{title}\n  ... {} of {runs} runs did not pass; the first:\n{}{}",
            self.not_passed(),
            first.lines,
            first.files
        )
    }
}

/// What went wrong in a run, in one line.
pub(crate) fn sentence(report: &Report) -> String {
    report.broken().map_or("", |broken| broken.text.lines().next().unwrap_or("")).to_string()
}

/// Median of each column.
pub(crate) fn medians(all: &[&Figures]) -> Figures {
    fn median<T: Ord + Copy>(all: &[&Figures], column: impl Fn(&Figures) -> T) -> T {
        upper_median(all.iter().map(|figures| column(figures)).collect(), Ord::cmp).expect("there is a run")
    }
    Figures {
        elapsed: median(all, |figures| figures.elapsed),
        servers: median(all, |figures| figures.servers),
        rpcs: median(all, |figures| figures.rpcs),
        bytes: median(all, |figures| figures.bytes),
        commands: median(all, |figures| figures.commands),
    }
}

/// The median, of an even number the upper of the two in the middle; `None` of nothing.
pub(crate) fn upper_median<T: Copy>(mut values: Vec<T>, order: impl Fn(&T, &T) -> Ordering) -> Option<T> {
    values.sort_unstable_by(order);
    values.get(values.len() / 2).copied()
}

/// Writes the summary of a batch, and the command that replays each failure. What is not written yet has said so.
pub(crate) fn write(tallies: &[Tally], clock: Clock, real: Duration, out: &mut impl Write) -> Result<(), Error> {
    let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    let runs = sum(Tally::runs);
    write!(out, "\n{} scenarios, {runs} runs: {} passed", tallies.len(), sum(|tally| tally.passed))?;
    write!(out, ", {} failed", sum(|tally| tally.failed))?;
    if sum(|tally| tally.aborted) > 0 {
        write!(out, ", {} aborted", sum(|tally| tally.aborted))?;
    }
    if sum(|tally| tally.undecided) > 0 {
        write!(out, ", {} undecided", sum(|tally| tally.undecided))?;
    }
    if sum(|tally| tally.not_deterministic) > 0 {
        write!(out, "; {} not deterministic", sum(|tally| tally.not_deterministic))?;
    }
    if sum(|tally| tally.unwritten) > 0 {
        write!(out, "; {} came to code that is not written yet", sum(|tally| tally.unwritten))?;
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
        tallies.iter().filter(|tally| tally.about.part.layer() == Layer::Kv).map(|tally| tally.commands).sum();
    if operations > 0 {
        write!(out, "; {operations} operations of clients")?;
    }
    let simulated: Duration = tallies.iter().map(|tally| tally.simulated).sum();
    let (simulated, real) = (simulated.as_secs_f64(), real.as_secs_f64());
    match clock {
        Clock::Simulated => {
            write!(out, "\n{simulated:.1} s of simulated time in {real:.2} s of real time")?;
            // Runs that end where they begin are no measure.
            if simulated > real {
                write!(out, ", {:.0} times as fast", simulated / real.max(1e-9))?;
            }
            writeln!(out)?;
        }
        Clock::Threads => writeln!(out, "\n{simulated:.1} s of scenarios in {real:.2} s")?,
    }
    for tally in tallies.iter().filter(|tally| tally.unwritten < tally.not_passed()) {
        let name = tally.about.name;
        for Failure { seed, sentence, closing, .. } in &tally.failures {
            writeln!(out, "\n{name} with seed {seed}: {sentence}\n{closing}")?;
        }
        if tally.not_passed() > tally.failures.len() {
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
                tally.add(report, &Kept::default(), "starter");
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
        tally.add(report(false, 42), &kept, "starter");
        assert!(tally.lines().ends_with("      picture: /lab/story.html\n      record:  /lab/story.record\n"));
        let mut out = Vec::new();
        write(&[tally], Clock::Simulated, Duration::from_secs(1), &mut out).expect("a vector takes everything");
        let text = String::from_utf8(out).expect("text");
        let end = "\npicture: /lab/story.html\nlog:     cargo run --release -p starter -- log /lab/story.record\n\
                   seed:    42\nreplay:  LAB_SEED=42 cargo test -p starter -- simulated::story_3A\n    or:  cargo run \
                   --release -p starter -- run story_3A --seed 42\n";
        assert!(text.ends_with(end), "{text}");
    }
}
