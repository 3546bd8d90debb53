//! The rows of the catalogue for the key/value service.

use diagnosis::Rule;
use mistakes::KvMistake;

use super::catalogue::{Row, row};

/// Every mistake of a key/value service, in the order of its declaration.
pub(crate) const KV: &[Row<KvMistake>] = &[
    row(
        KvMistake::ReexecutesARetry,
        "lost_reply_4A",
        Rule::ExecuteOnce,
        &["is in it twice", "the append was executed again when its clerk lost the reply and retried"],
    ),
    row(
        KvMistake::ChecksForDuplicatesOnlyOnArrival,
        "twice_in_the_log_4A",
        Rule::CheckDuplicateAtApply,
        &["an operation must be executed once, however often it is in the log"],
    ),
    row(
        KvMistake::RefusesADuplicate,
        "lost_reply_4A",
        Rule::AnswerDuplicates,
        &["had no answer after", "the operation has been executed before, but the client still waits"],
    ),
    row(
        KvMistake::DoesNotReplyToADuplicate,
        "twice_in_the_log_4A",
        Rule::AnswerWaitingClients,
        &["had no answer after", "the second entry of the same operation, the client still waits for the answer"],
    ),
    row(
        KvMistake::ServesReadsLocally,
        "cut_off_get_4A",
        Rule::ReadsNeedQuorum,
        &["answered by a disconnected leader that did not confirm its leadership"],
    ),
    row(
        KvMistake::RepliesByIndexAlone,
        "anothers_result_4A",
        Rule::ReplyToOwnEntryOnly,
        &["got the result of another operation, which had taken its index"],
    ),
    row(
        KvMistake::NeverChecksThatItStillLeads,
        "lost_entry_4A",
        Rule::DetectLostLeadership,
        &["its server must check whether it still leads"],
    ),
    row(
        KvMistake::HoldsItsLockWhileItWaits,
        "one_partition_4A",
        Rule::NoLockWhileWaiting,
        &[
            "a lock is held too long",
            "its holder is rpc-worker-",
            "in thread::sleep at crates/mistakes/src/kv/server.rs",
        ],
    ),
    row(
        KvMistake::DoesNotWakeWaitersWhenKilled,
        "persist_concurrent_unreliable_4A",
        Rule::StopWhenKilled,
        &["was killed, but 2 s later", "in Condvar::wait_for at crates/mistakes/src/kv/server.rs"],
    ),
    row(
        KvMistake::NeverMakesASnapshot,
        "snapshot_size_4B",
        Rule::SnapshotWhenLarge,
        &["logs were not trimmed", "a service must take a snapshot"],
    ),
    row(
        KvMistake::MakesUnrequestedSnapshots,
        "basic_4A",
        Rule::NoUnrequestedSnapshot,
        &["made without a limit for its Raft state", "then must never take one"],
    ),
    row(
        KvMistake::OmitsDuplicatesFromTheSnapshot,
        "duplicate_after_snapshot_4B",
        Rule::DuplicateTableInSnapshot,
        &["is in it twice", "the append was executed again when its clerk lost the reply and retried"],
    ),
    row(
        KvMistake::DoesNotReadItsSnapshotBack,
        "snapshot_recover_4B",
        Rule::RestoreSnapshotOnStart,
        &["is not in it, though the append of client 0 was acknowledged"],
    ),
    row(
        KvMistake::IgnoresAnInstalledSnapshot,
        "duplicate_after_install_4B",
        Rule::InstallResetsService,
        &["is not in it, though the append of client 0 was acknowledged"],
    ),
    row(
        KvMistake::AnswersBeforeItApplies,
        "one_partition_4A",
        Rule::AnswerAfterApply,
        &["a Put was answered by a leader that is disconnected"],
    ),
    row(
        KvMistake::ServesReadsAsAFollower,
        "cut_off_get_4A",
        Rule::ReadsNeedQuorum,
        &["answered by a disconnected leader that did not confirm its leadership"],
    ),
    row(
        KvMistake::ReadsBeforeItsFirstEntry,
        "first_get_4A",
        Rule::CommitBeforeFirstRead,
        &["did not yet know that it was committed"],
    ),
    row(
        KvMistake::TracksAllClientsAsOne,
        "unreliable_one_key_4A",
        Rule::UniqueClientId,
        &["is not in it, though the append of client"],
    ),
    row(
        KvMistake::KeepsEverySerial,
        "snapshot_size_4B",
        Rule::SmallSnapshot,
        &["does the snapshot keep data that is no longer needed"],
    ),
    row(
        KvMistake::WaitsBeforeItProposes,
        "speed_4A",
        Rule::ReplicateImmediately,
        &["an operation must not wait for the next heartbeat"],
    ),
    row(
        KvMistake::NumbersEachAttempt,
        "lost_reply_4A",
        Rule::RetryKeepsNumber,
        &["is in it twice", "the append was executed again when its clerk lost the reply and retried"],
    ),
    row(
        KvMistake::TreatsALostReplyAsSuccess,
        "unreliable_one_key_4A",
        Rule::RetryUntilReply,
        &["is not in it, though the append of client", "was acknowledged"],
    ),
    row(
        KvMistake::SharesItsIdWithOtherClerks,
        "unreliable_one_key_4A",
        Rule::UniqueClientId,
        &["is not in it, though the append of client", "was acknowledged"],
    ),
    row(
        KvMistake::RetriesTheSameServerForEver,
        "refused_4A",
        Rule::TryAnotherServer,
        &["has waited for 20 s for the answer to its"],
    ),
    row(
        KvMistake::TakesARefusalForAnAnswer,
        "refused_4A",
        Rule::TryAnotherServer,
        &["has nothing to do with the operation"],
    ),
];
