//! What the core asks of the threads around it. These are orders only: how a disk is written, a timer is kept or a
//! message travels is decided elsewhere.

use raftapi::{Index, ServerId, Term};

use super::{RequestVoteArgs, ServerSet, SoftState};

/// What must be done after an event, in the order of the fields.
#[must_use = "effects are orders; one that is not carried out breaks a promise that the core has made"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// First of all, save this. Nothing that depends on it may be seen by anyone before it is saved: no reply, no
    /// request, no result of a proposal, and no further event (Figure 2: "updated on stable storage before responding
    /// to RPCs").
    pub persist: Persist,
    /// Restart the election timer with a new random timeout (5.2). This is set exactly when the server grants a vote,
    /// hears from the leader of its term, or starts an election; and when a leader, which has no timer running, steps
    /// down. Never because of a refused vote or a stale term: a server that cannot win could then keep those from
    /// trying that can.
    pub reset_election_timer: bool,
    /// Ask these servers for their votes.
    pub request_votes: Vec<(ServerId, RequestVoteArgs)>,
    /// This server has just won an election: send every peer a heartbeat at once, so that no other election begins
    /// (Figure 2, Rules for Leaders).
    pub send_heartbeats: bool,
    /// There is something new for these peers: entries or a snapshot that may be sent, or a commit index they have not
    /// been told.
    pub replicate_to: ServerSet,
    /// Send these peers a heartbeat at once, even if none is due: reads wait for the answers. At least as many of them as
    /// [`Core::acks_needed`](super::Core::acks_needed) says.
    pub confirm_leadership_with: ServerSet,
    /// Reads that waited are confirmed, or never will be: wake those who wait for them.
    pub reads_settled: bool,
    /// Everything up to here is committed now: wake the applier.
    pub commit_advanced: Option<Index>,
    /// The server stands elsewhere than before: another term, another role, or a leader it did not know.
    pub soft_state: Option<SoftState>,
}

/// What has changed of the state that must survive a crash. Everything in it is saved in one step, or none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Persist {
    /// The term and the vote, if either has changed.
    pub hard_state: Option<HardState>,
    /// What has changed at the end of the log.
    pub log: Option<LogChange>,
    /// There is another snapshot, and with it another beginning of the log. Both are saved as they are now, in one step
    /// with everything else: a snapshot that does not go with its log is of no use, nor the other way round.
    pub snapshot: Option<NewSnapshot>,
}

/// Where a new snapshot comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NewSnapshot {
    /// The service of this server has made it.
    Taken,
    /// The leader has sent it.
    Installed,
}

/// The term and the vote: with the log, Figure 2's "persistent state on all servers".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HardState {
    /// The latest term the server has seen.
    pub term: Term,
    /// Who has its vote in that term.
    pub voted_for: Option<ServerId>,
}

/// The log has new entries at its end, perhaps in place of others.
///
/// Invariant: `first <= last`; the entries are [`Log::entries`](super::Log::entries)`(first, last)` of the core that
/// gave the order, and `last` is its last index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogChange {
    /// Whether entries at and above `first` were saved before. They are void now.
    pub truncates: bool,
    /// The first new entry.
    pub first: Index,
    /// The last new entry.
    pub last: Index,
}

impl Persist {
    /// Whether there is nothing to save.
    pub fn is_empty(&self) -> bool {
        self.hard_state.is_none() && self.log.is_none() && self.snapshot.is_none()
    }
}
