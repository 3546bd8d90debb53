//! Each mistake of a key/value service is reliably caught by a scenario of the lab. The failure must explain the
//! mistake to a learner and name the broken rule. `LAB_RUNS=200` runs all seeds of the catalogue.

use mistakes::KvMistake;
use tester::{Clock, PACE, Verdict, gate, runner};

use crate::catalogue::{SEEDS, find_scenario};
use crate::false_alarms::seeds;
use crate::kv_rows::KV;
use crate::{assertion, kv_subjects};

/// Number of seeds of each mistake. `LAB_RUNS` overrides it.
const PART_OF_THE_SEEDS: u64 = 10;

/// Mistakes that the clients' history must reveal, with the scenarios. These scenarios compare nothing while clients
/// work, so only the history shows the mistake.
const BY_ITS_HISTORY: [(KvMistake, &str); 7] = [
    (KvMistake::ReexecutesARetry, "persist_partition_unreliable_linearizable_4A"),
    (KvMistake::ServesReadsLocally, "persist_partition_unreliable_linearizable_4A"),
    (KvMistake::OmitsDuplicatesFromTheSnapshot, "snapshot_unreliable_recover_concurrent_partition_linearizable_4B"),
    (KvMistake::DoesNotReadItsSnapshotBack, "snapshot_unreliable_recover_concurrent_partition_linearizable_4B"),
    (KvMistake::IgnoresAnInstalledSnapshot, "snapshot_unreliable_recover_concurrent_partition_linearizable_4B"),
    (KvMistake::NumbersEachAttempt, "persist_partition_unreliable_linearizable_4A"),
    (KvMistake::TreatsALostReplyAsSuccess, "persist_partition_unreliable_linearizable_4A"),
];

#[test]
fn every_mistake_is_in_the_catalogue_once() {
    assert_eq!(KV.iter().map(|row| row.mistake).collect::<Vec<_>>(), KvMistake::ALL);
}

#[test]
fn every_mistake_is_caught_by_its_scenario() {
    assertion::assert_all_caught(KV, seeds(PART_OF_THE_SEEDS), |mistake| kv_subjects::scenarios_with(mistake, PACE));
}

#[test]
fn a_history_reveals_mistakes_that_no_other_check_sees() {
    let missed: Vec<String> = BY_ITS_HISTORY
        .into_iter()
        .filter(|&(mistake, scenario)| {
            let scenario = find_scenario(kv_subjects::scenarios_with(mistake, PACE), scenario);
            let _pass = gate::admit(Clock::Simulated, &scenario.info);
            let not_linearizable = |seed| match runner::run(&scenario, Clock::Simulated, seed).verdict {
                Verdict::Failed(failure) => {
                    ["history", "not linearizable"].iter().all(|part| failure.text.contains(part))
                }
                _ => false,
            };
            !(1..=SEEDS).any(not_linearizable)
        })
        .map(|(mistake, scenario)| {
            format!("{mistake:?}: none of {SEEDS} seeds of {scenario} has a history that is not linearizable")
        })
        .collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
