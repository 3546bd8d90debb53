//! Assertions that all scenarios pass against correct servers.

use labstd::rng;
use record::Options;
use tester::{Clock, Report, Scenario, gate, harness, runner};

/// Asserts that each scenario passes in the simulation with the seeds from 1 to `runs`, or to `LAB_RUNS` if that is
/// set.
pub(crate) fn assert_all_pass(scenarios: Vec<Scenario>, runs: u64) {
    let runs = std::env::var("LAB_RUNS").map_or(runs, |text| text.parse().expect("LAB_RUNS is a number"));
    let mut failures = Vec::new();
    for scenario in scenarios {
        let _pass = gate::admit(Clock::Simulated, &scenario.info);
        // Only the record of a failed run is of use, and a second run of its seed has one.
        let passes = |seed: &u64| runner::run_with(&scenario, Clock::Simulated, *seed, Options::off()).passed();
        let failed = (1..=runs).filter(|seed| !passes(seed));
        failures.extend(failed.map(|seed| {
            let report = runner::run(&scenario, Clock::Simulated, seed);
            failure_of(&report).unwrap_or_else(|| format!("{}: seed {seed} fails without a record", report.info.name))
        }));
    }
    let failed = failures.len();
    assert!(failures.is_empty(), "{failed} failures in {runs} runs of each scenario:\n{}", failures.join("\n"));
}

/// Asserts that each scenario passes on threads. They run concurrently, as far as the gate admits them.
pub(crate) fn assert_all_pass_on_threads(scenarios: impl Iterator<Item = Scenario>) {
    let run = |scenario: &Scenario| harness::run_and_print(scenario, Clock::Threads, rng::fresh_seed());
    let failures: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = scenarios.map(|scenario| scope.spawn(move || failure_of(&run(&scenario)))).collect();
        runs.into_iter().filter_map(|run| run.join().expect("a failed run is a report, not a panic")).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Returns the message of a failed run, which contains its seed; `None` if the run passed.
fn failure_of(report: &Report) -> Option<String> {
    (!report.passed()).then(|| format!("{}: {}", report.info.name, report.lines()))
}
