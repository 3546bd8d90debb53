//! Determinism check: a second run of the same seed, and the first event at which it differs from the first run.
//!
//! In a simulation the seed decides everything, so two runs of one seed are equal to the last event. They differ only
//! if the code under test takes something from outside the simulation. Examples are the iteration order of a `HashMap`
//! of `std`, the OS clock, a thread that the simulation does not know, and a random generator of its own. Then a
//! failure does not replay, and no statement about replays holds. This module finds such code.

use std::collections::VecDeque;

use labstd::Clock;
use record::{Event, EventKind, Options, Topic};

use crate::artifacts::ArtifactStore;
use crate::history_check::OrdersToRecord;
use crate::report::Report;
use crate::runner::{self, Observers};
use crate::scenario::Scenario;

pub use crate::divergence::{Divergence, DivergencePoint};

/// Number of common events that a report shows before the first difference.
const EVENTS_BEFORE: usize = 3;

/// Runs the seed of `report`, a report on `scenario`, once more in the simulation. Returns `None` if the second run is
/// the same. The record of the second run is dropped on return.
///
/// # Panics
///
/// If the report is about a run on threads, where two runs always differ.
pub fn rerun(scenario: &Scenario, report: &Report) -> Option<Divergence> {
    assert!(report.clock == Clock::Simulated, "two runs on threads always differ");
    let second = run_recorded(scenario, report.seed);
    let point = first_differing_event(report, &second)?;
    let second_run = describe_result(&second, report.passed());
    Some(Divergence { seed: report.seed, second_run, outcomes: None, point })
}

/// Runs a seed in the simulation, with a record.
pub(crate) fn run_recorded(scenario: &Scenario, seed: u64) -> Report {
    runner::run_observed(&Observers::new(Options::default(), recorded_orders()), scenario, Clock::Simulated, seed)
}

/// Returns the result of a second run in a few words.
pub(crate) fn describe_result(second: &Report, first_passed: bool) -> String {
    match (second.run_failure(), first_passed) {
        (None, true) => "passed as well".to_string(),
        (None, false) => "passed".to_string(),
        (Some(run_failure), _) => format!("failed: {}", run_failure.text.lines().next().unwrap_or_default()),
    }
}

/// Returns the first difference between the records of two runs; `None` if they are equal.
pub(crate) fn first_differing_event(first: &Report, second: &Report) -> Option<DivergencePoint> {
    if second.hash() == first.hash() {
        return None;
    }
    // A long record omits some calls; a run of another length omits other calls. Then only the rest is compared.
    let whole = first.record.omitted() == 0 && second.record.omitted() == 0;
    let is_compared = |event: &Event| whole || (event.kind.topic() != Topic::Rpc && !is_gap(event));
    let point = first_divergence(first.record.events().filter(is_compared), second.record.events().filter(is_compared));
    // If the hashes differ and the kept events are equal, then the runs differ in omitted calls.
    Some(point.unwrap_or(DivergencePoint { number: first.record.len(), before: Vec::new(), first: None, second: None }))
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

#[cfg(test)]
pub(crate) mod tests;
