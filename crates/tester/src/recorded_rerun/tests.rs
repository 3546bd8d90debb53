use labstd::Clock;
use labstd::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use labstd::thread;
use record::Options;

use super::*;
use crate::determinism::tests::{Caller, Source};
use crate::harness;
use crate::scenario::{ClientHistory, ScenarioOutcome};
use crate::{Part, ScenarioInfo, raft_scenarios, runner};

/// Returns the description of a scenario without servers.
fn example() -> ScenarioInfo {
    ScenarioInfo {
        name: "example_3A",
        part: Part::P3A,
        title: "an example".to_string(),
        from_course: false,
        servers: 3,
        seconds: 1,
    }
}

/// Returns a scenario whose runs fail with the sentences that `sentences` contains, one after the other; a run passes
/// where there is none.
fn scenario_with_results(sentences: &'static [Option<&'static str>]) -> Scenario {
    let runs = AtomicUsize::new(0);
    Scenario::new(example(), move |_, _| {
        if let Some(sentence) = sentences[runs.fetch_add(1, SeqCst)] {
            panic!("{sentence}");
        }
        ScenarioOutcome { stages: Vec::new(), history: Some(ClientHistory::default()), gave_up: None }
    })
}

/// Returns the report of the first of these results, after more runs have looked for it.
fn report_with_results(sentences: &'static [Option<&'static str>]) -> Report {
    let scenario = scenario_with_results(sentences);
    let first = runner::run_with(&scenario, Clock::Simulated, 7, Options::off());
    with_record(&scenario, first)
}

fn text(report: &Report) -> &str {
    &report.run_failure().expect("the first run failed").text
}

fn recorded_run(report: &Report) -> RecordedRun {
    report.divergence.as_ref().and_then(|found| found.outcomes.as_ref()).expect("the outcomes differ").recorded_run
}

#[test]
fn a_failed_run_gets_the_record_that_it_would_have_had() {
    // No server is ever elected, so the run fails.
    let scenario = raft_scenarios(&Caller::with(Source::Nothing)).swap_remove(0);
    let first = runner::run_with(&scenario, Clock::Simulated, 7, Options::off());
    assert!(first.record.is_empty() && !first.passed());
    let recorded = runner::run(&scenario, Clock::Simulated, 7);
    assert_eq!(first.outcome(), recorded.outcome(), "the outcome does not depend on recording");
    let report = with_record(&scenario, first);
    assert_eq!(report.hash(), recorded.hash());
    assert!(report.record.events().eq(recorded.record.events()));
    assert_eq!(report.lines(), recorded.lines());
    assert_eq!((report.verdict, report.divergence), (recorded.verdict, None));
}

#[test]
fn code_that_reads_the_os_clock_is_reported() {
    #[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the test checks that this is reported")]
    let begun = std::time::Instant::now();
    let scenario = Scenario::new(example(), move |_, _| {
        thread::sleep(begun.elapsed());
        panic!("it breaks");
    });
    let first = runner::run_with(&scenario, Clock::Simulated, 7, Options::off());
    let report = with_record(&scenario, first);
    let text = text(&report);
    assert!(text.starts_with("NOT DETERMINISTIC: two runs of seed 7 differ in their "), "{text}");
    assert!(text.contains("their schedules; the second run failed: "), "{text}");
    assert!(text.contains("\n  first:  ") && text.contains("\n  second: "), "{text}");
    assert!(text.contains("\ntwo recorded runs differ from event "), "{text}");
    assert!(text.contains("none is the same as the first: the record is of one with the same verdict"), "{text}");
    assert!(text.contains("\nthe first run: ") && text.contains("it breaks"), "{text}");
    assert!(report.record.events().any(|event| event.to_string().contains("it breaks")));
    let closing = harness::failure_footer(&report, &crate::artifacts::Artifacts::default(), "starter");
    assert!(!closing.contains("replay"), "{closing}");
}

#[test]
fn more_runs_find_the_outcome_of_the_first_run() {
    let report = report_with_results(&[Some("it breaks"), None, Some("it bends"), Some("it breaks"), None]);
    let text = text(&report);
    assert!(
        text.starts_with("NOT DETERMINISTIC: two runs of seed 7 differ in their verdicts; the second run passed\n")
    );
    assert!(text.contains("of 2 more runs, the last is the same as the first"), "{text}");
    assert!(text.contains("\n  first:  ") && text.contains(", failed: ") && text.contains(", passed\n"), "{text}");
    assert_eq!(recorded_run(&report), RecordedRun::Same);
    assert!(report.record.events().any(|event| event.to_string().contains("it breaks")));
}

#[test]
fn the_first_verdict_stands_even_if_it_never_returns() {
    let mut results = [None; 12];
    results[0] = Some("it breaks");
    let report = report_with_results(Box::leak(Box::new(results)));
    assert!(matches!(report.verdict, Verdict::Failed(_)));
    let text = text(&report);
    assert!(text.contains("of 10 more runs, none has the verdict of the first, so there is no record of it"), "{text}");
    assert!(text.contains("\nthe first run: ") && text.contains("it breaks"), "{text}");
    assert_eq!(recorded_run(&report), RecordedRun::None);
    assert!(report.record.is_empty());
}
