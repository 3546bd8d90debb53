//! Each mistake of a key/value service is caught by a scenario of the lab, surely, in words that tell a learner what is
//! wrong, and with the rule that it breaks. `LAB_RUNS=200` counts how surely.

use tester::Rule;
use wrong::KvMistake;

mod search;
mod told;
use search::{Caught, SEEDS, named, search};

/// So many seeds are run and counted even if the first of them finds it; `LAB_RUNS` says otherwise.
const COUNTED: u64 = 10;

const TABLE: [Caught<KvMistake>; 18] = [
    Caught {
        mistake: KvMistake::ExecutesARetryAgain,
        rule: Rule::ExecuteOnce,
        by: "lost_reply_4A",
        saying: &["is in it twice", "the append was executed again when its clerk had lost the reply"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::LooksForDuplicatesOnlyWhenAsked,
        rule: Rule::LookWhereApplied,
        by: "twice_in_the_log_4A",
        saying: &["an operation must be executed once, however often it is in the log"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::RefusesADuplicate,
        rule: Rule::AnswerADuplicate,
        by: "lost_reply_4A",
        saying: &["had no answer after", "that it has been executed already does not mean that nobody waits"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::LeavesTheWaiterOfADuplicate,
        rule: Rule::AnswerWhoWaits,
        by: "twice_in_the_log_4A",
        saying: &["had no answer after", "the second entry of the same operation, somebody waits for the answer"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::AnswersReadsLocally,
        rule: Rule::ReadsAskTheMajority,
        by: "cut_off_get_4A",
        saying: &["answered by a leader that was cut off, and did not ask anybody whether it still led"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::AnswersByIndexAlone,
        rule: Rule::OwnEntryOnly,
        by: "anothers_result_4A",
        saying: &["was given the answer to another operation, which had taken its index"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::NeverLooksWhetherItStillLeads,
        rule: Rule::NoticeLostLeadership,
        by: "lost_entry_4A",
        saying: &["its server has to look whether it still leads"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::HoldsItsLockWhileItWaits,
        rule: Rule::NoLockWhileWaiting,
        by: "one_partition_4A",
        saying: &["a lock is held too long", "its holder is rpc-worker-", "in thread::sleep at wrong/src/kv/server.rs"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::ForgetsTheWaitersWhenItIsKilled,
        rule: Rule::EndWhenKilled,
        by: "persist_one_client_4A",
        saying: &["was killed, but 2 s later", "in Condvar::wait_for at wrong/src/kv/server.rs"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::NeverMakesASnapshot,
        rule: Rule::SnapshotWhenLarge,
        by: "snapshot_size_4B",
        saying: &["logs were not trimmed", "a service must make a snapshot"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::MakesSnapshotsUnasked,
        rule: Rule::NoSnapshotUnasked,
        by: "basic_4A",
        saying: &["made without a limit for its Raft state", "must then never make one"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::LeavesTheDuplicatesOutOfTheSnapshot,
        rule: Rule::DuplicatesInSnapshot,
        by: "duplicate_after_snapshot_4B",
        saying: &["is in it twice", "the append was executed again when its clerk had lost the reply"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::DoesNotReadItsSnapshotBack,
        rule: Rule::ReadSnapshotBack,
        by: "snapshot_recover_4B",
        saying: &["is not in it, though the append of client 0 was acknowledged"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::IgnoresASnapshotThatComes,
        rule: Rule::InstallResetsService,
        by: "duplicate_after_install_4B",
        saying: &["is not in it, though the append of client 0 was acknowledged"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::NumbersEachAttempt,
        rule: Rule::SameNumberForARetry,
        by: "lost_reply_4A",
        saying: &["is in it twice", "the append was executed again when its clerk had lost the reply"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::TakesALostReplyForDone,
        rule: Rule::AskUntilAnswered,
        by: "unreliable_one_key_4A",
        saying: &["is not in it, though the append of client", "was acknowledged"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::SharesItsIdWithAllClerks,
        rule: Rule::OwnClientId,
        by: "unreliable_one_key_4A",
        saying: &["is not in it, though the append of client", "was acknowledged"],
        seeds: 200,
    },
    Caught {
        mistake: KvMistake::AsksTheSameServerForEver,
        rule: Rule::TryAnotherServer,
        by: "lost_reply_4A",
        saying: &["has waited for 20 s for the answer to its"],
        seeds: 181,
    },
];

/// In these nothing is compared while clients work, and nothing but the history of what they saw tells what was wrong:
/// the mistakes that it has to give away, and where.
const BY_ITS_HISTORY: [(KvMistake, &str); 7] = [
    (KvMistake::ExecutesARetryAgain, "persist_partition_unreliable_linearizable_4A"),
    (KvMistake::AnswersReadsLocally, "persist_partition_unreliable_linearizable_4A"),
    (
        KvMistake::LeavesTheDuplicatesOutOfTheSnapshot,
        "snapshot_unreliable_recover_concurrent_partition_linearizable_4B",
    ),
    (KvMistake::DoesNotReadItsSnapshotBack, "snapshot_unreliable_recover_concurrent_partition_linearizable_4B"),
    (KvMistake::IgnoresASnapshotThatComes, "snapshot_unreliable_recover_concurrent_partition_linearizable_4B"),
    (KvMistake::NumbersEachAttempt, "persist_partition_unreliable_linearizable_4A"),
    (KvMistake::TakesALostReplyForDone, "persist_partition_unreliable_linearizable_4A"),
];

#[test]
fn every_mistake_is_in_the_table_once() {
    assert_eq!(TABLE.map(|row| row.mistake), KvMistake::ALL);
}

#[test]
fn every_mistake_is_caught_by_its_scenario() {
    let counted = std::env::var("LAB_RUNS").map_or(COUNTED, |text| text.parse().expect("LAB_RUNS is a number"));
    search::expect_all_caught(TABLE, counted, told::of);
}

#[test]
fn a_history_gives_away_what_no_other_check_sees() {
    let missed: Vec<String> = BY_ITS_HISTORY
        .into_iter()
        .filter(|&(mistake, by)| {
            search(&named(told::of(mistake), by), &["history", "not linearizable"], 1).so.is_empty()
        })
        .map(|(mistake, by)| {
            format!("{mistake:?}: none of {SEEDS} seeds of {by} has a history that is not linearizable")
        })
        .collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
