//! The Raft of TiKV under every scenario: an independent Raft passes, with and without its protocol options, and the
//! diagnosis accuses it of nothing. The simulation runs each scenario with several seeds. `LAB_RUNS=200` runs 200, and
//! `-- --nocapture` shows which scenarios gave up.

use independent::{Options, Raft};
use labstd::rng;
use tester::{Clock, Report, Scenario, Subject, gate, harness, raft_scenarios, runner};

/// Number of seeds of each scenario.
const SEEDS: u64 = 20;

/// Returns all scenarios, run against servers with these options.
fn scenarios(options: Options) -> Vec<Scenario> {
    raft_scenarios(&Subject::with_factory(Raft::factory(options)))
}

/// Asserts that each scenario passes in the simulation with the seeds from 1 to [`SEEDS`], or to `LAB_RUNS` if that is
/// set, and that the diagnosis finds no broken rule in the record.
fn assert_innocent(options: Options) {
    let seeds = std::env::var("LAB_RUNS").map_or(SEEDS, |text| text.parse().expect("LAB_RUNS is a number"));
    let mut complaints = Vec::new();
    for scenario in scenarios(options) {
        let _pass = gate::admit(Clock::Simulated, &scenario.info);
        let mut gave_up = 0;
        for seed in 1..=seeds {
            let report = runner::run(&scenario, Clock::Simulated, seed);
            gave_up += u64::from(report.gave_up.is_some());
            complaints.extend(failure_of(&report));
            let found = diagnosis::diagnose_record(report.record.events(), &[]).found;
            complaints
                .extend(found.map(|found| format!("{}, seed {seed}: falsely proven: {found:?}", scenario.info.name)));
        }
        if gave_up > 0 {
            println!("{options:?}: {} gave up in {gave_up} of {seeds} runs", scenario.info.name);
        }
    }
    let count = complaints.len();
    assert!(complaints.is_empty(), "{count} complaints in {seeds} runs of each scenario:\n{}", complaints.join("\n"));
}

/// Returns the message of a failed run, which contains its seed; `None` if the run passed.
fn failure_of(report: &Report) -> Option<String> {
    (!report.passed()).then(|| format!("{}: {}", report.info.name, report.lines()))
}

#[test]
fn an_independent_raft_passes_every_scenario() {
    assert_innocent(Options::default());
}

#[test]
fn a_raft_with_pre_vote_passes_every_scenario() {
    assert_innocent(Options { pre_vote: true, ..Options::default() });
}

#[test]
fn a_raft_with_pre_vote_and_check_quorum_passes_every_scenario() {
    assert_innocent(Options { pre_vote: true, check_quorum: true });
}

#[test]
fn an_independent_raft_passes_every_scenario_on_threads() {
    let run = |scenario: &Scenario| harness::run_and_print(scenario, Clock::Threads, rng::fresh_seed());
    let failures: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = scenarios(Options::default())
            .into_iter()
            .map(|scenario| scope.spawn(move || failure_of(&run(&scenario))))
            .collect();
        runs.into_iter().filter_map(|run| run.join().expect("a failed run is a report, not a panic")).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
