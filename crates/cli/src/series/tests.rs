use tester::Scenario;

use super::*;
use crate::args::ProgressMode;
use crate::plan::Seeds;
use crate::test_scenarios;

/// Runs a plan, and returns whether all runs passed, and the output. Nothing is saved.
fn run(plan: &Plan, change: impl FnOnce(&mut Series<'_>)) -> (bool, String) {
    let progress = Progress::new(ProgressMode::None, plan);
    let mut series = Series {
        plan,
        package: "starter",
        fail_fast: false,
        twice: false,
        hashes: true,
        progress,
        results: None,
        resume: None,
    };
    change(&mut series);
    let mut out = Vec::new();
    let passed = series.run(&mut out).expect("a vector takes everything");
    (passed, String::from_utf8(out).expect("text"))
}

fn plan(scenarios: Vec<Scenario>, jobs: usize, runs: u64) -> Plan {
    Plan::runs_of_each(scenarios, Clock::Simulated, jobs, runs, Seeds::new(None, Clock::Simulated)).expect("a plan")
}

/// Scenario and seed of each line.
fn seeds(lines: &str) -> Vec<(String, u64)> {
    let pair = |line: &str| {
        let mut words = line.split(' ');
        (words.next().expect("a name").to_string(), words.next().expect("a seed").parse().expect("a number"))
    };
    lines.lines().map(pair).collect()
}

#[test]
fn fail_fast_starts_no_run_and_counts_the_running_ones() {
    let scenarios = || {
        vec![test_scenarios::scenario("first_3A", |seed| seed == 5), test_scenarios::scenario("second_3A", |_| false)]
    };
    let (passed, lines) = run(&plan(scenarios(), 1, 10), |series| series.fail_fast = true);
    assert!(!passed);
    assert_eq!(seeds(&lines), (1..=5).map(|seed| ("first_3A".to_string(), seed)).collect::<Vec<_>>());
    let (_, lines) = run(&plan(scenarios(), 3, 10), |series| series.fail_fast = true);
    assert!(seeds(&lines).contains(&("first_3A".to_string(), 5)), "{lines}");
    let (passed, lines) = run(&plan(scenarios(), 3, 10), |_| ());
    assert!(!passed && seeds(&lines).len() == 20, "{lines}");
}

#[test]
fn an_endless_batch_runs_seed_after_seed_until_a_failure() {
    let scenarios =
        vec![test_scenarios::scenario("first_3A", |_| false), test_scenarios::scenario("second_3A", |seed| seed == 3)];
    let endless = Plan::endless(scenarios, Clock::Simulated, 1, Seeds::new(None, Clock::Simulated));
    let (passed, lines) = run(&endless, |series| series.fail_fast = true);
    assert!(!passed);
    let of_a_seed = |seed| [("first_3A".to_string(), seed), ("second_3A".to_string(), seed)];
    assert_eq!(seeds(&lines), [1, 2, 3].map(of_a_seed).concat());
}

#[test]
fn a_nondeterministic_run_has_not_passed() {
    let times = std::sync::atomic::AtomicUsize::new(0);
    let varying = test_scenarios::scenario("varying_3A", move |_| times.fetch_add(1, SeqCst) == 1);
    let steady = test_scenarios::scenario("steady_3A", |_| false);
    let (passed, _) = run(&plan(vec![steady], 1, 3), |series| series.twice = true);
    assert!(passed);
    let (passed, text) = run(&plan(vec![varying], 1, 1), |series| (series.twice, series.hashes) = (true, false));
    assert!(!passed);
    assert!(text.contains("NOT DETERMINISTIC: two runs of seed 1 differ from event "), "{text}");
    assert!(text.contains("the second run failed: ") && text.contains("1 failed; 1 not deterministic"), "{text}");
}

#[test]
fn a_batch_reports_a_failure_that_does_not_repeat() {
    // The first run fails, and all further runs of this seed pass.
    let times = std::sync::atomic::AtomicUsize::new(0);
    let varying = test_scenarios::scenario("varying_3A", move |seed| seed == 2 && times.fetch_add(1, SeqCst) == 0);
    let (passed, text) = run(&plan(vec![varying], 1, 3), |series| series.hashes = false);
    assert!(!passed);
    let first = "  ... 1 of 3 runs did not pass; the first:\n  ... FAILED after 0.000 s (seed 2)\n      \
                 NOT DETERMINISTIC: two runs of seed 2 differ in their verdicts; the second run passed\n";
    assert!(text.contains(first), "{text}");
    assert!(text.contains(", failed: ") && text.contains("it goes wrong"), "{text}");
    assert!(text.contains("1 failed; 1 not deterministic"), "{text}");
}

#[test]
fn unwritten_code_prints_only_its_own_message() {
    let (passed, text) =
        run(&plan(vec![test_scenarios::unwritten("example_3A")], 1, 1), |series| series.hashes = false);
    assert!(!passed);
    let expected = "Test (3A): a scenario ...\n  ... not written yet: Raft::start: take a command\n        where: ";
    assert!(text.starts_with(expected), "{text}");
    assert!(
        text.contains("\n        rule:  Figure 2\n\n1 scenarios, 1 runs: 0 passed, 1 failed; 1 reached code"),
        "{text}"
    );
    assert!(
        !text.contains("picture") && !text.contains("timeline") && !text.contains("replay") && !text.contains("seed"),
        "{text}"
    );
}
