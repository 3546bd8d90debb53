//! The plain Raft without a mistake under every scenario of the parts it has: each in the simulation, with many seeds,
//! and on threads. `LAB_RUNS=1000` runs a thousand seeds.

use labstd::rng;
use tester::{Clock, Part, Report, Scenario, Subject, gate, harness, raft_scenarios, runner};
use wrong::Raft;

/// The scenarios of the parts that the plain Raft has: it saves nothing yet.
fn scenarios() -> impl Iterator<Item = Scenario<Raft>> {
    raft_scenarios().into_iter().filter(|scenario| scenario.part <= Part::P3B)
}

/// What to say of a run that did not pass. Its seed is in the lines.
fn complaint(report: &Report) -> Option<String> {
    (!report.passed()).then(|| format!("{}: {}", report.scenario, report.lines()))
}

#[test]
fn without_a_mistake_it_passes_every_scenario() {
    let runs = std::env::var("LAB_RUNS").map_or(25, |text| text.parse().expect("LAB_RUNS is a number"));
    let subject = Subject::made_by(Raft::making(None));
    let mut failures = Vec::new();
    for scenario in scenarios() {
        let _pass = gate::admit(Clock::Simulated, scenario.seconds);
        let run = |seed| runner::run(&scenario, &subject, Clock::Simulated, seed);
        failures.extend((1..=runs).filter_map(|seed| complaint(&run(seed))));
    }
    let failed = failures.len();
    assert!(failures.is_empty(), "{failed} failures in {runs} runs of each scenario:\n{}", failures.join("\n"));
}

#[test]
fn without_a_mistake_it_passes_every_scenario_on_threads() {
    let subject = Subject::made_by(Raft::making(None));
    let run = |scenario| harness::run_and_print(&scenario, &subject, Clock::Threads, rng::fresh_seed());
    let failures: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = scenarios().map(|scenario| scope.spawn(move || complaint(&run(scenario)))).collect();
        runs.into_iter().filter_map(|run| run.join().expect("a failed run is a report, not a panic")).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
