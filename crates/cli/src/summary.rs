//! Counts and medians of a batch: per scenario while it runs, and in total at its end.

use std::cmp::Ordering;
use std::io::Write;
use std::time::Duration;

use tester::artifacts::Artifacts;
use tester::{Clock, Layer, Metrics, Report, ScenarioInfo, Stage, Verdict};
use tester::{harness, lines};

use crate::Error;

/// Maximum number of failing seeds of one scenario that are listed with their commands.
pub(crate) const LISTED_MAX: usize = 5;

/// Maximum number of runs of one scenario whose figures are kept for medians. It is limited because a batch may run for
/// days.
const MEDIANS_MAX: usize = 10_000;

/// The runs of one scenario.
#[derive(Debug)]
pub(crate) struct Tally {
    about: ScenarioInfo,
    /// Number of passed runs.
    passed: usize,
    /// The cost of each of the first passed runs, stage by stage.
    costs: Vec<Vec<Stage>>,
    /// The first few failures.
    failures: Vec<Failure>,
    failed: usize,
    aborted: usize,
    undecided: usize,
    disturbed: usize,
    /// Number of passed runs that gave up.
    gave_up: usize,
    /// Why the first of them did.
    gave_up_because: Option<String>,
    /// Number of failed runs whose second run of the same seed differed.
    not_deterministic: usize,
    /// Number of failed runs that reached code that is not written yet.
    unwritten: usize,
    /// Commands that a Raft agreed on, or operations of clients, in all passed runs.
    commands: u64,
    simulated: Duration,
}

/// A run that did not pass, as the summary shows it. Its record is not kept in memory.
#[derive(Debug)]
struct Failure {
    /// The title of the stage that was running.
    title: String,
    /// The failure as printed below the title.
    lines: String,
    /// The paths of its files as printed below the failure.
    files: String,
    /// The failure in one line.
    sentence: String,
    seed: u64,
    closing: String,
}

impl Tally {
    /// A tally without runs.
    pub(crate) fn new(about: &ScenarioInfo) -> Tally {
        Tally {
            about: about.clone(),
            passed: 0,
            costs: Vec::new(),
            failures: Vec::new(),
            failed: 0,
            aborted: 0,
            undecided: 0,
            disturbed: 0,
            gave_up: 0,
            gave_up_because: None,
            not_deterministic: 0,
            unwritten: 0,
            commands: 0,
            simulated: Duration::ZERO,
        }
    }

    /// Whether the files of this run may be kept. A batch keeps the files of the first few failed runs, which it also
    /// lists. If passing runs are kept as well, it keeps those of as many of them.
    pub(crate) fn may_keep(&self, report: &Report) -> bool {
        let before = if report.passed() { self.passed } else { self.not_passed() };
        before < LISTED_MAX
    }

    /// Counts one more run. `kept` are the files that were written of it, by a process of `package`.
    pub(crate) fn add(&mut self, report: Report, kept: &Artifacts, package: &str) {
        self.simulated += report.stats.elapsed;
        match &report.verdict {
            Verdict::Passed(stages) => {
                self.passed += 1;
                self.gave_up += usize::from(report.gave_up.is_some());
                self.gave_up_because = self.gave_up_because.take().or(report.gave_up);
                self.commands += stages.iter().map(|stage| stage.metrics.commands).sum::<u64>();
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
        self.not_deterministic += usize::from(report.divergence.is_some());
        self.unwritten += usize::from(report.run_failure().is_some_and(|broken| broken.unwritten));
        if self.failures.len() < LISTED_MAX {
            self.failures.push(Failure {
                title: report.title().to_string(),
                lines: report.failure_text(),
                files: harness::indented_artifact_lines(kept),
                sentence: failure_sentence(&report),
                seed: report.seed,
                closing: harness::failure_footer(&report, kept, package),
            });
        }
    }

    /// The name of the scenario.
    pub(crate) fn name(&self) -> &'static str {
        self.about.name
    }

    /// The number of runs.
    pub(crate) fn runs(&self) -> usize {
        self.passed + self.not_passed()
    }

    /// The number of passed runs.
    pub(crate) fn passed(&self) -> usize {
        self.passed
    }

    /// The number of runs that did not pass.
    pub(crate) fn not_passed(&self) -> usize {
        self.failed + self.aborted + self.undecided + self.disturbed
    }

    /// The number of failed runs that reached code that is not written yet.
    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten
    }

