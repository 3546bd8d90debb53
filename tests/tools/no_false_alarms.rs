//! Test that the diagnosis finds no broken rule in records of the reference.

use kvraft::KvServer;
use raft::Raft;
use tester::{KvSubject, Subject, kv_scenarios, raft_scenarios};

use crate::false_alarms::{false_alarms, seeds};

/// Default numbers of seeds of each scenario; `LAB_RUNS` overrides both.
const RAFT_SEEDS: u64 = 3;
const KV_SEEDS: u64 = 1;

#[test]
fn diagnosis_finds_no_broken_rule_in_the_reference_raft() {
    let false_alarms = false_alarms(raft_scenarios(&Subject::of::<Raft>()), seeds(RAFT_SEEDS));
    assert!(false_alarms.is_empty(), "{}", false_alarms.join("\n"));
}

#[test]
fn diagnosis_finds_no_broken_rule_in_the_reference_service() {
    let subject = KvSubject::of::<KvServer<Raft>>();
    let false_alarms = false_alarms(kv_scenarios(&subject), seeds(KV_SEEDS));
    assert!(false_alarms.is_empty(), "{}", false_alarms.join("\n"));
}
