//! The rules that implementations often break: the source of each rule, and its requirement.

use std::fmt;

/// Defines [`Rule`]: each variant with its explanation, its source, and its requirement.
macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident: $source:literal, $requirement:literal;)+) => {
        /// A rule of the paper, or of the lab, that a failed run may have broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Rule {
            /// All rules: those of Raft, then those of every server, then those of the key/value service and its
            /// clerks.
            pub const ALL: &'static [Rule] = &[$(Rule::$name),+];

            /// Returns the source of the rule, such as `Figure 2, RequestVote RPC, receiver 2`.
            pub fn source(self) -> &'static str {
                match self { $(Rule::$name => $source),+ }
            }

            /// Returns the requirement.
            pub fn requirement(self) -> &'static str {
                match self { $(Rule::$name => $requirement),+ }
            }
        }
    };
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source(), self.requirement())
    }
}

rules! {
    /// A server that hears from no leader campaigns.
    CampaignOnTimeout: "Figure 2, Followers and Candidates",
        "a server that hears from no leader for an election timeout requests votes, and requests them again after \
         each further timeout";
    /// A heartbeat postpones the next campaign.
    HeartbeatResetsTimer: "Figure 2, Followers",
        "an AppendEntries of the current leader resets the election timer";
    /// A granted vote postpones the voter's own campaign.
    GrantResetsTimer: "Figure 2, Followers",
        "granting a vote resets the election timer";
    /// A refused vote postpones nothing.
    OnlyGrantResetsTimer: "Figure 2, Followers",
        "a RequestVote resets the election timer only if the vote is granted";
    /// An election needs a new term.
    CampaignInNewTerm: "Figure 2, Candidates",
        "each election has a new term: a server that campaigns first increments its term";
    /// A campaign postpones the next one.
    CampaignResetsTimer: "Figure 2, Candidates",
        "a server that campaigns resets its election timer, so that replies have time to arrive";
    /// Timeouts differ.
    RandomTimeouts: "section 5.2",
        "each election timeout is random, so that servers seldom campaign at the same time again and again";
    /// Silence causes elections.
    SendHeartbeats: "Figure 2, Leaders",
        "a leader sends AppendEntries to every server when it is elected, and again in idle periods, before an \
         election timer can fire";
    /// One vote per term.
    OneVotePerTerm: "Figure 2, RequestVote RPC, receiver 2",
        "a server votes for at most one candidate in a term";
    /// A vote per term.
    VoteInNewTerm: "Figure 2, State, votedFor",
        "a server that enters a new term has not voted in it, and votes for the first candidate that may get its vote";
    /// No vote for a log that is behind.
    UpToDateCandidate: "Figure 2, RequestVote RPC, receiver 2, and section 5.4.1",
        "no vote for a candidate whose last entry has an older term than the voter's, or the same term and a smaller \
         index; every other log is good enough";
    /// No vote for an election of an older term.
    RefuseOlderTerm: "Figure 2, RequestVote RPC, receiver 1",
        "no vote for a candidate whose term is older than the server's own";
    /// A past leader has nothing to say.
    IgnoreOlderLeader: "Figure 2, AppendEntries RPC, receiver 1, and Figure 13, receiver 1",
        "a message of a leader whose term is older changes nothing: neither the role, nor the log, nor the election \
         timer";
    /// A candidate gives up when another server wins.
    FollowNewLeader: "Figure 2, Candidates",
        "a candidate that hears from a leader of its own term becomes its follower";
    /// A majority of votes makes a leader.
    MajorityOfVotes: "Figure 2, Candidates",
        "a candidate becomes leader when a majority has voted for it in its current term, not earlier";
    /// A higher term ends leadership.
    StepDown: "Figure 2, All Servers",
        "a server that sees a higher term, in a request or in a reply, adopts it and becomes a follower";
    /// Terms only grow.
    TermOnlyGrows: "Figure 2, State, currentTerm",
        "a server's term never decreases";
    /// Late replies do not count.
    DropStaleReplies: "the lab's advice on Raft's structure",
        "a reply counts only while the server is still in the term, and in the role, in which it sent the request";
    /// Terms are saved.
    SaveTerm: "Figure 2, Persistent state on all servers, currentTerm",
        "a server's term after a restart is at least its term before";
    /// Votes are saved.
    SaveVote: "Figure 2, Persistent state on all servers, votedFor",
        "after a restart, a server remembers its vote of the current term";
    /// Entries are saved.
    SaveLog: "Figure 2, Persistent state on all servers, log[]",
        "after a restart, a server has the entries that it had before";
    /// A server saves first and replies afterwards.
    SaveBeforeReply: "Figure 2, Persistent state on all servers",
        "term, vote and log are on stable storage before the server sends any reply or request";
    /// A leader's log only grows.
    LeaderAppendOnly: "Figure 3, Leader Append-Only",
        "a leader never overwrites or deletes entries in its own log";
    /// The consistency check.
    PrevEntryMatches: "Figure 2, AppendEntries RPC, receiver 2",
        "no entries are added after an entry whose term differs from the leader's";
    /// Entries are removed only on a conflict.
    TruncateOnConflict: "Figure 2, AppendEntries RPC, receiver 3 and 4",
        "an entry that has another term than the leader's at the same index is removed with all after it, and \
         otherwise no entry; entries that are in the log already are not added again";
    /// Upper bound of a follower's commit index.
    CommitLastNewEntry: "Figure 2, AppendEntries RPC, receiver 5",
        "a follower commits no further than the last entry that the message has shown to match";
    /// A follower learns what is committed.
    FollowLeaderCommit: "Figure 2, AppendEntries RPC, receiver 5",
        "a follower adopts the leader's commit index from every AppendEntries that matches, also from an empty one";
    /// Counting replicas works only for entries of the leader's own term.
    CommitOwnTerm: "Figure 2, Leaders, and section 5.4.2 (Figure 8)",
        "a leader commits an entry by counting replicas only if the entry is of its own term";
    /// A committed entry is on a majority.
    CommitMajority: "Figure 2, Leaders",
        "a leader commits an entry when it is in the logs of a majority, not earlier";
    /// Committed entries stay committed.
    CommitOnlyGrows: "Figure 2, State, commitIndex",
        "a server's commit index never decreases";
    /// Entries are applied in order, each once.
    ApplyInOrder: "Figure 2, All Servers",
        "entries are applied in order, each index once";
    /// A leader retries without end.
    RetryUntilStored: "section 5.3, and Figure 2, Leaders",
        "a leader sends missing entries to each follower again and again until the follower has stored them, and then \
         commits them";
    /// If logs differ, the leader tries an earlier index.
    BackUpNextIndex: "section 5.3",
        "when an AppendEntries is refused, the leader decreases nextIndex, by more than one entry at a time, and \
         retries";
    /// Heartbeats are for idle periods.
    HeartbeatWhenIdle: "Figure 2, Leaders",
        "messages without new content are sent only in idle periods, about ten times a second";
    /// Entries are not sent twice without need.
    SendOnce: "the lab, limits of RPCs and bytes",
        "an entry goes to each follower about once while no message is lost";
    /// An old snapshot does not remove newer state.
    IgnoreOldSnapshot: "Figure 13, InstallSnapshot RPC, receiver 5 and 6",
        "a snapshot that covers no more than the server already has does not undo anything";
    /// Entries after a snapshot stay.
    RetainAfterSnapshot: "Figure 13, InstallSnapshot RPC, receiver 6",
        "if the log has the snapshot's last entry, the entries after it stay";
    /// Entries that conflict with a snapshot go.
    DiscardConflictingLog: "Figure 13, InstallSnapshot RPC, receiver 7",
        "if the log has another entry at the snapshot's last index, the whole log is discarded";
    /// The service gets an installed snapshot.
    DeliverSnapshot: "Figure 13, InstallSnapshot RPC, receiver 8",
        "an installed snapshot is delivered to the service, before any later entry";
    /// The term of the last covered entry stays.
    KeepSnapshotTerm: "section 7",
        "the term of the last entry that a snapshot covers is kept, for the consistency check of the next entry";
    /// Snapshots are saved, together with the state that starts after them.
    SaveSnapshot: "section 7",
        "the snapshot is saved with every state whose log starts after it, because the covered entries are nowhere \
         else";
    /// Covered entries leave the log.
    CompactLog: "section 7",
        "covered entries are removed from the log, and a follower that lacks them is sent the snapshot";

    /// No lock during delivery to the apply channel.
    NoLockWhileDelivering: "the lab's advice on locking",
        "no lock is held while a message is delivered to the service";
    /// No lock during an RPC.
    NoLockOverRpc: "the lab's advice on locking",
        "no lock is held while a thread waits for an RPC";
    /// No lock during any other wait.
    NoLockWhileWaiting: "the lab's advice on locking",
        "no lock is held while a thread waits for something that another thread can do only with that lock";
    /// One order of locks.
    OneLockOrder: "the lab's advice on locking",
        "every thread that takes several locks takes them in the same order";
    /// The threads of a killed server end.
    StopWhenKilled: "the lab, kill",
        "all threads of a killed server end soon, and its waiting clients get an answer";

    /// Each operation takes effect once.
    ExecuteOnce: "section 8",
        "a write that was executed is not executed again when its clerk retries";
    /// Duplicates are detected when entries are applied.
    CheckDuplicateAtApply: "section 8",
        "the check for an executed write happens when its entry is applied, because the log may contain the write \
         twice";
    /// The duplicate table is part of the state.
    DuplicateTableInSnapshot: "sections 7 and 8",
        "a snapshot holds the last executed write of each client, not only the values";
    /// A duplicate is answered.
    AnswerDuplicates: "section 8",
        "a write that was already executed is answered as if it had just been executed, not refused";
    /// A client that waits for a duplicate is answered.
    AnswerWaitingClients: "section 8",
        "a client that waits for an entry is answered when the entry is applied, even if its write was executed before";
    /// A read needs proof of leadership.
    ReadsNeedQuorum: "section 8",
        "a read goes through the log, or its leader exchanges messages with a majority before it replies";
    /// A read needs to know the committed entries.
    CommitBeforeFirstRead: "section 8",
        "a leader answers no read before it has committed an entry of its own term";
    /// A client is told what has happened.
    AnswerAfterApply: "Figure 2, Leaders, and section 8",
        "a client is answered when its entry is applied, not when it is in the log of the leader";
    /// A client gets the result of its own entry.
    ReplyToOwnEntryOnly: "sections 5.3 and 8",
        "a client that waits at an index is answered only for its own entry: one with the same index and term, or \
         with its own request number";
    /// Lost leadership is detected.
    DetectLostLeadership: "the lab, key/value service",
        "a client that waits at a server which no longer leads in that term is told to try another server";
    /// Snapshots are taken when the state is large.
    SnapshotWhenLarge: "the lab, key/value service with snapshots",
        "a service takes a snapshot when its Raft's state comes near maxraftstate";
    /// No snapshots without maxraftstate.
    NoUnrequestedSnapshot: "the lab, key/value service",
        "a service without a maxraftstate takes no snapshot";
    /// Snapshots hold only necessary data.
    SmallSnapshot: "the lab, key/value service with snapshots",
        "a snapshot holds the values, and for each client only the last executed write";
    /// A service starts with its snapshot.
    RestoreSnapshotOnStart: "section 7",
        "a service that starts restores the saved snapshot and does not apply the covered entries again";
    /// A snapshot from the leader replaces the state.
    InstallResetsService: "Figure 13, InstallSnapshot RPC, receiver 8",
        "a service that receives a snapshot replaces its state with it";
    /// A retry is the same operation.
    RetryKeepsNumber: "section 8",
        "a clerk numbers its operations, not its attempts: a retry has the same number";
    /// No reply means no result.
    RetryUntilReply: "section 8, and the lab, clerk",
        "a clerk retries until it has a reply: a call without a reply says nothing";
    /// Clerks are distinguishable.
    UniqueClientId: "section 8",
        "each clerk has a number that no other clerk has, and servers track the writes of each clerk separately";
    /// Another server leads.
    TryAnotherServer: "section 8, and the lab, clerk",
        "a clerk whose server does not lead tries another server";
    /// New commands are sent immediately, not with the next heartbeat.
    ReplicateImmediately: "the lab, key/value service",
        "a leader sends a new command to its followers immediately, not with the next heartbeat";
}
