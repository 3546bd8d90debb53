//! The rules of the paper, and the mistakes that break each of them.
//!
//! A rule that can be broken in two ways has two sides: an old vote may be forgotten, or kept for too long.

use crate::{KvMistake, Mistake};

/// A rule of the paper, or one side of it.
#[derive(Clone, Copy, Debug)]
pub struct PaperRule {
    /// The place in the paper.
    pub source: &'static str,
    /// The rule, in the words of the paper where they are short.
    pub rule: &'static str,
    /// The mistakes of a Raft that break it.
    pub raft: &'static [Mistake],
    /// The mistakes of a key/value service or its clerk that break it.
    pub kv: &'static [KvMistake],
    /// If no mistake breaks it: the reason why breaking it has no effect, or why there is nothing to break.
    pub harmless: &'static str,
}

/// Creates a rule that mistakes of a Raft break.
const fn raft(source: &'static str, rule: &'static str, raft: &'static [Mistake]) -> PaperRule {
    PaperRule { source, rule, raft, kv: &[], harmless: "" }
}

/// Creates a rule that mistakes of a service break.
const fn kv(source: &'static str, rule: &'static str, kv: &'static [KvMistake]) -> PaperRule {
    PaperRule { source, rule, raft: &[], kv, harmless: "" }
}

/// Creates a rule that can be broken without any effect.
const fn harmless(source: &'static str, rule: &'static str, harmless: &'static str) -> PaperRule {
    PaperRule { source, rule, raft: &[], kv: &[], harmless }
}

use KvMistake as K;
use Mistake as M;

