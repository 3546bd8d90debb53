//! A second run of the same seed, and where it differs from the first. In a simulation the seed decides everything, so that
//! two runs of one seed are the same to the last event, unless the code under test takes something from outside: the order
//! of a `HashMap` of `std`, the clock of the OS, a thread that the simulation does not know, a generator of its own. Then a
//! failure does not come back when it is run again, and nothing that is said of replays holds. This finds it.

use std::collections::VecDeque;
use std::fmt;

use labstd::Clock;
use labstd::time::Duration;
use record::{Event, EventKind, Recorder, Topic};

use crate::history_check::OrdersToRecord;
use crate::artifacts::ArtifactStore;
use crate::runner::{self, Report, Verdict};
use crate::scenario::Scenario;

/// How many events before the first that differs are told.
const EVENTS_BEFORE: usize = 3;

/// What makes two runs of one seed differ.
const CAUSES: &str = "the code under test has taken something from outside of the simulation: it iterates a HashMap or a \
                      HashSet of std, or uses std::time::Instant::now, a thread, a lock or a channel of std, or rand::rng(); \
                      docs/simulation.md says what to use instead";

/// Where two runs of one seed part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The seed of both.
    pub seed: u64,
    /// How the second run ended, in a few words.
    pub second_run: String,
    /// The first events that are not the same.
    pub point: DivergencePoint,
}

/// The first events of two streams that are not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DivergencePoint {
    /// The number of the event in both streams; the first of a stream is 1.
    pub number: u64,
    /// The events before it, which both streams have; at most three.
    pub before: Vec<Event>,
    /// The event of the first stream; nothing if that ends here.
    pub first: Option<Event>,
    /// The event of the second stream; nothing if that ends here.
    pub second: Option<Event>,
}

/// Runs the seed of `report`, which came of `scenario`, once more in the simulation. `None`: the second run was the same.
/// The second record is gone when this returns.
///
/// # Panics
///
/// If the report is of a run on threads, where two runs are never the same.
pub fn rerun(scenario: &Scenario, report: &Report) -> Option<Divergence> {
    assert!(report.clock == Clock::Simulated, "runs on threads differ by themselves");
    let second = runner::run_into(Recorder::default(), recorded_orders(), scenario, Clock::Simulated, report.seed);
    if second.hash() == report.hash() {
        return None;
    }
    let second_run = match (second.run_failure(), report.passed()) {
        (None, true) => "passed as well".to_string(),
        (None, false) => "passed".to_string(),
        (Some(run_failure), _) => format!("failed: {}", run_failure.text.lines().next().unwrap_or_default()),
    };
    // Of a long record calls are left out, in other places if the run is longer: then the rest is compared.
    let whole = report.record.omitted() == 0 && second.record.omitted() == 0;
    let is_compared = |event: &Event| whole || (event.kind.topic() != Topic::Rpc && !is_gap(event));
    let point = first_divergence(report.record.events().filter(is_compared), second.record.events().filter(is_compared));
    // Records whose hashes differ and whose events are the same differ in calls that are not kept.
    let point =
        point.unwrap_or(DivergencePoint { number: report.record.len(), before: Vec::new(), first: None, second: None });
    Some(Divergence { seed: report.seed, second_run, point })
}

/// Of which keys the orders are recorded: part of the record, and so of its hash.
pub(crate) fn recorded_orders() -> OrdersToRecord {
    if ArtifactStore::from_env().keeps_all() { OrdersToRecord::OfAllKeys } else { OrdersToRecord::OfUnverifiedKeys }
}

/// Where two streams part; `None` if they are the same.
pub fn first_divergence(first: impl Iterator<Item = Event>, mut second: impl Iterator<Item = Event>) -> Option<DivergencePoint> {
    let mut before = VecDeque::with_capacity(EVENTS_BEFORE + 1);
    let mut number = 1;
    for event in first {
        let other = second.next();
        if other.as_ref() != Some(&event) {
            return Some(DivergencePoint { number, before: before.into(), first: Some(event), second: other });
        }
        before.push_back(event);
        if before.len() > EVENTS_BEFORE {
            before.pop_front();
        }
        number += 1;
    }
    second.next().map(|other| DivergencePoint { number, before: before.into(), first: None, second: Some(other) })
}

fn is_gap(event: &Event) -> bool {
    matches!(event.kind, EventKind::CallsOmitted { .. })
}

impl Report {
    /// The same report, with what a second run of its seed has shown: a run that passed and is not the same when it runs
    /// again has not passed.
    pub(crate) fn with(mut self, divergence: Option<Divergence>) -> Report {
        let Some(found) = &divergence else { return self };
        let at = found.point.at().unwrap_or(self.stats.elapsed);
        match &mut self.verdict {
            Verdict::Failed(run_failure)
            | Verdict::Disturbed(run_failure)
            | Verdict::Aborted(run_failure)
            | Verdict::Undecided(run_failure) => {
                run_failure.text = format!("{found}\nthe first run: {}", run_failure.text);
            }
            Verdict::Passed(_) => {
                let run_failure = runner::RunFailure::plain(found.to_string(), at);
                self.verdict = Verdict::Failed(run_failure);
            }
        }
        self.divergence = divergence;
        self
    }
}

impl DivergencePoint {
    /// When, on the clock of the runs; `None` if no event is known.
    pub fn at(&self) -> Option<Duration> {
        let at = [&self.first, &self.second].into_iter().flatten().map(|event| event.at).min()?;
        Some(Duration::from_nanos(at))
    }

    /// The events as text, one a line, those of the two streams with these words before them.
    pub fn lines(&self, first: &str, second: &str) -> String {
        let width = first.len().max(second.len()).max("both".len()) + 1;
        let line = |who: &str, text: &str| format!("\n  {:width$} {text}", format!("{who}:"));
        let mut lines: String = self.before.iter().map(|event| line("both", &event.to_string())).collect();
        let [mut ours, mut theirs] =
            [&self.first, &self.second].map(|event| event.as_ref().map_or("(ends)".to_string(), Event::to_string));
        if ours == theirs {
            // What differs is nothing that the text has: mostly the time, in digits that it leaves out.
            [ours, theirs] = [&self.first, &self.second].map(|event| match event {
                Some(event) => format!("{event} [{} ns, {:?}]", event.at, event.kind),
                None => String::new(),
            });
        }
        lines += &line(first, &ours);
        lines += &line(second, &theirs);
        lines
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence { seed, second_run, point } = self;
        write!(f, "NOT DETERMINISTIC: two runs of seed {seed} differ")?;
        match point.at() {
            Some(at) => write!(f, " from event {} on, at {:.4} s", point.number, at.as_secs_f64())?,
            None => write!(f, " in calls that their records do not keep")?,
        }
        write!(f, "; the second run {second_run}")?;
        if point.at().is_some() {
            write!(f, "{}", point.lines("first", "second"))?;
        }
        write!(f, "\n{CAUSES}")
    }
}

#[cfg(test)]
mod tests;
