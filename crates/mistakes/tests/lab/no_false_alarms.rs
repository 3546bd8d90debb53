//! No false alarms: the diagnosis finds no broken rule in the records of correct servers. So a rule that it finds in a
//! failed run can be trusted.

use mistakes::{KvServer, Raft};
use tester::{KvSubject, Subject, kv_scenarios, raft_scenarios};

use crate::false_alarms::{false_alarms, seeds};

/// Number of seeds of each scenario. `LAB_RUNS` overrides it.
const RAFT_SEEDS: u64 = 5;
const KV_SEEDS: u64 = 1;

#[test]
fn a_correct_raft_is_never_accused() {
    let false_alarms = false_alarms(raft_scenarios(&Subject::with_factory(Raft::factory(None))), seeds(RAFT_SEEDS));
    assert!(false_alarms.is_empty(), "{}", false_alarms.join("\n"));
}

#[test]
fn a_correct_service_is_never_accused() {
    let subject = KvSubject::with_factory(<KvServer<Raft>>::factory(None));
    let false_alarms = false_alarms(kv_scenarios(&subject), seeds(KV_SEEDS));
    assert!(false_alarms.is_empty(), "{}", false_alarms.join("\n"));
}
