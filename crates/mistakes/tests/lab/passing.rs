//! Assertions that all scenarios pass against correct servers.

use labstd::rng;
use record::Options;
use tester::{Clock, Report, Scenario, gate, harness, runner};

use crate::false_alarms::seeds;

/// Asserts that each scenario passes in the simulation with the seeds from 1 to `runs`, or to `LAB_RUNS` if that is
/// set.
pub(crate) fn assert_all_pass(scenarios: Vec<Scenario>, runs: u64) {
    let runs = seeds(runs);
    let mut failures = Vec::new();
    for scenario in scenarios {
        let _pass = gate::admit(Clock::Simulated, &scenario.info);
        failures.extend((1..=runs).filter_map(|seed| failure_of(&run(&scenario, seed))));
    }
    let failed = failures.len();
    assert!(failures.is_empty(), "{failed} failures in {runs} runs of each scenario:\n{}", failures.join("\n"));
}

/// Runs a scenario in the simulation. Only the record of a failed run is of use, so only the second run of a seed that
/// fails has one. If the second run passes, the report is that of the first.
pub(crate) fn run(scenario: &Scenario, seed: u64) -> Report {
    let first = runner::run_with(scenario, Clock::Simulated, seed, Options::off());
    if first.passed() {
        return first;
    }
    let second = runner::run(scenario, Clock::Simulated, seed);
    if second.passed() { first } else { second }
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
