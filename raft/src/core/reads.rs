//! Reads that do not go through the log (ReadIndex; Ongaro's dissertation, section 6.4, "Processing read-only queries
//! more efficiently"). A leader that answers from its own state alone may have been deposed without knowing it, and its
//! answer may be out of date. So a leader handles a read in four steps:
//!
//! 1. It must have committed an entry of its own term. Only then does it know all entries that were committed before
//!    its election.
//! 2. It records its commit index as the read's index.
//! 3. It confirms that it still led when the read began: a majority must reply, in its term, to a message sent after
//!    that moment. Then no other server was elected before that moment, because it lacked the votes. So no server has
//!    committed an entry that this leader does not know.
//! 4. The service answers the read once it has applied up to the read's index.
//!
//! Every message of a leader can confirm its leadership, so replies to entries, to heartbeats and to snapshots all
//! count. No step depends on how long a message takes.
//!
//! Reads are numbered. Each message records how many reads had begun when it was sent
//! ([`SentRequest::reads`](super::SentRequest::reads)), and its reply counts toward the quorum for all of them. If a
//! read waits and a peer has no outstanding request that could confirm it, the leader sends that peer an extra
//! heartbeat. Reads that begin in the meantime share the next one. If a request is lost, the leader asks the other
//! peers, and the regular heartbeat covers the rest.
//!
//! The code around the core need not send all these heartbeats. It may omit some, as long as it sends at least
//! [`Core::acks_needed`](super::Core::acks_needed) of them.

use raftapi::{Index, Term};

use super::{Core, Effects, Role};

/// The reads of one leadership.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(super) struct Reads {
    /// Number of reads that have begun.
    begun: u64,
    /// Number of these, the oldest first, that a majority has confirmed.
    ///
    /// Invariant: `confirmed <= begun`.
    confirmed: u64,
}

/// A read that has begun. The caller passes it to [`read_outcome`](super::Core::read_outcome).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Read {
    /// The leader's term.
    pub term: Term,
    /// Sequence number of the read within this leadership, from 1.
    pub number: u64,
    /// The index up to which the service must have applied before it answers the read.
    pub index: Index,
}

/// The outcome of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// A majority has not confirmed the read yet.
    Waiting,
    /// The server led when the read began. The service may answer once it has applied up to the read's index.
    Confirmed,
    /// The leadership is over. It is not known whether the server still led when the read began.
    Lost,
}

impl Reads {
    /// Returns the number of reads that have begun.
    pub(super) fn begun(self) -> u64 {
        self.begun
    }

    /// Returns whether a read waits for its confirmation.
    pub(super) fn any_waiting(self) -> bool {
        self.confirmed < self.begun
    }
}

impl Core {
    /// Begins a read. Returns `None` if this server does not lead, or has committed nothing in its term yet.
    pub fn begin_read(&mut self) -> Option<(Read, Effects)> {
        let knows_what_is_committed = self.log.term(self.commit_index) == Some(self.current_term);
        let (term, index) = (self.current_term, self.commit_index);
        let Role::Leader { reads, .. } = &mut self.role else {
            return None;
        };
        if !knows_what_is_committed {
            return None;
        }
        reads.begun += 1;
        let read = Read { term, number: reads.begun, index };

        let mut effects = Effects::default();
        // A cluster of one server is its own majority.
        self.confirm_reads(&mut effects);
        Some((read, effects))
    }

    /// Returns the outcome of a read that this server began.
    pub fn read_outcome(&self, read: &Read) -> ReadOutcome {
        match &self.role {
            Role::Leader { reads, .. } if read.term == self.current_term => {
                if read.number <= reads.confirmed {
                    ReadOutcome::Confirmed
                } else {
                    ReadOutcome::Waiting
                }
            }
            _ => ReadOutcome::Lost,
        }
    }

    /// Returns the number of reads that this leader has begun; 0 if this server does not lead.
    pub(crate) fn reads_begun(&self) -> u64 {
        match &self.role {
            Role::Leader { reads, .. } => reads.begun,
            Role::Follower { .. } | Role::Candidate { .. } => 0,
        }
    }

    /// Returns how many of the peers in [`confirm_leadership_with`](Effects::confirm_leadership_with) must be sent a
    /// heartbeat. If all of these reply, and all peers that were asked before, then a majority confirms all reads.
    pub fn acks_needed(&self) -> usize {
        let Role::Leader { peers, reads } = &self.role else {
            return 0;
        };
        let asked = peers.iter().filter(|(_, progress)| progress.was_asked_to_confirm(reads.begun)).count();
        (self.majority() - 1).saturating_sub(asked)
    }

    /// Counts the replies, and requests more if reads still wait. Does nothing if no read waits.
    pub(super) fn confirm_reads(&mut self, effects: &mut Effects) {
        let Role::Leader { reads: Reads { begun, confirmed }, .. } = self.role else {
            return;
        };
        if confirmed == begun {
            return;
        }
        let acknowledged = self.reached_by_majority(confirmed, begun, |progress| progress.reads_acknowledged());
        let Role::Leader { reads, peers } = &mut self.role else {
            return;
        };
        if let Some(acknowledged) = acknowledged {
            reads.confirmed = acknowledged;
            effects.reads_settled = true;
        }
        if reads.any_waiting() {
            let to_ask = peers.iter().filter(|(_, progress)| progress.needs_confirmation_request(begun));
            effects.confirm_leadership_with = to_ask.map(|(peer, _)| peer).collect();
        }
    }
}