/// The numbered rules and bullets of Figures 2 and 13, and the rules of sections 5.2 to 5.4, 7 and 8, in the order of
/// the paper. Those of the lab, which are not in the paper, come last.
pub const RULES: &[PaperRule] = &[
    raft("Figure 2, State", "currentTerm is persistent", &[M::DoesNotSaveAnAdoptedTerm, M::CandidateSavesNothing]),
    raft("Figure 2, State", "currentTerm increases monotonically", &[M::AdoptsALowerTerm]),
    raft("Figure 2, State", "votedFor is persistent", &[M::NoVotePersistence, M::CandidateSavesNothing]),
    raft("Figure 2, State", "votedFor is kept within a term", &[M::ForgetsItsVoteForALeader]),
    raft("Figure 2, State", "votedFor is null in a new term", &[M::KeepsItsVoteInANewTerm]),
    harmless(
        "Figure 2, State",
        "a candidate that steps down in its own term keeps its vote for itself",
        "the winner of the term has a majority already, and any other majority has a voter in common with it that was \
         no candidate and keeps its vote",
    ),
    raft("Figure 2, State", "log[] is persistent, with every entry", &[M::NoLogPersistence]),
    raft("Figure 2, State", "log[] is persistent, with nothing else", &[M::RemovedEntriesComeBack]),
    raft("Figure 2, State", "updated on stable storage before responding", &[M::ActsBeforeItPersists]),
    raft("Figure 2, State", "commitIndex and lastApplied increase monotonically", &[M::CommitIndexGoesBack]),
    harmless(
        "Figure 2, State",
        "nextIndex is reinitialized after election",
        "the consistency check repairs any nextIndex within the leader's log",
    ),
    raft("Figure 2, State", "matchIndex is reinitialized after election", &[M::KeepsMatchIndex]),
    raft(
        "Figure 2, State",
        "matchIndex is the highest entry known to be replicated",
        &[M::MatchIndexFromItsOwnLog, M::MatchIndexFromTheFollowersLog, M::TreatsOldRepliesAsNew],
    ),
    raft(
        "Figure 2, AppendEntries, 1",
        "reply false if term < currentTerm",
        &[M::AcceptsEntriesOfAnOlderTerm, M::OldLeadersResetItsTimer],
    ),
    raft("Figure 2, AppendEntries, 2", "reply false if there is no entry at prevLogIndex", &[M::IgnoresAGap]),
    raft("Figure 2, AppendEntries, 2", "reply false if its term does not match prevLogTerm", &[M::IgnoresPrevLogTerm]),
    raft("Figure 2, AppendEntries, 3", "delete an existing entry that conflicts", &[M::KeepsConflictingEntries]),
    raft("Figure 2, AppendEntries, 3", "and all that follow it", &[M::KeepsEntriesAfterAConflict]),
    raft("Figure 2, AppendEntries, 3", "and no entry without a conflict", &[M::TruncatesOnALateAppendEntries]),
    raft("Figure 2, AppendEntries, 4", "append any new entries not already in the log", &[M::AppendsEntriesAgain]),
    raft("Figure 2, AppendEntries, 5", "set commitIndex to leaderCommit", &[M::IgnoresTheCommitOfAHeartbeat]),
    raft("Figure 2, AppendEntries, 5", "or to the index of the last new entry", &[M::CommitsPastTheLastNewEntry]),
    raft("Figure 2, RequestVote, 1", "reply false if term < currentTerm", &[M::VotesForAnOlderTerm]),
    raft("Figure 2, RequestVote, 2", "grant a vote if votedFor is null", &[M::VotesTwiceInATerm]),
    harmless(
        "Figure 2, RequestVote, 2",
        "or if votedFor is candidateId",
        "a candidate needs the same vote twice only if it repeats a lost request in the same term; it wins the next \
         term instead",
    ),
    raft(
        "Figure 2, RequestVote, 2, and section 5.4.1",
        "and the candidate's last term is not older",
        &[M::GrantsAVoteToAnOlderLog],
    ),
    raft(
        "Figure 2, RequestVote, 2, and section 5.4.1",
        "and the candidate's log is not shorter, with the same last term",
        &[M::GrantsAVoteToAShorterLog],
    ),
    raft(
        "Figure 2, RequestVote, 2, and section 5.4.1",
        "every other log is at least as up-to-date",
        &[M::RefusesAnEqualLog, M::DemandsALongerLog],
    ),
    raft("Figure 2, All Servers", "apply log[lastApplied] if commitIndex > lastApplied", &[M::AppliesOnlyAsLeader]),
    raft(
        "Figure 2, All Servers",
        "apply in the order of the log",
        &[M::AppliesOutOfOrder, M::SwapsOneApplyInAThousand],
    ),
    raft(
        "Figure 2, All Servers",
        "a higher term in a request is adopted",
        &[M::LeaderIgnoresTheTermOfALeader, M::LeaderIgnoresTheTermOfACandidate],
    ),
    harmless(
        "Figure 2, All Servers",
        "also in an InstallSnapshot",
        "a leader sends a snapshot after the same follower has refused an AppendEntries of the same term, so the \
         follower knows the term, also after a restart",
    ),
    raft("Figure 2, All Servers", "a higher term in a response is adopted", &[M::IgnoresTheTermOfAReply]),
    raft("Figure 2, All Servers", "and the server converts to follower", &[M::LeadsOnInAHigherTerm]),
    raft("Figure 2, Followers", "respond to RPCs", &[M::HoldsItsLockOverAnRpc, M::HoldsItsLockWhileDelivering]),
    raft("Figure 2, Followers", "convert to candidate if the election timeout elapses", &[M::NeverElects]),
    raft("Figure 2, Followers", "AppendEntries resets it", &[M::HeartbeatsDoNotResetItsTimer]),
    raft("Figure 2, Followers", "of the current leader only", &[M::OldLeadersResetItsTimer]),
    raft("Figure 2, Followers", "granting a vote resets it", &[M::DoesNotResetTheTimerOnGrantingAVote]),
    raft("Figure 2, Followers", "refusing one does not", &[M::ResetsTheTimerOnEveryRequestVote]),
    raft("Figure 2, Candidates", "increment currentTerm", &[M::CampaignsInItsPresentTerm]),
    raft("Figure 2, Candidates", "vote for self", &[M::CountsItsVoteWithoutCastingIt]),
    raft("Figure 2, Candidates", "reset election timer", &[M::CampaignsAtEveryTick]),
    raft("Figure 2, Candidates", "send RequestVote RPCs to all other servers", &[M::AsksOnlyOneServer]),
    raft("Figure 2, Candidates", "lead with the votes of a majority", &[M::NeedsEveryVote]),
    raft(
        "Figure 2, Candidates",
        "and not with fewer, or with refusals or old votes",
        &[M::LeadsWithoutAMajority, M::CountsARefusedVote, M::CountsOldVotes],
    ),
    raft("Figure 2, Candidates", "follow a new leader", &[M::CandidateIgnoresItsLeader]),
    raft("Figure 2, Candidates", "start a new election if the election timeout elapses", &[M::CampaignsOnlyOnce]),
    raft("Figure 2, Leaders", "send heartbeats upon election and during idle periods", &[M::SendsNoHeartbeats]),
    raft("Figure 2, Leaders", "and no more than that", &[M::SendsRpcsInATightLoop]),
    kv("Figure 2, Leaders", "respond to a client after its entry is applied", &[K::AnswersBeforeItApplies]),
    raft("Figure 2, Leaders", "send the entries from nextIndex on", &[M::SendsEachEntryOnce]),
    raft("Figure 2, Leaders", "update nextIndex and matchIndex if successful", &[M::NeverAdvancesNextIndex]),
    raft("Figure 2, Leaders", "decrement nextIndex and retry if the logs differ", &[M::NeverBacksUp]),
    raft("Figure 2, Leaders", "commit what a majority has", &[M::CommitsOnlyWithEveryServer]),
    raft("Figure 2, Leaders", "and nothing that fewer have", &[M::CommitsWithoutAMajority]),
    raft(
        "Figure 2, Leaders, and section 5.4.2",
        "if the entry is of the current term",
        &[M::CommitsAnEntryOfAnOlderTermByCounting],
    ),
    raft("Figure 3, Leader Append-Only", "a leader never deletes entries in its log", &[M::LeaderTruncatesItsLog]),
    raft("section 5.2", "election timeouts are random", &[M::EqualTimeouts]),
    raft("section 5.3", "the leader retries until all followers store all entries", &[M::SendsEachEntryOnce]),
    raft("section 5.3", "one rejection for each conflicting term, not for each entry", &[M::BacksUpOneByOne]),
    kv("section 5.3", "index and term together identify an entry", &[K::RepliesByIndexAlone]),
    raft("section 7", "the log up to the snapshot is discarded", &[M::NeverCompactsItsLog]),
    raft("section 7", "the last included term is kept", &[M::ForgetsTheTermOfItsSnapshot]),
    raft("section 7", "the snapshot is on stable storage", &[M::ForgetsTheSnapshotOnTheNextSave]),
    raft("section 7", "and it is the present one", &[M::SavesThePreviousSnapshot]),
    raft("section 7", "the leader sends snapshots to followers that lag behind", &[M::NeverSendsASnapshot]),
    kv("section 7", "a snapshot is the whole state of the service", &[K::OmitsDuplicatesFromTheSnapshot]),
    kv("section 7", "and nothing that nobody needs", &[K::KeepsEverySerial]),
    kv("section 7", "a service starts with its snapshot", &[K::DoesNotReadItsSnapshotBack]),
    kv("section 7", "a snapshot is taken when the log is large", &[K::NeverMakesASnapshot]),
    raft("Figure 13, 1", "reply immediately if term < currentTerm", &[M::AcceptsASnapshotOfAnOlderTerm]),
    harmless("Figure 13, 2 to 4", "chunks of a snapshot", "the lab sends a snapshot in one piece"),
    raft("Figure 13, 5", "save the snapshot", &[M::DoesNotSaveAnInstalledSnapshot]),
    raft("Figure 13, 5", "discard any snapshot with a smaller index", &[M::InstallsAnOldSnapshot]),
    raft("Figure 13, 6", "retain log entries following it", &[M::RemovesEntriesAfterASnapshot]),
    raft("Figure 13, 7", "discard the entire log otherwise", &[M::KeepsALogThatConflictsWithASnapshot]),
    raft(
        "Figure 13, 8",
        "reset state machine using snapshot contents, once",
        &[M::DoesNotDeliverAnInstalledSnapshot, M::DeliversASnapshotTwice],
    ),
    kv("Figure 13, 8", "the service does the same", &[K::IgnoresAnInstalledSnapshot]),
    kv("section 8", "a server that does not lead rejects a request", &[K::ServesReadsAsAFollower]),
    kv(
        "section 8",
        "the clerk then tries another server",
        &[K::RetriesTheSameServerForEver, K::TakesARefusalForAnAnswer],
    ),
    kv("section 8", "requests time out, and clerks try again", &[K::TreatsALostReplyAsSuccess]),
    kv("section 8", "serial numbers are unique to a command", &[K::NumbersEachAttempt]),
    kv("section 8", "and tracked for each client", &[K::SharesItsIdWithOtherClerks, K::TracksAllClientsAsOne]),
    kv(
        "section 8",
        "a command that was executed is not executed again",
        &[K::ReexecutesARetry, K::ChecksForDuplicatesOnlyOnArrival],
    ),
    kv("section 8", "and is answered", &[K::RefusesADuplicate, K::DoesNotReplyToADuplicate]),
    kv("section 8", "a leader commits an entry of its term before it serves a read", &[K::ReadsBeforeItsFirstEntry]),
    kv("section 8", "and exchanges heartbeats with a majority", &[K::ServesReadsLocally]),
    kv("the lab", "a client is told when its entry is lost", &[K::NeverChecksThatItStillLeads]),
    kv("the lab", "no lock is held while a handler waits", &[K::HoldsItsLockWhileItWaits]),
    kv("the lab", "a killed server ends", &[K::DoesNotWakeWaitersWhenKilled]),
    kv("the lab", "no snapshot without maxraftstate", &[K::MakesUnrequestedSnapshots]),
    kv("the lab", "an operation takes less than a heartbeat", &[K::WaitsBeforeItProposes]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_mistake_or_cannot_be_broken() {
        for PaperRule { source, rule, raft, kv, harmless } in RULES {
            let has_mistake = !raft.is_empty() || !kv.is_empty();
            assert_eq!(has_mistake, harmless.is_empty(), "{source}: {rule}");
        }
    }

    #[test]
    fn every_mistake_breaks_a_rule() {
        let breaks = |mistake: &Mistake| RULES.iter().any(|rule| rule.raft.contains(mistake));
        assert_eq!(Mistake::ALL.iter().filter(|mistake| !breaks(mistake)).collect::<Vec<_>>(), Vec::<&Mistake>::new());
        let breaks = |mistake: &KvMistake| RULES.iter().any(|rule| rule.kv.contains(mistake));
        assert_eq!(
            KvMistake::ALL.iter().filter(|mistake| !breaks(mistake)).collect::<Vec<_>>(),
            Vec::<&KvMistake>::new()
        );
    }
}
