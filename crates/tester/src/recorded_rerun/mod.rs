//! The record of a failed run that was not recorded: its seed runs again, with a record.
//!
//! Recording takes a tenth of the time of a simulated run, and nobody reads the record of a run that passes. So a batch
//! of many runs records none of them. A seed decides everything, so a second run of a failed seed is the same run. If
//! it is another run, the code under test is not deterministic: the verdict of the first run stands, the failure names
//! the parts of the outcome that differ, and more recorded runs look for the first outcome.

use crate::determinism::{describe_result, first_differing_event, run_recorded};
use crate::divergence::{Divergence, DivergencePoint, OutcomeDifference, RecordedRun};
use crate::report::{Report, Verdict};
use crate::scenario::Scenario;

/// Maximum number of recorded runs that look for the outcome of the first run after the second run had another one.
const MORE_RUNS_MAX: u32 = 10;

/// Returns `first`, a report on a simulated run of `scenario`, with a record and with the diagnosis that needs it. The
/// report is returned as it is if the run passed, if it is recorded already, or if it is known not to repeat.
pub(crate) fn with_record(scenario: &Scenario, first: Report) -> Report {
    if first.passed() || first.record.is_on() || first.divergence.is_some() {
        return first;
    }
    let second = run_recorded(scenario, first.seed);
    if second.outcome() == first.outcome() {
        return second;
    }
    // A run is aborted because the machine made no progress for half a minute of real time, which proves nothing.
    if [&first, &second].iter().any(|report| matches!(report.verdict, Verdict::Aborted(_))) {
        return first;
    }
    report_divergence(scenario, first, &second)
}

/// Returns the report of a run whose second run is another one.
fn report_divergence(scenario: &Scenario, first: Report, second: &Report) -> Report {
    let outcome = first.outcome();
    let (mut same, mut same_verdict, mut point) = (None, None, None);
    let has_same_verdict =
        |report: &Report| without_digits(&report.outcome().verdict) == without_digits(&outcome.verdict);
    if has_same_verdict(second) {
        same_verdict = Some(second.clone());
    }
    let mut more_runs = 0;
    while same.is_none() && more_runs < MORE_RUNS_MAX {
        more_runs += 1;
        let other = run_recorded(scenario, first.seed);
        point = point.or_else(|| first_differing_event(second, &other));
        if other.outcome() == outcome {
            same = Some(other);
        } else if same_verdict.is_none() && has_same_verdict(&other) {
            same_verdict = Some(other);
        }
    }
    let second_run = describe_result(second, first.passed());
    let difference =
        |recorded_run| OutcomeDifference { first: outcome.clone(), second: second.outcome(), more_runs, recorded_run };
    let (report, outcomes) = match (same, same_verdict) {
        (Some(same), _) => (same, difference(RecordedRun::Same)),
        (None, Some(Report { record, .. })) => (Report { record, ..first }, difference(RecordedRun::SameVerdict)),
        (None, None) => (first, difference(RecordedRun::None)),
    };
    let no_point = DivergencePoint { number: 0, before: Vec::new(), first: None, second: None };
    let point = point.unwrap_or(no_point);
    let divergence = Divergence { seed: report.seed, second_run, outcomes: Some(outcomes), point };
    report.with(Some(divergence))
}

/// Returns the text without its digits: two runs that fail in the same way may fail at different times.
fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests;
