//! Each mistake of a key/value service is reliably caught by a scenario of the lab. The failure must explain the
//! mistake to a learner and name the broken rule. `LAB_RUNS=200` counts how many seeds catch it.

use diagnosis::Rule;
use mistakes::KvMistake;
use tester::PACE;

mod kv_subjects;
mod search;
use search::{Caught, SEEDS, find_scenario, search};

/// Number of seeds that run and are counted even if an earlier one finds the mistake. `LAB_RUNS` overrides it.
const COUNTED: u64 = 10;

const TABLE: [Caught<KvMistake>; 18] = [
    Caught {
        mistake: KvMistake::ReexecutesARetry,
        rule: Rule::ExecuteOnce,
        scenario: "lost_reply_4A",
        words: &["is in it twice", "the append was executed again when its clerk lost the reply and retried"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::ChecksForDuplicatesOnlyOnArrival,
        rule: Rule::CheckDuplicateAtApply,
        scenario: "twice_in_the_log_4A",
        words: &["an operation must be executed once, however often it is in the log"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::RefusesADuplicate,
        rule: Rule::AnswerDuplicates,
        scenario: "lost_reply_4A",
        words: &["had no answer after", "the operation has been executed before, but the client still waits"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::DoesNotReplyToADuplicate,
        rule: Rule::AnswerWaitingClients,
        scenario: "twice_in_the_log_4A",
        words: &[
            "had no answer after",
            "the second entry of the same operation, the client still waits for the answer",
        ],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::ServesReadsLocally,
        rule: Rule::ReadsNeedQuorum,
        scenario: "cut_off_get_4A",
        words: &["answered by a disconnected leader that did not confirm its leadership"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::RepliesByIndexAlone,
        rule: Rule::ReplyToOwnEntryOnly,
        scenario: "anothers_result_4A",
        words: &["got the result of another operation, which had taken its index"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::NeverChecksThatItStillLeads,
        rule: Rule::DetectLostLeadership,
        scenario: "lost_entry_4A",
        words: &["its server must check whether it still leads"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::HoldsItsLockWhileItWaits,
        rule: Rule::NoLockWhileWaiting,
        scenario: "one_partition_4A",
        words: &[
            "a lock is held too long",
            "its holder is rpc-worker-",
            "in thread::sleep at crates/mistakes/src/kv/server.rs",
        ],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::DoesNotWakeWaitersWhenKilled,
        rule: Rule::StopWhenKilled,
        scenario: "persist_concurrent_unreliable_4A",
        words: &["was killed, but 2 s later", "in Condvar::wait_for at crates/mistakes/src/kv/server.rs"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::NeverMakesASnapshot,
        rule: Rule::SnapshotWhenLarge,
        scenario: "snapshot_size_4B",
        words: &["logs were not trimmed", "a service must take a snapshot"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::MakesUnrequestedSnapshots,
        rule: Rule::NoUnrequestedSnapshot,
        scenario: "basic_4A",
        words: &["made without a limit for its Raft state", "then must never take one"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::OmitsDuplicatesFromTheSnapshot,
        rule: Rule::DuplicateTableInSnapshot,
        scenario: "duplicate_after_snapshot_4B",
        words: &["is in it twice", "the append was executed again when its clerk lost the reply and retried"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::DoesNotReadItsSnapshotBack,
        rule: Rule::RestoreSnapshotOnStart,
        scenario: "snapshot_recover_4B",
        words: &["is not in it, though the append of client 0 was acknowledged"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::IgnoresAnInstalledSnapshot,
        rule: Rule::InstallResetsService,
        scenario: "duplicate_after_install_4B",
        words: &["is not in it, though the append of client 0 was acknowledged"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::NumbersEachAttempt,
        rule: Rule::RetryKeepsNumber,
        scenario: "lost_reply_4A",
        words: &["is in it twice", "the append was executed again when its clerk lost the reply and retried"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::TreatsALostReplyAsSuccess,
        rule: Rule::RetryUntilReply,
        scenario: "unreliable_one_key_4A",
        words: &["is not in it, though the append of client", "was acknowledged"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::SharesItsIdWithOtherClerks,
        rule: Rule::UniqueClientId,
        scenario: "unreliable_one_key_4A",
        words: &["is not in it, though the append of client", "was acknowledged"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::RetriesTheSameServerForEver,
        rule: Rule::TryAnotherServer,
        scenario: "lost_reply_4A",
        words: &["has waited for 20 s for the answer to its"],
        seeds: 181,
    },
];

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
fn every_mistake_is_in_the_table_once() {
    assert_eq!(TABLE.map(|row| row.mistake), KvMistake::ALL);
}

#[test]
fn every_mistake_is_caught_by_its_scenario() {
    let counted = std::env::var("LAB_RUNS").map_or(COUNTED, |text| text.parse().expect("LAB_RUNS is a number"));
    search::expect_all_caught(TABLE, counted, |mistake| kv_subjects::scenarios_with(mistake, PACE));
}

#[test]
fn a_history_reveals_mistakes_that_no_other_check_sees() {
    let missed: Vec<String> = BY_ITS_HISTORY
        .into_iter()
        .filter(|&(mistake, scenario)| {
            search(
                &find_scenario(kv_subjects::scenarios_with(mistake, PACE), scenario),
                &["history", "not linearizable"],
                1,
            )
            .matching
            .is_empty()
        })
        .map(|(mistake, scenario)| {
            format!("{mistake:?}: none of {SEEDS} seeds of {scenario} has a history that is not linearizable")
        })
        .collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
