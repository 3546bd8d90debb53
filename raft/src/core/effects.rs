//! The orders that the core gives to the code around it. The core does not know how a disk is written, a timer is kept
//! or a message travels.

use raftapi::{Index, ServerId, Term};

use super::{RequestVoteArgs, ServerSet, SoftState};

/// The work that an event causes. Do it in the order of the fields.
#[must_use = "the core relies on its effects being carried out; an effect that is dropped breaks a promise"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The state to save before anything else. No other server and no client may see a consequence of the event before
    /// it is saved: no reply, no request, no result of a proposal. The core must not receive another event before
    /// either (Figure 2: "updated on stable storage before responding to RPCs").
    pub persist: Persist,
    /// Restart the election timer with a new random timeout (5.2). The core sets this when the server grants a vote,
    /// hears from the leader of its term, or starts an election. It also sets this when a leader steps down, because a
    /// leader has no timer running. The core never sets it for a refused vote or a stale term: otherwise a candidate
    /// that cannot win could keep other servers from starting an election.
    pub reset_election_timer: bool,
    /// RequestVote requests to send to these servers.
    pub request_votes: Vec<(ServerId, RequestVoteArgs)>,
    /// True if this server has just won an election. Send every peer a heartbeat at once, so that no other election
    /// begins (Figure 2, Rules for Leaders).
    pub send_heartbeats: bool,
    /// Peers with something new to receive: entries or a snapshot that may be sent now, or a commit index that they
    /// have not been sent.
    pub replicate_to: ServerSet,
    /// Peers to send a heartbeat to at once, even if none is due, because reads wait for their replies. The caller must
    /// send to at least [`Core::acks_needed`](super::Core::acks_needed) of them.
    pub confirm_leadership_with: ServerSet,
    /// True if waiting reads are confirmed or lost. Wake the clients that wait for them.
    pub reads_settled: bool,
    /// The new commit index, if it has advanced. Wake the applier.
    pub commit_advanced: Option<Index>,
    /// The new term, role and known leader, if one of them has changed.
    pub soft_state: Option<SoftState>,
    /// The entry that a peer has lost although it had confirmed it, at the first sign of this. It is for the log: the
    /// protocol does not depend on it.
    pub lost_entry: Option<LostEntry>,
}

/// Evidence that a server has lost data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LostEntry {
    /// The server that refused the entry.
    pub server: ServerId,
    /// The index of the entry. The server had confirmed it before it was asked again.
    pub index: Index,
}

/// Changes of the state that must survive a crash. Save all of them in one atomic step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Persist {
    /// The term and the vote, if either has changed.
    pub hard_state: Option<HardState>,
    /// The change at the end of the log.
    pub log: Option<LogChange>,
    /// The origin of a new snapshot, if there is one. A new snapshot also gives the log a new base. Save the snapshot
    /// and the log as they are now, in one step with the other changes: a snapshot is useless without its log, and the
    /// log without its snapshot.
    pub snapshot: Option<NewSnapshot>,
}

/// Origin of a new snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NewSnapshot {
    /// The service of this server made it.
    Taken,
    /// The leader sent it.
    Installed,
}

/// The term and the vote: together with the log, Figure 2's "persistent state on all servers".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HardState {
    /// The latest term the server has seen.
    pub term: Term,
    /// The candidate that received the server's vote in that term.
    pub voted_for: Option<ServerId>,
}

/// New entries at the end of the log, possibly in place of others.
///
/// Invariant: `first <= last`; the entries are [`Log::entries`](super::Log::entries)`(first, last)` of the core that
/// returned this change, and `last` is its last index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogChange {
    /// True if entries at and above `first` were saved before. Those are now void.
    pub truncates: bool,
    /// The index of the first new entry.
    pub first: Index,
    /// The index of the last new entry.
    pub last: Index,
}

impl Persist {
    /// Returns whether there is nothing to save.
    pub fn is_empty(&self) -> bool {
        self.hard_state.is_none() && self.log.is_none() && self.snapshot.is_none()
    }
}
