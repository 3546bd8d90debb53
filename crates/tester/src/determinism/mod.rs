//! Determinism check: a second run of the same seed, and the first event at which it differs from the first run.
//!
//! In a simulation the seed decides everything, so two runs of one seed are equal to the last event. They differ only
//! if the code under test takes something from outside the simulation. Examples are the iteration order of a `HashMap`
//! of `std`, the OS clock, a thread that the simulation does not know, and a random generator of its own. Then a
//! failure does not replay, and no statement about replays holds. This module finds such code.

use std::collections::VecDeque;
use std::fmt;

use labstd::Clock;
use labstd::time::Duration;
use record::{Event, EventKind, Recorder, Topic};

use crate::artifacts::ArtifactStore;
use crate::history_check::OrdersToRecord;
use crate::runner::{self, Report, Verdict};
use crate::scenario::Scenario;

/// Number of common events that a report shows before the first difference.
const EVENTS_BEFORE: usize = 3;

/// PartitionExplanation of why two runs of one seed differ.
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
    /// First events that differ.
    pub point: DivergencePoint,
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

/// Runs the seed of `report`, a report on `scenario`, once more in the simulation. Returns `None` if the second run is
/// the same. The record of the second run is dropped on return.
///
/// # Panics
///
/// If the report is about a run on threads, where two runs always differ.
pub fn rerun(scenario: &Scenario, report: &Report) -> Option<Divergence> {
    assert!(report.clock == Clock::Simulated, "two runs on threads always differ");
    let second = runner::run_into(Recorder::default(), recorded_orders(), scenario, Clock::Simulated, report.seed);
    if second.hash() == report.hash() {
        return None;
    }
    let second_run = match (second.run_failure(), report.passed()) {
        (None, true) => "passed as well".to_string(),
        (None, false) => "passed".to_string(),
        (Some(run_failure), _) => format!("failed: {}", run_failure.text.lines().next().unwrap_or_default()),
    };
    // A long record omits some calls; a run of another length omits other calls. Then only the rest is compared.
    let whole = report.record.omitted() == 0 && second.record.omitted() == 0;
    let is_compared = |event: &Event| whole || (event.kind.topic() != Topic::Rpc && !is_gap(event));
    let point =
        first_divergence(report.record.events().filter(is_compared), second.record.events().filter(is_compared));
    // If the hashes differ and the kept events are equal, then the runs differ in omitted calls.
    let point =
        point.unwrap_or(DivergencePoint { number: report.record.len(), before: Vec::new(), first: None, second: None });
    Some(Divergence { seed: report.seed, second_run, point })
}

/// Returns the keys whose linearizations are recorded. They are part of the record, so they are part of its hash.
pub(crate) fn recorded_orders() -> OrdersToRecord {
    if ArtifactStore::from_env().keeps_all() { OrdersToRecord::OfAllKeys } else { OrdersToRecord::OfUnverifiedKeys }
}

/// Returns the first difference between two streams; `None` if they are equal.
pub fn first_divergence(
    first: impl Iterator<Item = Event>,
    mut second: impl Iterator<Item = Event>,
) -> Option<DivergencePoint> {
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
    /// Returns this report with the result of the second run of its seed. A run that passed but does not repeat counts
    /// as failed.
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

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence { seed, second_run, point } = self;
        write!(f, "NOT DETERMINISTIC: two runs of seed {seed} differ")?;
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

#[cfg(test)]
mod tests;
