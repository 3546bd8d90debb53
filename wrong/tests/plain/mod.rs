//! That scenarios pass, told of who makes no mistake.

use labstd::rng;
use tester::{Clock, Report, Scenario, gate, harness, runner};

/// In the simulation, each with the seeds from 1 to `runs`, or to `LAB_RUNS` if that is set.
pub(crate) fn passes_every(scenarios: Vec<Scenario>, runs: u64) {
    let runs = std::env::var("LAB_RUNS").map_or(runs, |text| text.parse().expect("LAB_RUNS is a number"));
    let mut failures = Vec::new();
    for scenario in scenarios {
        let _pass = gate::admit(Clock::Simulated, &scenario.about);
        let run = |seed| runner::run(&scenario, Clock::Simulated, seed);
        failures.extend((1..=runs).filter_map(|seed| complaint(&run(seed))));
    }
    let failed = failures.len();
    assert!(failures.is_empty(), "{failed} failures in {runs} runs of each scenario:\n{}", failures.join("\n"));
}

/// On threads, all at once as far as the gate lets them.
pub(crate) fn passes_on_threads(scenarios: impl Iterator<Item = Scenario>) {
    let run = |scenario: &Scenario| harness::run_and_print(scenario, Clock::Threads, rng::fresh_seed());
    let failures: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = scenarios.map(|scenario| scope.spawn(move || complaint(&run(&scenario)))).collect();
        runs.into_iter().filter_map(|run| run.join().expect("a failed run is a report, not a panic")).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What to say of a run that did not pass. Its seed is in the lines.
fn complaint(report: &Report) -> Option<String> {
    (!report.passed()).then(|| format!("{}: {}", report.about.name, report.lines()))
}
