//! The mistakes, each with the rule that it breaks.

/// Something that people get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// It waits for a leader for ever. Figure 2, Followers: "If election timeout elapses without receiving
    /// AppendEntries RPC from current leader or granting vote to candidate: convert to candidate."
    NeverElects,
    /// It forgets that it has voted. Figure 2, RequestVote, 2: "If votedFor is null or candidateId, [...] grant vote."
    VotesTwiceInATerm,
    /// It votes for a candidate and then does not give it the time to lead. Figure 2, Followers: "If election timeout
    /// elapses without receiving AppendEntries RPC from current leader *or granting vote to candidate*: convert to
    /// candidate."
    DoesNotResetTheTimerOnGrantingAVote,
    /// It starts a thread for each entry that it delivers, and they overtake each other. Figure 2, All Servers: "If
    /// commitIndex > lastApplied: increment lastApplied, apply log\[lastApplied\] to state machine."
    AppliesOutOfOrder,
    /// Its new leader begins behind what it knows to be committed, and so loses what is committed without its knowledge.
    /// Figure 3, Leader Append-Only: "A leader never overwrites or deletes entries in its log; it only appends new
    /// entries."
    LosesAnEntry,
    /// Its leader sends every time it looks, whether there is something to say or not. Figure 2, Leaders: "repeat during
    /// *idle periods* to prevent election timeouts"; the lab allows tens of heartbeats in a second, not hundreds.
    SendsRpcsInATightLoop,
    /// It delivers entries under its lock. Its service may be just about to ask it something, and reads nothing before
    /// it is answered. Not in Figure 2; the lab's advice on locking: hold no lock where you may wait.
    HoldsItsLockWhileDelivering,
    /// Its leader sends AppendEntries, and waits for the reply, under its lock. Figure 2's servers answer RPCs at any
    /// time, and section 5.3 has the leader send them "in parallel"; the lab's advice on locking: hold no lock over an
    /// RPC.
    HoldsItsLockOverAnRpc,
    /// It saves its term and its log, but not whom it voted for. Figure 2, "Persistent state on all servers": "votedFor:
    /// candidateId that received vote in current term".
    NoVotePersistence,
    /// It saves its term and its vote, but no entries. Figure 2, "Persistent state on all servers": "log\[\]: log
    /// entries".
    NoLogPersistence,
    /// It saves a moment after it has answered or sent. Figure 2, "Persistent state on all servers": "Updated on stable
    /// storage *before* responding to RPCs".
    ActsBeforeItPersists,
    /// Its leader commits whatever a majority has. Figure 2, Leaders: "\[...\] a majority of matchIndex\[i\] >= N, *and
    /// log\[N\].term == currentTerm*: set commitIndex = N"; section 5.4.2 and Figure 8 say why.
    CommitsAnEntryOfAnOlderTermByCounting,
    /// It replaces everything behind prevLogIndex by what the leader sent, and so loses what it had acknowledged when a
    /// message comes late. Figure 2, AppendEntries, 3 and 4: "If an existing entry *conflicts* with a new one (same
    /// index but different terms), delete the existing entry and all that follow it. Append any new entries *not
    /// already in the log*."
    TruncatesOnALateAppendEntries,
    /// It installs every snapshot that comes, also one of less than it has applied. Figure 13, 5 and 6: discard what a
    /// snapshot with a *smaller* index covers; "if existing log entry has same index and term as snapshot's last included
    /// entry, retain log entries following it and reply".
    GoesBackOnAnOldSnapshot,
    /// It begins a new election timeout whenever somebody asks for its vote. Figure 2, Followers: "If election timeout
    /// elapses without receiving AppendEntries RPC from *current leader* or *granting* vote to candidate: convert to
    /// candidate."
    ResetsTheTimerOnEveryRequestVote,
    /// It saves a snapshot once, and erases it with the next change of its state. Section 7: "Each server \[...\] writes
    /// the snapshot to stable storage"; what it covers is nowhere else.
    ForgetsTheSnapshotOnTheNextSave,
    /// It takes the leader's commit index for its own log, whatever is in there. Figure 2, AppendEntries, 5: "If
    /// leaderCommit > commitIndex, set commitIndex = min(leaderCommit, *index of last new entry*)."
    CommitsPastTheLastNewEntry,
    /// It compares the terms of the last entries, and not how long the logs are. Figure 2, RequestVote, 2: "candidate's
    /// log is at least as up-to-date as receiver's log"; section 5.4.1: "If the logs end with the same term, then
    /// whichever log is longer is more up-to-date."
    GrantsAVoteToAShorterLog,
    /// It heeds a higher term in requests, and not in replies: its leader goes on in a term that is over. Figure 2, All
    /// Servers: "If RPC request *or response* contains term T > currentTerm: set currentTerm = T, convert to follower."
    IgnoresTheTermOfAReply,
    /// It counts a vote whenever it comes, also one that it asked for in an earlier election. Figure 2, Candidates: "If votes
    /// received from majority of servers: become leader"; a vote is of one term ("votedFor: candidateId that received vote
    /// *in current term*"), and a reply that comes in a later one is dropped.
    CountsOldVotes,
    /// It votes for a candidate of an older term than its own. Figure 2, RequestVote, 1: "Reply false if term <
    /// currentTerm."
    VotesForAnOlderTerm,
    /// It takes replies to what it sent as leader of an earlier term for replies of now, and so counts entries that were
    /// overwritten since. Figure 2, Leaders: "If successful: update nextIndex and matchIndex for follower", which are
    /// "*reinitialized after election*".
    TakesOldRepliesForNew,
    /// Its candidate does not listen to the leader that has won its term, and campaigns against it. Figure 2, Candidates:
    /// "If AppendEntries RPC received from new leader: convert to follower"; a leader of the candidate's own term is
    /// one.
    CandidateIgnoresItsLeader,
    /// It saves its term with its vote, and not when it adopts one from a message. Figure 2, "Persistent state on all
    /// servers": "*currentTerm*: latest term server has seen", "updated on stable storage before responding to RPCs".
    DoesNotSaveAnAdoptedTerm,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Mistake; 24] = [
        Mistake::NeverElects,
        Mistake::VotesTwiceInATerm,
        Mistake::DoesNotResetTheTimerOnGrantingAVote,
        Mistake::AppliesOutOfOrder,
        Mistake::LosesAnEntry,
        Mistake::SendsRpcsInATightLoop,
        Mistake::HoldsItsLockWhileDelivering,
        Mistake::HoldsItsLockOverAnRpc,
        Mistake::NoVotePersistence,
        Mistake::NoLogPersistence,
        Mistake::ActsBeforeItPersists,
        Mistake::CommitsAnEntryOfAnOlderTermByCounting,
        Mistake::TruncatesOnALateAppendEntries,
        Mistake::GoesBackOnAnOldSnapshot,
        Mistake::ResetsTheTimerOnEveryRequestVote,
        Mistake::ForgetsTheSnapshotOnTheNextSave,
        Mistake::CommitsPastTheLastNewEntry,
        Mistake::GrantsAVoteToAShorterLog,
        Mistake::IgnoresTheTermOfAReply,
        Mistake::CountsOldVotes,
        Mistake::VotesForAnOlderTerm,
        Mistake::TakesOldRepliesForNew,
        Mistake::CandidateIgnoresItsLeader,
        Mistake::DoesNotSaveAnAdoptedTerm,
    ];
}
