//! The reference is accused of no mistake: in the records of its runs no rule is found to be broken.

use kvraft::KvServer;
use raft::Raft;
use tester::{KvSubject, Subject, kv_scenarios, raft_scenarios};

mod accused;
use accused::{accused, seeds};

/// The seeds of each scenario; `LAB_RUNS` says otherwise.
const RAFT_SEEDS: u64 = 3;
const KV_SEEDS: u64 = 1;

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
