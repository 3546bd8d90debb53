//! The rules that people break: where each stands, and what it demands.

use std::fmt;

/// Defines [`Rule`]: each variant with its explanation, the place where the rule stands, and what it demands.
macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident: $source:literal, $requirement:literal;)+) => {
        /// A rule of the paper, or of the lab, that a failed run may have broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Rule {
            /// All of them: those of Raft, then those of every server, then those of the key/value service and its clerks.
            pub const ALL: &'static [Rule] = &[$(Rule::$name),+];

            /// Where it stands, such as `Figure 2, RequestVote RPC, receiver 2`.
            pub fn source(self) -> &'static str {
                match self { $(Rule::$name => $source),+ }
            }

            /// What it demands.
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
    /// Whoever hears of no leader campaigns.
    CampaignOnTimeout: "Figure 2, Followers and Candidates",
        "a server that hears of no leader for an election timeout asks for votes, again and again";
    /// A heartbeat postpones the next campaign.
    HeartbeatResetsTimer: "Figure 2, Followers",
        "an AppendEntries of the current leader begins the election timeout anew";
    /// A vote that is granted postpones the voter's own campaign.
    GrantResetsTimer: "Figure 2, Followers",
        "granting a vote begins the election timeout anew";
    /// A vote that is refused postpones nothing.
    OnlyGrantResetsTimer: "Figure 2, Followers",
        "a request for a vote begins the election timeout anew only if the vote is granted";
    /// One vote in a term.
    OneVotePerTerm: "Figure 2, RequestVote RPC, receiver 2",
        "a server votes for at most one candidate in a term";
    /// No vote for a log that lacks something.
    UpToDateCandidate: "Figure 2, RequestVote RPC, receiver 2, and section 5.4.1",
        "no vote for a candidate whose last entry has an older term, or the same term and a smaller index";
    /// No vote for an election that is over.
    RefuseOlderTerm: "Figure 2, RequestVote RPC, receiver 1",
        "no vote for a candidate of an older term than the server's own";
    /// Somebody else has won.
    FollowNewLeader: "Figure 2, Candidates",
        "a candidate that hears from a leader of its own term follows it";
    /// What makes a leader.
    MajorityOfVotes: "Figure 2, Candidates",
        "a candidate leads when a majority has voted for it in its present term, and not before";
    /// A higher term ends a leader's time.
    StepDown: "Figure 2, All Servers",
        "a server that sees a higher term, in a request or in a reply, moves to it and follows";
    /// Terms only grow.
    TermOnlyGrows: "Figure 2, State, currentTerm",
        "a server's term never goes back";
    /// Answers that come late.
    DropStaleReplies: "the lab's advice on Raft's structure",
        "a reply counts only while the server is still in the term, and the role, in which it asked";
    /// Terms are saved.
    SaveTerm: "Figure 2, Persistent state on all servers, currentTerm",
        "a server is in no older term after a restart than before";
    /// Votes are saved.
    SaveVote: "Figure 2, Persistent state on all servers, votedFor",
        "a server remembers after a restart whom it voted for in its term";
    /// Entries are saved.
    SaveLog: "Figure 2, Persistent state on all servers, log[]",
        "a server has after a restart the entries that it had before";
    /// Saved first, said afterwards.
    SaveBeforeReply: "Figure 2, Persistent state on all servers",
        "term, vote and log are on stable storage before anybody is answered or asked";
    /// A leader's log only grows.
    LeaderAppendOnly: "Figure 3, Leader Append-Only",
        "a leader never overwrites or deletes entries in its own log";
    /// The consistency check.
    PrevEntryMatches: "Figure 2, AppendEntries RPC, receiver 2",
        "no entries are added behind one that has another term than the leader's";
    /// Nothing is removed without need.
    TruncateOnConflict: "Figure 2, AppendEntries RPC, receiver 3 and 4",
        "entries are removed only if one of them has another term than the leader's entry of the same index";
    /// How far a follower may commit.
    CommitLastNewEntry: "Figure 2, AppendEntries RPC, receiver 5",
        "a follower commits no further than the last entry that the message has shown to match";
    /// Counting is for entries of one's own term.
    CommitOwnTerm: "Figure 2, Leaders, and section 5.4.2 (Figure 8)",
        "a leader commits by counting only an entry of its own term";
    /// A majority has it.
    CommitMajority: "Figure 2, Leaders",
        "a leader commits an entry when it is in the logs of a majority, and not before";
    /// What is committed stays so.
    CommitOnlyGrows: "Figure 2, State, commitIndex",
        "a server's commit index never goes back";
    /// In order, each once.
    ApplyInOrder: "Figure 2, All Servers",
        "entries are applied one after the other, each index once";
    /// A leader does not give up.
    RetryUntilStored: "section 5.3, and Figure 2, Leaders",
        "a leader sends to each follower what it lacks, again and again, until the follower has it, and commits it then";
    /// Where logs differ, try further back.
    BackUpNextIndex: "section 5.3",
        "a leader whose AppendEntries is refused goes back with nextIndex, by more than one entry at a time, and tries again";
    /// Heartbeats are for idle periods.
    HeartbeatWhenIdle: "Figure 2, Leaders",
        "what has nothing new to say is sent in idle periods only, about ten times a second";
    /// Nothing is sent again without need.
    SendOnce: "the lab, limits of RPCs and bytes",
        "an entry goes to each follower about once while nothing is lost";
    /// An old snapshot is no news.
    IgnoreOldSnapshot: "Figure 13, InstallSnapshot RPC, receiver 5 and 6",
        "a snapshot that covers no more than what the server has takes nothing back";
    /// What follows a snapshot stays.
    RetainAfterSnapshot: "Figure 13, InstallSnapshot RPC, receiver 6",
        "if the log has the snapshot's last entry, the entries that follow it stay";
    /// Snapshots are saved, with the state that begins behind them.
    SaveSnapshot: "section 7",
        "the snapshot is saved with every state whose log begins behind it: what it covers is nowhere else";
    /// What a snapshot covers leaves the log.
    CompactLog: "section 7",
        "what a snapshot covers leaves the log, and who lacks it is sent the snapshot";

    /// The lock and the apply channel.
    NoLockWhileDelivering: "the lab's advice on locking",
        "no lock is held while something is delivered to the service";
    /// The lock and the network.
    NoLockOverRpc: "the lab's advice on locking",
        "no lock is held while an RPC is waited for";
    /// The lock and everything else that takes time.
    NoLockWhileWaiting: "the lab's advice on locking",
        "no lock is held while something is waited for that somebody else needs the lock to bring about";
    /// Two locks.
    OneLockOrder: "the lab's advice on locking",
        "whoever takes several locks takes them in the same order as everybody else";
    /// A killed server ends.
    StopWhenKilled: "the lab, kill",
        "all threads of a server that is killed end soon, and whoever waits for it is answered";

    /// Each operation once.
    ExecuteOnce: "section 8",
        "a write that was executed is not executed again when its clerk asks again";
    /// The look at the table belongs where entries are applied.
    CheckDuplicateAtApply: "section 8",
        "whether a write was executed already is looked up when its entry is applied: the log may have it twice";
    /// What was executed belongs to the state.
    DuplicateTableInSnapshot: "sections 7 and 8",
        "a snapshot holds what was executed for each client, and not the values alone";
    /// A duplicate is answered.
    AnswerDuplicates: "section 8",
        "a write that was executed already is answered as if it had just been, and not refused";
    /// Whoever waits for a duplicate is answered.
    AnswerWaitingClients: "section 8",
        "whoever waits for an entry is answered when it is applied, also if its write was executed before";
    /// Reads must know who leads.
    ReadsNeedQuorum: "section 8",
        "a read goes through the log, or its leader exchanges messages with a majority before it answers";
    /// Reads must know what is committed.
    CommitBeforeFirstRead: "section 8",
        "a leader answers no read before it has committed an entry of its own term";
    /// Answers for the own entry.
    ReplyToOwnEntryOnly: "sections 5.3 and 8",
        "whoever waits at an index is answered by his own entry: one of the same index and term, or of his own number";
    /// Lost leadership is noticed.
    DetectLostLeadership: "the lab, key/value service",
        "whoever waits at a server that no longer leads in that term is told to ask another";
    /// Snapshots when they are due.
    SnapshotWhenLarge: "the lab, key/value service with snapshots",
        "a service makes a snapshot when its Raft's state comes near maxraftstate";
    /// No snapshots when none are wanted.
    NoUnrequestedSnapshot: "the lab, key/value service",
        "a service that was given no maxraftstate makes no snapshot";
    /// Snapshots hold what is needed, and nothing else.
    SmallSnapshot: "the lab, key/value service with snapshots",
        "a snapshot holds the values, and of each client only what was executed last";
    /// A service starts with its snapshot.
    RestoreSnapshotOnStart: "section 7",
        "a service that is started goes on from the snapshot that was saved: what it covers is not applied again";
    /// A snapshot from the leader replaces the state.
    InstallResetsService: "Figure 13, InstallSnapshot RPC, receiver 8",
        "a service that is delivered a snapshot goes on from it";
    /// A retry is the same operation.
    RetryKeepsNumber: "section 8",
        "a clerk numbers its operations, and not its attempts: who asks again asks with the same number";
    /// No answer is no answer.
    RetryUntilReply: "section 8, and the lab, clerk",
        "a clerk asks again until it has an answer: a call without a reply says nothing";
    /// Clerks are told apart.
    UniqueClientId: "section 8",
        "each clerk has a number that no other clerk has";
    /// Somebody else leads.
    TryAnotherServer: "section 8, and the lab, clerk",
        "a clerk whose server does not lead asks another one";
    /// At once, and not at the next heartbeat.
    ReplicateImmediately: "the lab, key/value service",
        "what a leader is given goes to its followers at once, and not with the next heartbeat";
}
