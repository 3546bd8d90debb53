//! The first difference between two runs of one seed, and its text in a report.

use std::fmt;

use labstd::time::Duration;
use record::Event;

/// Reason why two runs of one seed differ.
const CAUSES: &str = "the code under test takes something from outside the simulation: it iterates over a HashMap or \
                      a HashSet of std, or it uses std::time::Instant::now, a thread, a lock or a channel of std, or \
                      rand::rng(); docs/simulation.md names the replacements";

/// First difference between two runs of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Seed of both runs.
    pub seed: u64,
    /// Result of the second run, in a few words.
    pub second_run: String,
    /// Difference of the outcomes, if the first run was not recorded. Then `point` is about two recorded runs.
    pub outcomes: Option<OutcomeDifference>,
    /// First events that differ.
    pub point: DivergencePoint,
}

/// Outcome of a run. It does not depend on recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `passed`, or another verdict and the sentence of the failure.
    pub verdict: String,
    /// Number of scheduler steps.
    pub steps: u64,
    /// Hash of the schedule: of the thread and the time of each step.
    pub schedule_hash: u64,
}

/// Difference between the outcome of a run without a record and the outcome of a recorded run of the same seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeDifference {
    /// Outcome of the run without a record.
    pub first: Outcome,
    /// Outcome of the second run, which was recorded.
    pub second: Outcome,
    /// Number of recorded runs after the second one.
    pub more_runs: u32,
    /// The run whose record the report has.
    pub recorded_run: RecordedRun,
}

/// The run whose record a report has, if its own run was not recorded and does not repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedRun {
    /// A later run with the same outcome.
    Same,
    /// A later run with the same verdict and another schedule.
    SameVerdict,
    /// None: no recorded run had the same verdict.
    None,
}

/// First events that differ between two streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DivergencePoint {
    /// Number of the event in both streams; the first event of a stream is number 1.
    pub number: u64,
    /// The events before the difference, which both streams contain; at most three.
    pub before: Vec<Event>,
    /// The event of the first stream; `None` if that stream ends here.
    pub first: Option<Event>,
    /// The event of the second stream; `None` if that stream ends here.
    pub second: Option<Event>,
}

impl DivergencePoint {
    /// Returns the time of the difference on the clock of the runs; `None` if no differing event is known.
    pub fn at(&self) -> Option<Duration> {
        let at = [&self.first, &self.second].into_iter().flatten().map(|event| event.at).min()?;
        Some(Duration::from_nanos(at))
    }

    /// Formats the events, one per line; `first` and `second` label the events of the two streams.
    pub fn lines(&self, first: &str, second: &str) -> String {
        let width = first.len().max(second.len()).max("both".len()) + 1;
        let line = |label: &str, text: &str| format!("\n  {:width$} {text}", format!("{label}:"));
        let mut lines: String = self.before.iter().map(|event| line("both", &event.to_string())).collect();
        let [mut first_text, mut second_text] =
            [&self.first, &self.second].map(|event| event.as_ref().map_or("(ends)".to_string(), Event::to_string));
        if first_text == second_text {
            // The texts are equal, so the difference is in a part that the text omits, usually the digits of the time.
            [first_text, second_text] = [&self.first, &self.second].map(|event| match event {
                Some(event) => format!("{event} [{} ns, {:?}]", event.at, event.kind),
                None => String::new(),
            });
        }
        lines += &line(first, &first_text);
        lines += &line(second, &second_text);
        lines
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { verdict, steps, schedule_hash } = self;
        write!(f, "{steps} steps, schedule {schedule_hash:016x}, {verdict}")
    }
}

impl OutcomeDifference {
    /// Names the parts of the outcome that differ.
    fn parts(&self) -> String {
        let OutcomeDifference { first, second, .. } = self;
        let parts = [
            ("their verdicts", first.verdict != second.verdict),
            ("their numbers of steps", first.steps != second.steps),
            ("their schedules", first.schedule_hash != second.schedule_hash),
        ];
        let differing: Vec<&str> = parts.iter().filter(|(_, differ)| *differ).map(|(part, _)| *part).collect();
        differing.join(" and ")
    }
}

/// Both outcomes, and the origin of the record, one line each.
impl fmt::Display for OutcomeDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutcomeDifference { first, second, more_runs, recorded_run } = self;
        write!(f, "\n  first:  {first}\n  second: {second}\nonly the second was recorded; of {more_runs} more runs, ")?;
        f.write_str(match recorded_run {
            RecordedRun::Same => "the last is the same as the first: the record is of that run",
            RecordedRun::SameVerdict => "none is the same as the first: the record is of one with the same verdict",
            RecordedRun::None => "none has the verdict of the first, so there is no record of it",
        })
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence { seed, second_run, outcomes, point } = self;
        write!(f, "NOT DETERMINISTIC: two runs of seed {seed} differ")?;
        if let Some(outcomes) = outcomes {
            write!(f, " in {}; the second run {second_run}{outcomes}", outcomes.parts())?;
            if let Some(at) = point.at() {
                let (number, at) = (point.number, at.as_secs_f64());
                write!(f, "\ntwo recorded runs differ from event {number} on, at {at:.4} s")?;
                write!(f, "{}", point.lines("one", "other"))?;
            }
            return write!(f, "\n{CAUSES}");
        }
        match point.at() {
            Some(at) => write!(f, " from event {} on, at {:.4} s", point.number, at.as_secs_f64())?,
            None => write!(f, " in calls that the records omit")?,
        }
        write!(f, "; the second run {second_run}")?;
        if point.at().is_some() {
            write!(f, "{}", point.lines("first", "second"))?;
        }
        write!(f, "\n{CAUSES}")
    }
}
