//! The plain key/value service over the plain Raft, both without a mistake, under every scenario of parts 4A and 4B: in
//! the simulation each with several seeds, and on threads a few that do not take long. `LAB_RUNS=1000` runs a thousand
//! seeds.

use labstd::rng;
use tester::{Clock, KvSubject, Report, Scenario, gate, harness, kv_scenarios, runner};
use wrong::{KvServer, Raft};

/// What runs on threads: none takes longer than 15 s.
const ON_THREADS: [&str; 5] =
    ["unreliable_one_key_4A", "one_partition_4A", "snapshot_rpc_4B", "speed_4A", "snapshot_size_4B"];

/// All scenarios, told of the plain service.
fn scenarios() -> Vec<Scenario> {
    kv_scenarios(&KvSubject::made_by(<KvServer<Raft>>::making(None)))
}

/// What to say of a run that did not pass. Its seed is in the lines.
fn complaint(report: &Report) -> Option<String> {
    (!report.passed()).then(|| format!("{}: {}", report.about.name, report.lines()))
}

#[test]
fn without_a_mistake_it_passes_every_scenario() {
    let runs = std::env::var("LAB_RUNS").map_or(3, |text| text.parse().expect("LAB_RUNS is a number"));
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
    let run = |scenario: &Scenario| harness::run_and_print(scenario, Clock::Threads, rng::fresh_seed());
    let failures: Vec<String> = std::thread::scope(|scope| {
        let scenarios = scenarios().into_iter().filter(|scenario| ON_THREADS.contains(&scenario.about.name));
        let runs: Vec<_> = scenarios.map(|scenario| scope.spawn(move || complaint(&run(&scenario)))).collect();
        runs.into_iter().filter_map(|run| run.join().expect("a failed run is a report, not a panic")).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
