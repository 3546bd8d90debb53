//! What a Raft can be asked about itself ([`Raft::status`](crate::Raft::status)), and what it can tell unasked
//! ([`Raft::subscribe`](crate::Raft::subscribe)).

use record::{Index, Role, ServerId, Term};

/// A server's state at one moment: Figure 2 of the paper, without the entries themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What the server takes itself for.
    pub role: Role,
    /// The latest term that it has seen.
    pub term: Term,
    /// Who has its vote in that term.
    pub voted_for: Option<ServerId>,
    /// The index of the first entry in its log: the one after [`snapshot_index`](Status::snapshot_index). The log is empty
    /// if it is above [`last_index`](Status::last_index).
    pub first_index: Index,
    /// The index of the last entry in its log; the snapshot's if there is none after that.
    pub last_index: Index,
    /// The term of that entry.
    pub last_term: Term,
    /// The highest index that it knows to be committed.
    pub commit_index: Index,
    /// The highest index that it has handed out to be applied: the service may not have come that far yet.
    pub last_applied: Index,
    /// The last index that its snapshot covers; 0 if it has none.
    pub snapshot_index: Index,
    /// The term of that entry; 0 if there is none.
    pub snapshot_term: Term,
    /// What a leader knows of each other server, in their order; empty if this server does not lead.
    pub followers: Vec<Follower>,
}

/// What a leader knows of one other server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    /// Which one.
    pub server: ServerId,
    /// The index of the next entry to send to it.
    pub next_index: Index,
    /// The highest index up to which its log is known to be the leader's; 0 if nothing is known.
    pub match_index: Index,
    /// How the leader treats it.
    pub state: FollowerState,
}

/// How a leader treats another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FollowerState {
    /// The leader looks for where the logs agree.
    Probing,
    /// The logs agree, and new entries follow.
    Replicating,
    /// The log does not go back far enough: the leader's snapshot is on its way.
    ReceivingSnapshot,
    /// It does not answer: the leader sends heartbeats alone.
    Silent,
}

/// Something that happened to a server's Raft, for the service above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateChange {
    /// It was elected.
    BecameLeader {
        /// The term that it leads.
        term: Term,
    },
    /// It leads no longer. What it took in earlier terms and has not committed may be lost.
    SteppedDown {
        /// The term that has begun: what this server accepted as leader is of earlier ones.
        term: Term,
    },
    /// It took over a leader's snapshot, which comes through the apply channel in its turn.
    SnapshotInstalled {
        /// The last index that the snapshot covers.
        index: Index,
        /// The term of that entry.
        term: Term,
    },
}
