//! Runs whose faults end early: removing faults cannot make a correct server fail. The plain Raft and the plain service
//! without a mistake must pass every scenario that does not need its faults, whenever the faults end. `LAB_RUNS=100`
//! runs a hundred seeds.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use mistakes::{KvServer, Raft};
use tester::{Clock, KvSubject, Report, Scenario, Subject, fault_cutoff, gate, kv_scenarios, raft_scenarios, runner};

use crate::false_alarms::seeds;
use crate::passing;

/// The moments at which the faults end, in thousandths of the duration of the scenario with all faults.
const CUTOFFS: [u32; 5] = [0, 90, 310, 640, 870];

/// The moments for scenarios whose runs take longer.
const FEWER_CUTOFFS: [u32; 2] = [150, 560];

/// Runs each scenario with each seed and moment, on all processors, and asserts that all runs pass.
fn assert_passes_at_every_cutoff(scenarios: Vec<Scenario>, runs: u64, cutoffs: &[u32]) {
    let runs = seeds(runs);
    let scenarios: Vec<Scenario> =
        scenarios.into_iter().filter(|scenario| !fault_cutoff::requires_faults(&scenario.info)).collect();
    let next = AtomicUsize::new(0);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut failures = Vec::new();
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Relaxed)) {
            let _pass = gate::admit(Clock::Simulated, &scenario.info);
            for seed in 1..=runs {
                failures.extend(failures_of(scenario, seed, cutoffs));
            }
        }
        failures
    };
    let failures: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a failed run is a report, not a panic")).collect()
    });
    assert!(failures.is_empty(), "{} runs of correct servers failed:\n{}", failures.len(), failures.join("\n"));
}

/// Returns the failures of the runs of one seed.
fn failures_of(scenario: &Scenario, seed: u64, cutoffs: &[u32]) -> Vec<String> {
    let whole = passing::run(scenario, seed);
    let took = whole.stats.elapsed;
    let mut failures = Vec::from_iter(failure_of(&whole));
    for &thousandths in cutoffs {
        let moment = Duration::from_millis(took.as_millis() as u64 * u64::from(thousandths) / 1000);
        let calmed = scenario.clone().with_fault_cutoff(moment).expect("the scenario does not need its faults");
        failures.extend(failure_of(&passing::run(&calmed, seed)));
    }
    failures
}

fn failure_of(report: &Report) -> Option<String> {
    let from = report.fault_cutoff.map_or(String::new(), fault_cutoff::format_moment);
    (!report.passed()).then(|| format!("{}, calm from {from}: {}", report.info.name, report.lines()))
}

#[test]
fn a_correct_raft_passes_wherever_the_faults_end() {
    assert_passes_at_every_cutoff(raft_scenarios(&Subject::with_factory(Raft::factory(None))), 5, &CUTOFFS);
}

#[test]
fn a_correct_service_passes_wherever_the_faults_end() {
    assert_passes_at_every_cutoff(
        kv_scenarios(&KvSubject::with_factory(<KvServer<Raft>>::factory(None))),
        1,
        &FEWER_CUTOFFS,
    );
}

/// Before the cutoff the run is the same as with all its faults: the records have the same events.
#[test]
fn a_run_is_unchanged_up_to_its_fault_cutoff() {
    let scenarios = raft_scenarios(&Subject::with_factory(Raft::factory(None)));
    for name in ["figure_8_unreliable_3C", "unreliable_churn_3C", "snapshot_install_un_crash_3D"] {
        let scenario =
            scenarios.iter().find(|scenario| scenario.info.name == name).expect("the scenario is in the table");
        let moment = Duration::from_secs(3);
        let calmed = scenario.clone().with_fault_cutoff(moment).expect("the scenario does not need its faults");
        let [whole, calmed] = [scenario, &calmed].map(|scenario| runner::run(scenario, Clock::Simulated, 7));
        let before = |report: &Report| {
            let events =
                report.record.events().filter(|event| !matches!(event.kind, record::EventKind::FaultCutoff { .. }));
            events.take_while(|event| u128::from(event.at) < moment.as_nanos()).collect::<Vec<_>>()
        };
        let (with, without) = (before(&whole), before(&calmed));
        assert!(with.len() > 100, "{name}: {} events", with.len());
        assert!(with == without, "{name}: the runs differ before the cutoff");
        assert_ne!(whole.hash(), calmed.hash(), "{name}: the runs do not differ after the cutoff");
    }
}
