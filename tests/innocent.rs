//! The reference is accused of no mistake: in the records of its runs no rule is found to be broken.

use kvraft::KvServer;
use raft::Raft;
use tester::{Clock, KvSubject, Scenario, Subject, diagnosis, gate, kv_scenarios, raft_scenarios, runner};

/// The seeds of each scenario; `LAB_RUNS` says otherwise.
const RAFT_SEEDS: u64 = 3;
const KV_SEEDS: u64 = 1;

fn seeds(usually: u64) -> u64 {
    std::env::var("LAB_RUNS").map_or(usually, |text| text.parse().expect("LAB_RUNS is a number"))
}

fn accused(scenarios: Vec<Scenario>, seeds: u64) -> Vec<String> {
    let mut accused = Vec::new();
    for scenario in scenarios {
        let _pass = gate::admit(Clock::Simulated, &scenario.about);
        for seed in 1..=seeds {
            let report = runner::run(&scenario, Clock::Simulated, seed);
            assert!(report.passed(), "{}", report.lines());
            let found = diagnosis::of_record(report.record.events(), &[]).found;
            accused.extend(found.map(|found| format!("{}, seed {seed}: {found:?}", scenario.about.name)));
        }
    }
    accused
}

#[test]
fn no_rule_is_found_broken_by_the_reference() {
    let accused = accused(raft_scenarios(&Subject::<Raft>::new()), seeds(RAFT_SEEDS));
    assert!(accused.is_empty(), "{}", accused.join("\n"));
}

#[test]
fn no_rule_is_found_broken_by_the_reference_service() {
    let subject = KvSubject::<KvServer<Raft>>::new();
    let accused = accused(kv_scenarios(&subject), seeds(KV_SEEDS));
    assert!(accused.is_empty(), "{}", accused.join("\n"));
}
