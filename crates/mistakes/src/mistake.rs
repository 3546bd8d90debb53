//! The mistakes of the plain Raft, each with the rule that it breaks.

/// Defines [`Mistake`], and the list of all.
macro_rules! mistakes {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// A mistake that implementers of Raft make.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mistake {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Mistake {
            /// All mistakes, in the order of their declaration.
            pub const ALL: &'static [Mistake] = &[$(Mistake::$name),+];
        }
    };
}

mistakes! {
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
    /// It adopts the term of every message, even a lower one. Figure 2, State: currentTerm "*increases monotonically*".
    AdoptsALowerTerm,
    /// Its candidate saves neither its new term nor its vote for itself. Figure 2, "Persistent state on all servers".
    CandidateSavesNothing,
    /// It saves new entries, but not the removal of old ones, so removed entries are back after a restart. Figure 2,
    /// "Persistent state on all servers": "log\[\]".
    RemovedEntriesComeBack,
    /// It forgets its vote when it hears from the leader of the same term. Figure 2, State: "votedFor: candidateId that
    /// received vote *in current term*".
    ForgetsItsVoteForALeader,
    /// It keeps its vote when it adopts a new term, so it seldom has a vote to give. Figure 2, State: "votedFor:
    /// candidateId that received vote *in current term (or null if none)*".
    KeepsItsVoteInANewTerm,
    /// It campaigns in its present term. Figure 2, Candidates: "On conversion to candidate, start election: *increment
    /// currentTerm*".
    CampaignsInItsPresentTerm,
    /// Its candidate counts its own vote, but may vote for another candidate. Figure 2, Candidates: "*Vote for self*".
    CountsItsVoteWithoutCastingIt,
    /// Its candidate does not reset its election timer, and campaigns at every tick. Figure 2, Candidates: "*Reset
    /// election timer*".
    CampaignsAtEveryTick,
    /// Its candidate asks only the next server. Figure 2, Candidates: "Send RequestVote RPCs to *all* other servers".
    AsksOnlyOneServer,
    /// Its candidate waits for ever. Figure 2, Candidates: "If election timeout elapses: start new election".
    CampaignsOnlyOnce,
    /// All its election timeouts are equal. Section 5.2: "Raft uses *randomized* election timeouts to ensure that split
    /// votes are rare and that they are resolved quickly."
    EqualTimeouts,
    /// Its candidate counts replies, not votes. Figure 2, Candidates: "If *votes* received from majority of servers".
    CountsARefusedVote,
    /// Its candidate leads with one vote less than a majority. Figure 2, Candidates: "If votes received from *majority*
    /// of servers: become leader".
    LeadsWithoutAMajority,
    /// Its candidate leads only when all servers have voted for it. Figure 2, Candidates: "If votes received from
    /// *majority* of servers: become leader".
    NeedsEveryVote,
    /// An AppendEntries does not reset its election timer. Figure 2, Followers: "If election timeout elapses *without
    /// receiving AppendEntries RPC from current leader*".
    HeartbeatsDoNotResetItsTimer,
    /// It refuses entries of an older term, but they reset its election timer. Figure 2, Followers: "without receiving
    /// AppendEntries RPC from *current* leader".
    OldLeadersResetItsTimer,
    /// It compares the lengths of the logs, but not the terms of their last entries. Section 5.4.1: "If the logs have
    /// last entries with different terms, then the log with the later term is more up-to-date."
    GrantsAVoteToAnOlderLog,
    /// It demands a later or equal term and a log that is as long. Section 5.4.1: "If the logs have last entries with
    /// different terms, then the log with the *later term* is more up-to-date."
    DemandsALongerLog,
    /// It votes only for logs that are ahead of its own. Figure 2, RequestVote, 2: "candidate's log is *at least* as
    /// up-to-date".
    RefusesAnEqualLog,
    /// Its leader ignores a higher term in an AppendEntries. Figure 2, All Servers: "If RPC *request* or response
    /// contains term T > currentTerm".
    LeaderIgnoresTheTermOfALeader,
    /// Its leader ignores a higher term in a RequestVote. Figure 2, All Servers, as before.
    LeaderIgnoresTheTermOfACandidate,
    /// It adopts a higher term and goes on leading. Figure 2, All Servers: "*convert to follower*".
    LeadsOnInAHigherTerm,
    /// It accepts an AppendEntries of an older term. Figure 2, AppendEntries, 1: "Reply false if term < currentTerm".
    AcceptsEntriesOfAnOlderTerm,
    /// It accepts an InstallSnapshot of an older term. Figure 13, 1: "Reply immediately if term < currentTerm".
    AcceptsASnapshotOfAnOlderTerm,
    /// It stores entries whatever the term of the entry before them. Figure 2, AppendEntries, 2: "Reply false if log
    /// doesn't contain an entry at prevLogIndex *whose term matches prevLogTerm*".
    IgnoresPrevLogTerm,
    /// It stores entries even if its log ends before prevLogIndex, and so at other indexes. Figure 2, AppendEntries, 2:
    /// "Reply false if log *doesn't contain an entry at prevLogIndex*".
    IgnoresAGap,
    /// It keeps entries that conflict with those of its leader. Figure 2, AppendEntries, 3: "If an existing entry
    /// conflicts with a new one (same index but different terms), *delete the existing entry*".
    KeepsConflictingEntries,
    /// It replaces a conflicting entry, but keeps those after it. Figure 2, AppendEntries, 3: "delete the existing
    /// entry *and all that follow it*".
    KeepsEntriesAfterAConflict,
    /// It appends all entries of a message, even those that it has. Figure 2, AppendEntries, 4: "Append any new entries
    /// *not already in the log*".
    AppendsEntriesAgain,
    /// It adopts the leader's commit index only from messages with entries. Figure 2, AppendEntries, 5: "If
    /// leaderCommit > commitIndex, set commitIndex".
    IgnoresTheCommitOfAHeartbeat,
    /// It adopts every commit index of its leader, even a lower one, and applies from there. Figure 2, State:
    /// commitIndex and lastApplied "*increase monotonically*".
    CommitIndexGoesBack,
    /// It swaps one in a thousand entries with the next. Figure 2, All Servers: "increment lastApplied, apply
    /// log\[lastApplied\] to state machine".
    SwapsOneApplyInAThousand,
    /// Its followers do not apply. Figure 2, *All* Servers: "If commitIndex > lastApplied: \[...\] apply".
    AppliesOnlyAsLeader,
    /// Its leader sends no heartbeats. Figure 2, Leaders: "send initial empty AppendEntries RPCs (heartbeat) to each
    /// server; *repeat during idle periods*".
    SendsNoHeartbeats,
    /// Its leader sends each entry once, whether it arrives or not. Section 5.3: "the leader retries AppendEntries RPCs
    /// indefinitely \[...\] until all followers eventually store all log entries."
    SendsEachEntryOnce,
    /// Its leader sends all entries of its term again and again. Figure 2, Leaders: "If successful: *update nextIndex*
    /// and matchIndex for follower".
    NeverAdvancesNextIndex,
    /// Its leader does not decrease nextIndex after a refusal. Figure 2, Leaders: "If AppendEntries fails because of
    /// log inconsistency: *decrement nextIndex* and retry".
    NeverBacksUp,
    /// Its leader decreases nextIndex by one entry with each refusal. The end of section 5.3 shows how to bypass all
    /// conflicting entries of a term at once, and the lab demands it.
    BacksUpOneByOne,
    /// Its leader assumes after any success that the follower has the leader's whole log. Figure 2, Leaders: "If
    /// successful: update \[...\] matchIndex", which is "index of highest log entry *known to be replicated*".
    MatchIndexFromItsOwnLog,
    /// Its leader assumes after a success that the follower's whole log matches. Figure 2, matchIndex, as before.
    MatchIndexFromTheFollowersLog,
    /// Its leader keeps the matchIndex of its earlier leadership. Figure 2, State: "*Reinitialized after election*".
    KeepsMatchIndex,
    /// Its leader commits with one server less than a majority. Figure 2, Leaders: "a *majority* of
    /// matchIndex\[i\] >= N".
    CommitsWithoutAMajority,
    /// Its leader commits entries only when all servers have them. Figure 2, Leaders: "a *majority* of
    /// matchIndex\[i\] >= N".
    CommitsOnlyWithEveryServer,
    /// It ignores the snapshots of its service. Section 7: "Once a server completes writing a snapshot, it may delete
    /// all log entries up through the last included index"; the lab demands it.
    NeverCompactsItsLog,
    /// It forgets the term of the last entry that its snapshot covers. Section 7: the last included index and *term*
    /// "are preserved to support the AppendEntries consistency check".
    ForgetsTheTermOfItsSnapshot,
    /// Its leader sends no snapshots. Section 7: "the leader must occasionally send snapshots to followers that lag
    /// behind".
    NeverSendsASnapshot,
    /// It saves its state with the snapshot before the present one. Section 7, as before: the entries between them are
    /// nowhere.
    SavesThePreviousSnapshot,
    /// It saves its own snapshots, but not those of its leader. Figure 13, 5: "*Save snapshot file*".
    DoesNotSaveAnInstalledSnapshot,
    /// An old snapshot removes the entries after it. Figure 13, 6: "If existing log entry has same index and term as
    /// snapshot's last included entry, *retain log entries following it*".
    RemovesEntriesAfterASnapshot,
    /// It keeps its log although the entry at the snapshot's last index has another term. Figure 13, 7: "*Discard the
    /// entire log*".
    KeepsALogThatConflictsWithASnapshot,
    /// It installs a snapshot without its service. Figure 13, 8: "Reset state machine using snapshot contents".
    DoesNotDeliverAnInstalledSnapshot,
    /// It delivers a snapshot once more, after later entries. Figure 13, 8, as before.
    DeliversASnapshotTwice,
}