    /// The message about the first run that did not pass, which is printed at once.
    pub(crate) fn first_failure(&self) -> String {
        let Some(Failure { seed, sentence, files, .. }) = self.failures.first() else { return String::new() };
        format!("{} does not pass with seed {seed}: {sentence}\n{files}", self.about.name)
    }

    /// The median cost of the passed runs, for each stage with its title; empty if no run passed.
    pub(crate) fn medians(&self) -> Vec<Stage> {
        let stages = self.costs.first().map_or(&[][..], Vec::as_slice).iter().enumerate();
        let median = |(index, stage): (usize, &Stage)| {
            let figures: Vec<&Metrics> = self.costs.iter().map(|stages| &stages[index].metrics).collect();
            Stage { title: stage.title.clone(), metrics: medians(&figures) }
        };
        stages.map(median).collect()
    }

    /// The line that says how many passed runs gave up; empty if none did.
    fn gave_up_line(&self) -> String {
        let Some(reason) = &self.gave_up_because else { return String::new() };
        format!("      {} of {} runs gave up; the first: {reason}\n", self.gave_up, self.runs())
    }

    /// The lines of a scenario that ran several times: medians if all runs passed, otherwise the first failure.
    pub(crate) fn lines(&self) -> String {
        let (runs, part) = (self.runs(), self.about.part);
        let Some(first) = self.failures.first() else {
            let of = if runs > MEDIANS_MAX { format!("the first {MEDIANS_MAX} of ") } else { String::new() };
            let line = |stage: &Stage| {
                let (title, passed) = (lines::title(part, &stage.title), lines::passed(part, &stage.metrics));
                format!("{title}\n{passed}   (medians of {of}{runs} runs)\n")
            };
            return self.medians().iter().map(line).collect::<String>() + &self.gave_up_line();
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

/// The failure of a run in one line.
pub(crate) fn failure_sentence(report: &Report) -> String {
    report.run_failure().map_or("", |broken| broken.text.lines().next().unwrap_or("")).to_string()
}

/// Returns the median of each column.
pub(crate) fn medians(all: &[&Metrics]) -> Metrics {
    fn median<T: Ord + Copy>(all: &[&Metrics], column: impl Fn(&Metrics) -> T) -> T {
        upper_median(all.iter().map(|figures| column(figures)).collect(), Ord::cmp).expect("there is a run")
    }
    Metrics {
        elapsed: median(all, |figures| figures.elapsed),
        servers: median(all, |figures| figures.servers),
        rpcs: median(all, |figures| figures.rpcs),
        bytes: median(all, |figures| figures.bytes),
        commands: median(all, |figures| figures.commands),
    }
}

/// Returns the median; of an even number, the upper of the two middle values. `None` if `values` is empty.
pub(crate) fn upper_median<T: Copy>(mut values: Vec<T>, order: impl Fn(&T, &T) -> Ordering) -> Option<T> {
    values.sort_unstable_by(order);
    values.get(values.len() / 2).copied()
}

/// Writes the summary of a batch, and the replay command of each failure. Failures in code that is not written yet are
/// left out, because their lines already say everything.
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
    if sum(|tally| tally.gave_up) > 0 {
        write!(out, "; {} passed but gave up", sum(|tally| tally.gave_up))?;
    }
    if sum(|tally| tally.not_deterministic) > 0 {
        write!(out, "; {} not deterministic", sum(|tally| tally.not_deterministic))?;
    }
    if sum(|tally| tally.unwritten) > 0 {
        write!(out, "; {} reached code that is not written yet", sum(|tally| tally.unwritten))?;
    }
    if harness::disturbed_runs() > 0 {
        let disturbed = sum(|tally| tally.disturbed);
        write!(
            out,
            "; {} disturbed by a busy machine and repeated, {disturbed} of them without success",
            harness::disturbed_runs()
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
            // The speed means nothing if runs end where they begin.
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
            writeln!(out, "\nand {} more failed runs of {name}", tally.not_passed() - tally.failures.len())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tester::{ClientHistory, Part, Scenario, ScenarioOutcome, runner};

    use super::*;

    fn about() -> ScenarioInfo {
        let title = "a scenario".to_string();
        ScenarioInfo { name: "example_3A", part: Part::P3A, title, from_course: false, servers: 3, seconds: 1 }
    }

    fn report(passes: bool, seed: u64) -> Report {
        let body = move |_, _: &_| {
            assert!(passes, "it goes wrong");
            ScenarioOutcome { stages: Vec::new(), history: Some(ClientHistory::default()), gave_up: None }
        };
        runner::run(&Scenario::new(about(), body), Clock::Simulated, seed)
    }

    #[test]
    fn a_batch_keeps_the_first_few_passes_and_failures() {
        let mut tally = Tally::new(&about());
        let mut kept = [0, 0];
        for seed in 0..3 * LISTED_MAX as u64 {
            for passes in [true, false] {
                let report = report(passes, seed);
                assert_eq!(report.passed(), passes);
                let may = tally.may_keep(&report);
                assert_eq!(may, seed < LISTED_MAX as u64, "seed {seed}");
                kept[usize::from(passes)] += usize::from(may);
                tally.add(report, &Artifacts::default(), "starter");
            }
        }
        assert_eq!(kept, [LISTED_MAX; 2]);
    }

    #[test]
    fn runs_that_gave_up_are_counted_with_the_reason_of_the_first() {
        let mut tally = Tally::new(&about());
        for gave_up in [None, Some("no leader"), Some("no follower")] {
            let body = move |_, _: &_| ScenarioOutcome {
                stages: Vec::new(),
                history: None,
                gave_up: gave_up.map(str::to_string),
            };
            let report = runner::run(&Scenario::new(about(), body), Clock::Simulated, 1);
            let line =
                gave_up.map(|reason| format!("      gave up: {reason}, so this run shows nothing about its title\n"));
            assert_eq!(report.lines(), line.unwrap_or_default());
            tally.add(report, &Artifacts::default(), "starter");
        }
        assert_eq!(tally.lines(), "      2 of 3 runs gave up; the first: no leader\n");
        let mut out = Vec::new();
        write(&[tally], Clock::Simulated, Duration::from_secs(1), &mut out).expect("a vector takes everything");
        assert!(String::from_utf8(out).expect("text").contains(" 0 failed; 2 passed but gave up\n"));
    }

    #[test]
    fn each_failure_in_the_summary_has_files_seed_and_replay() {
        let mut tally = Tally::new(&about());
        let kept = Artifacts {
            record: Some(PathBuf::from("/lab/run.record")),
            timeline: Some(PathBuf::from("/lab/run.html")),
            errors: Vec::new(),
        };
        tally.add(report(false, 42), &kept, "starter");
        assert!(tally.lines().ends_with("      timeline: /lab/run.html\n      record:  /lab/run.record\n"));
        let mut out = Vec::new();
        write(&[tally], Clock::Simulated, Duration::from_secs(1), &mut out).expect("a vector takes everything");
        let text = String::from_utf8(out).expect("text");
        let end = "\ntimeline: /lab/run.html\nlog:     cargo run --release -p starter -- log /lab/run.record\n\
                   seed:    42\nreplay:  LAB_SEED=42 cargo test -p starter -- simulated::example_3A\n    or:  cargo run \
                   --release -p starter -- run example_3A --seed 42\n";
        assert!(text.ends_with(end), "{text}");
    }
}
