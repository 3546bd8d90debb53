//! The plain Raft without a mistake under every scenario: in the simulation each with many seeds, and on threads those
//! that do not take long. `LAB_RUNS=1000` runs a thousand seeds.

use labstd::rng;
use tester::{About, Clock, Part, Report, Scenario, Subject, gate, harness, raft_scenarios, runner};
use wrong::Raft;

/// What of the last two parts runs on threads: persistence, and snapshots that are saved and read back.
const LATE_ON_THREADS: [&str; 3] = ["persist_1_3C", "unreliable_agree_3C", "snapshot_init_3D"];

/// The scenarios that are run on threads here; the root package runs all of them.
fn on_threads() -> impl Iterator<Item = Scenario> {
    let chosen = |about: &About| about.part <= Part::P3B || LATE_ON_THREADS.contains(&about.name);
    scenarios().into_iter().filter(move |scenario| chosen(&scenario.about))
}

/// All scenarios, told of the plain Raft.
fn scenarios() -> Vec<Scenario> {
    raft_scenarios(&Subject::made_by(Raft::making(None)))
}

/// What to say of a run that did not pass. Its seed is in the lines.
fn complaint(report: &Report) -> Option<String> {
    (!report.passed()).then(|| format!("{}: {}", report.about.name, report.lines()))
}

#[test]
fn without_a_mistake_it_passes_every_scenario() {
    let runs = std::env::var("LAB_RUNS").map_or(25, |text| text.parse().expect("LAB_RUNS is a number"));
    let mut failures = Vec::new();
    for scenario in scenarios() {
        let _pass = gate::admit(Clock::Simulated, &scenario.about);
        let run = |seed| runner::run(&scenario, Clock::Simulated, seed);
        failures.extend((1..=runs).filter_map(|seed| complaint(&run(seed))));
    }
    let failed = failures.len();
    assert!(failures.is_empty(), "{failed} failures in {runs} runs of each scenario:\n{}", failures.join("\n"));
}

#[test]
fn without_a_mistake_it_passes_on_threads() {
    let run = |scenario| harness::run_and_print(&scenario, Clock::Threads, rng::fresh_seed());
    let failures: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = on_threads().map(|scenario| scope.spawn(move || complaint(&run(scenario)))).collect();
        runs.into_iter().filter_map(|run| run.join().expect("a failed run is a report, not a panic")).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
