//! A run whose faults end at a moment blames nobody: the plain Raft and the plain service without a mistake pass every scenario
//! that can do without its faults, whenever they end. `LAB_RUNS=100` runs a hundred seeds.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tester::{Clock, KvSubject, Report, Scenario, Subject, calm, kv_scenarios, raft_scenarios, runner};
use wrong::{KvServer, Raft};

/// When the faults end, in thousandths of the time that the scenario takes with all of them.
const MOMENTS: [u32; 5] = [0, 90, 310, 640, 870];

/// The same, where a run takes longer.
const FEWER_MOMENTS: [u32; 2] = [150, 560];

/// Runs each scenario with each seed and moment, several at a time.
fn pass_whenever_faults_end(scenarios: Vec<Scenario>, runs: u64, moments: &[u32]) {
    let runs = std::env::var("LAB_RUNS").map_or(runs, |text| text.parse().expect("LAB_RUNS is a number"));
    let scenarios: Vec<Scenario> =
        scenarios.into_iter().filter(|scenario| !calm::needs_its_faults(&scenario.about)).collect();
    let next = AtomicUsize::new(0);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut complaints = Vec::new();
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Relaxed)) {
            for seed in 1..=runs {
                complaints.extend(complaints_of(scenario, seed, moments));
            }
        }
        complaints
    };
    let complaints: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a failed run is a report, not a panic")).collect()
    });
    assert!(complaints.is_empty(), "{} runs blame the innocent:\n{}", complaints.len(), complaints.join("\n"));
}

/// What is said of the runs of one seed.
fn complaints_of(scenario: &Scenario, seed: u64, moments: &[u32]) -> Vec<String> {
    let whole = runner::run(scenario, Clock::Simulated, seed);
    let took = whole.stats.elapsed;
    let mut complaints = Vec::from_iter(complaint(&whole));
    for &thousandths in moments {
        let moment = Duration::from_millis(took.as_millis() as u64 * u64::from(thousandths) / 1000);
        let calmed = scenario.clone().calm_from(moment).expect("it can do without its faults");
        complaints.extend(complaint(&runner::run(&calmed, Clock::Simulated, seed)));
    }
    complaints
}

fn complaint(report: &Report) -> Option<String> {
    let from = report.calm_from.map_or(String::new(), calm::moment);
    (!report.passed()).then(|| format!("{}, calm from {from}: {}", report.about.name, report.lines()))
}

#[test]
fn a_raft_without_a_mistake_is_blamed_for_nothing_when_faults_are_left_out() {
    pass_whenever_faults_end(raft_scenarios(&Subject::made_by(Raft::making(None))), 5, &MOMENTS);
}

#[test]
fn a_service_without_a_mistake_is_blamed_for_nothing_when_faults_are_left_out() {
    pass_whenever_faults_end(kv_scenarios(&KvSubject::made_by(<KvServer<Raft>>::making(None))), 1, &FEWER_MOMENTS);
}

/// Up to the moment the run is the one with all its faults: the records have the same events.
#[test]
fn up_to_the_moment_a_run_is_the_same() {
    let scenarios = raft_scenarios(&Subject::made_by(Raft::making(None)));
    for name in ["figure_8_unreliable_3C", "unreliable_churn_3C", "snapshot_install_un_crash_3D"] {
        let scenario = scenarios.iter().find(|scenario| scenario.about.name == name).expect("it is in the table");
        let moment = Duration::from_secs(3);
        let calmed = scenario.clone().calm_from(moment).expect("it can do without its faults");
        let [whole, calmed] = [scenario, &calmed].map(|scenario| runner::run(scenario, Clock::Simulated, 7));
        let before = |report: &Report| {
            let events =
                report.record.events().filter(|event| !matches!(event.kind, record::EventKind::CalmFrom { .. }));
            events.take_while(|event| u128::from(event.at) < moment.as_nanos()).collect::<Vec<_>>()
        };
        let (with, without) = (before(&whole), before(&calmed));
        assert!(with.len() > 100, "{name}: {} events", with.len());
        assert!(with == without, "{name}: another run before the moment");
        assert_ne!(whole.hash(), calmed.hash(), "{name}: the same run after it");
    }
}
