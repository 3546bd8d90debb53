//! No false alarms: the diagnosis finds no broken rule in the records of correct servers. So a rule that it finds in a
//! failed run can be trusted.

use tester::{KvSubject, Subject, kv_scenarios, raft_scenarios};
use wrong::{KvServer, Raft};

#[path = "../../tests/accused/mod.rs"]
mod accused;
use accused::{accused, seeds};

/// Number of seeds of each scenario. `LAB_RUNS` overrides it.
const RAFT_SEEDS: u64 = 5;
const KV_SEEDS: u64 = 1;

#[test]
fn a_correct_raft_is_never_accused() {
    let accused = accused(raft_scenarios(&Subject::made_by(Raft::factory(None))), seeds(RAFT_SEEDS));
    assert!(accused.is_empty(), "{}", accused.join("\n"));
}

#[test]
fn a_correct_service_is_never_accused() {
    let subject = KvSubject::made_by(<KvServer<Raft>>::factory(None));
    let accused = accused(kv_scenarios(&subject), seeds(KV_SEEDS));
    assert!(accused.is_empty(), "{}", accused.join("\n"));
}
