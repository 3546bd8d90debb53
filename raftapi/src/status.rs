//! The state of a Raft server as observers see it ([`RaftExt::status`](crate::RaftExt::status)), and its changes
//! ([`RaftExt::subscribe`](crate::RaftExt::subscribe)).

use ids::{Index, ServerId, Term};
use record::Role;

/// A server's state at one moment: Figure 2 of the paper, without the entries themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The role that the server believes it has.
    pub role: Role,
    /// The latest term that it has seen.
    pub term: Term,
    /// The server that has its vote in that term.
    pub voted_for: Option<ServerId>,
    /// The index of the first entry in its log: the one after [`snapshot_index`](Status::snapshot_index). The log is
    /// empty if it is above [`last_index`](Status::last_index).
    pub first_index: Index,
    /// The index of the last entry in its log; [`snapshot_index`](Status::snapshot_index) if the log is empty.
    pub last_index: Index,
    /// The term of that entry.
    pub last_term: Term,
    /// The highest index that it knows to be committed.
    pub commit_index: Index,
    /// The highest index that it has delivered to the service, which may not have applied it yet.
    pub last_applied: Index,
    /// The last index that its snapshot covers; 0 if it has none.
    pub snapshot_index: Index,
    /// The term of that entry; 0 if there is none.
    pub snapshot_term: Term,
    /// The leader's state of each other server, in the order of their ids; empty if this server does not lead.
    pub followers: Vec<Follower>,
}

/// State of one follower as its leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    /// The follower.
    pub server: ServerId,
    /// The index of the next entry to send to it.
    pub next_index: Index,
    /// The highest index up to which its log is known to equal the leader's; 0 if nothing is known.
    pub match_index: Index,
    /// The state of replication to it.
    pub state: FollowerState,
}

/// State of replication from a leader to one follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FollowerState {
    /// The leader searches for the last index at which the logs agree.
    Probing,
    /// The logs agree, and the leader sends new entries.
    Replicating,
    /// The leader's log no longer has the entries that the follower needs, and the leader's snapshot is in flight.
    ReceivingSnapshot,
    /// The follower does not reply, and the leader sends only heartbeats.
    Silent,
}

/// A change of a server's Raft state, for the service above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateChange {
    /// The server was elected leader.
    BecameLeader {
        /// The term that it leads.
        term: Term,
    },
    /// The server stepped down. Commands that it accepted in earlier terms and has not committed may be lost.
    SteppedDown {
        /// The new term. All commands that this server accepted as leader have earlier terms.
        term: Term,
    },
    /// The server installed a leader's snapshot. The apply channel delivers the snapshot in its turn.
    SnapshotInstalled {
        /// The last index that the snapshot covers.
        index: Index,
        /// The term of that entry.
        term: Term,
    },
}
