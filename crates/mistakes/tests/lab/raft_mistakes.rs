//! Each mistake of a Raft is reliably caught by a scenario of the lab. The failure must explain the mistake to a
//! learner and name the broken rule. `LAB_RUNS=200` runs all seeds of the catalogue.

use mistakes::{Mistake, Raft};
use tester::{Subject, raft_scenarios};

use crate::assertion;
use crate::false_alarms::seeds;
use crate::raft_rows::RAFT;

/// Number of seeds of each mistake. `LAB_RUNS` overrides it.
const PART_OF_THE_SEEDS: u64 = 10;

#[test]
fn every_mistake_is_in_the_catalogue_once() {
    assert_eq!(RAFT.iter().map(|row| row.mistake).collect::<Vec<_>>(), Mistake::ALL);
}

#[test]
fn every_mistake_is_caught_by_its_scenario() {
    assertion::assert_all_caught(RAFT, seeds(PART_OF_THE_SEEDS), |mistake| {
        raft_scenarios(&Subject::with_factory(Raft::factory(Some(mistake))))
    });
}
