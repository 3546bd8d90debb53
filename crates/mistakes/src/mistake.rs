//! The mistakes of the plain Raft, each with the rule that it breaks.

/// A mistake that implementers of Raft make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// It never starts an election. Figure 2, Followers: "If election timeout elapses without receiving AppendEntries
    /// RPC from current leader or granting vote to candidate: convert to candidate."
    NeverElects,
    /// It ignores its earlier vote in the term. Figure 2, RequestVote, 2: "If votedFor is null or candidateId, [...]
    /// grant vote."
    VotesTwiceInATerm,
    /// It grants a vote without a new election timeout, so the candidate has no time to lead. Figure 2, Followers: "If
    /// election timeout elapses without receiving AppendEntries RPC from current leader *or granting vote to
    /// candidate*: convert to candidate."
    DoesNotResetTheTimerOnGrantingAVote,
    /// It starts a thread for each entry that it delivers, and the threads overtake each other. Figure 2, All Servers:
    /// "If commitIndex > lastApplied: increment lastApplied, apply log\[lastApplied\] to state machine."
    AppliesOutOfOrder,
    /// Its new leader removes the entries after its own commit index, and so loses entries that are committed without
    /// its knowledge. Figure 3, Leader Append-Only: "A leader never overwrites or deletes entries in its log; it only
    /// appends new entries."
    LeaderTruncatesItsLog,
    /// Its leader sends RPCs at every tick, needed or not. Figure 2, Leaders: "repeat during *idle periods* to prevent
    /// election timeouts"; the lab allows tens of heartbeats in a second, not hundreds.
    SendsRpcsInATightLoop,
    /// It delivers entries under its lock. Its service may be about to call it, and reads no entry before that call
    /// returns. This rule is not in Figure 2 but in the lab's advice on locking: hold no lock where you may wait.
    HoldsItsLockWhileDelivering,
    /// Its leader sends AppendEntries, and waits for the reply, under its lock. Figure 2's servers reply to RPCs at any
    /// time, and section 5.3 has the leader send them "in parallel". The lab's advice on locking: hold no lock over an
    /// RPC.
    HoldsItsLockOverAnRpc,
    /// It saves its term and its log, but not its vote. Figure 2, "Persistent state on all servers": "votedFor:
    /// candidateId that received vote in current term".
    NoVotePersistence,
    /// It saves its term and its vote, but no entries. Figure 2, "Persistent state on all servers": "log\[\]: log
    /// entries".
    NoLogPersistence,
    /// It saves only after it has replied or sent. Figure 2, "Persistent state on all servers": "Updated on stable
    /// storage *before* responding to RPCs".
    ActsBeforeItPersists,
    /// Its leader commits every entry that a majority has, of whatever term. Figure 2, Leaders: "\[...\] a majority of
    /// matchIndex\[i\] >= N, *and log\[N\].term == currentTerm*: set commitIndex = N"; section 5.4.2 and Figure 8 give
    /// the reason.
    CommitsAnEntryOfAnOlderTermByCounting,
    /// It replaces all entries after prevLogIndex by those of the leader, and so loses acknowledged entries when a
    /// message comes late. Figure 2, AppendEntries, 3 and 4: "If an existing entry *conflicts* with a new one (same
    /// index but different terms), delete the existing entry and all that follow it. Append any new entries *not
    /// already in the log*."
    TruncatesOnALateAppendEntries,
    /// It installs every snapshot, even one that covers fewer entries than it has applied. Figure 13, 5 and 6: discard
    /// any snapshot with a *smaller* index; "if existing log entry has same index and term as snapshot's last included
    /// entry, retain log entries following it and reply".
    InstallsAnOldSnapshot,
    /// It begins a new election timeout on every RequestVote. Figure 2, Followers: "If election timeout elapses without
    /// receiving AppendEntries RPC from *current leader* or *granting* vote to candidate: convert to candidate."
    ResetsTheTimerOnEveryRequestVote,
    /// It saves a snapshot once, and erases it with its next save. Section 7: "Each server \[...\] writes the snapshot
    /// to stable storage"; the entries that it covers are stored nowhere else.
    ForgetsTheSnapshotOnTheNextSave,
    /// It applies the leader's commit index to its own log, even beyond the entries that it shares with the leader.
    /// Figure 2, AppendEntries, 5: "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, *index of last
    /// new entry*)."
    CommitsPastTheLastNewEntry,
    /// It compares the terms of the last entries, but not the lengths of the logs. Figure 2, RequestVote, 2:
    /// "candidate's log is at least as up-to-date as receiver's log"; section 5.4.1: "If the logs end with the same
    /// term, then whichever log is longer is more up-to-date."
    GrantsAVoteToAShorterLog,
    /// It adopts a higher term from requests, but not from replies, so its leader continues in a past term. Figure 2,
    /// All Servers: "If RPC request *or response* contains term T > currentTerm: set currentTerm = T, convert to
    /// follower."
    IgnoresTheTermOfAReply,
    /// It counts every vote, even one from an earlier election. Figure 2, Candidates: "If votes received from majority
    /// of servers: become leader". A vote belongs to one term ("votedFor: candidateId that received vote *in current
    /// term*"), and a reply that comes in a later term is dropped.
    CountsOldVotes,
    /// It votes for a candidate of an older term than its own. Figure 2, RequestVote, 1: "Reply false if term <
    /// currentTerm."
    VotesForAnOlderTerm,
    /// It treats replies to its requests as leader of an earlier term as replies of the present term, and so counts
    /// entries that were overwritten since. Figure 2, Leaders: "If successful: update nextIndex and matchIndex for
    /// follower", which are "*reinitialized after election*".
    TreatsOldRepliesAsNew,
    /// Its candidate ignores the elected leader of its term, and campaigns against it. Figure 2, Candidates: "If
    /// AppendEntries RPC received from new leader: convert to follower"; a leader of the candidate's own term is one.
    CandidateIgnoresItsLeader,
    /// It saves its term with its vote, but not when it adopts a term from a message. Figure 2, "Persistent state on
    /// all servers": "*currentTerm*: latest term server has seen", "updated on stable storage before responding to
    /// RPCs".
    DoesNotSaveAnAdoptedTerm,
}

impl Mistake {
    /// All mistakes, in the order of their declaration.
    pub const ALL: [Mistake; 24] = [
        Mistake::NeverElects,
        Mistake::VotesTwiceInATerm,
        Mistake::DoesNotResetTheTimerOnGrantingAVote,
        Mistake::AppliesOutOfOrder,
        Mistake::LeaderTruncatesItsLog,
        Mistake::SendsRpcsInATightLoop,
        Mistake::HoldsItsLockWhileDelivering,
        Mistake::HoldsItsLockOverAnRpc,
        Mistake::NoVotePersistence,
        Mistake::NoLogPersistence,
        Mistake::ActsBeforeItPersists,
        Mistake::CommitsAnEntryOfAnOlderTermByCounting,
        Mistake::TruncatesOnALateAppendEntries,
        Mistake::InstallsAnOldSnapshot,
        Mistake::ResetsTheTimerOnEveryRequestVote,
        Mistake::ForgetsTheSnapshotOnTheNextSave,
        Mistake::CommitsPastTheLastNewEntry,
        Mistake::GrantsAVoteToAShorterLog,
        Mistake::IgnoresTheTermOfAReply,
        Mistake::CountsOldVotes,
        Mistake::VotesForAnOlderTerm,
        Mistake::TreatsOldRepliesAsNew,
        Mistake::CandidateIgnoresItsLeader,
        Mistake::DoesNotSaveAnAdoptedTerm,
    ];
}
