//! Whoever makes no mistake is accused of none: in the records of runs that pass no rule is found to be broken. In the
//! records of runs that fail, a rule that is found is then believed.

use tester::{KvSubject, Subject, kv_scenarios, raft_scenarios};
use wrong::{KvServer, Raft};

#[path = "../../tests/accused/mod.rs"]
mod accused;
use accused::{accused, seeds};

/// The seeds of each scenario; `LAB_RUNS` says otherwise.
const RAFT_SEEDS: u64 = 5;
const KV_SEEDS: u64 = 1;

#[test]
fn no_rule_is_found_broken_by_a_raft_that_breaks_none() {
    let accused = accused(raft_scenarios(&Subject::made_by(Raft::making(None))), seeds(RAFT_SEEDS));
    assert!(accused.is_empty(), "{}", accused.join("\n"));
}

#[test]
fn no_rule_is_found_broken_by_a_service_that_breaks_none() {
    let subject = KvSubject::made_by(<KvServer<Raft>>::making(None));
    let accused = accused(kv_scenarios(&subject), seeds(KV_SEEDS));
    assert!(accused.is_empty(), "{}", accused.join("\n"));
}
