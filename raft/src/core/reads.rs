//! Reads that leave no trace in the log (ReadIndex; Ongaro's dissertation, section 6.4, "Processing read-only queries more
//! efficiently"). A leader that answered from its own state alone might have been deposed without knowing it, and the
//! answer be out of date. So it
//!
//! 1. must have committed an entry of its own term: only then does it know all that was committed before it was elected;
//! 2. remembers its commit index as the read's index;
//! 3. makes sure that it still led when the read began: a majority has to answer, in its term, a message that was sent
//!    after that moment. Nobody can have been elected before, for want of votes, nor have committed anything unknown here;
//! 4. lets the service answer once it has applied up to the read's index.
//!
//! Any message of a leader is a question as good as another, so the answers to entries and to heartbeats count; how long
//! any of it takes does not matter. Reads are numbered. Each message remembers how many reads had begun when it was sent
//! ([`SentRequest::reads`](super::SentRequest::reads)): its answer is one voice for all of them. A peer is asked out of turn, by a
//! heartbeat, when a read waits and it has no other question to answer; reads that begin in the meantime share the next
//! one. When a question is lost the others are asked, and the regular heartbeat makes up for the rest.
//!
//! Whoever carries out the orders need not ask all of them: it may leave out some as long as it asks as many as
//! [`Core::acks_needed`](super::Core::acks_needed) says.

use raftapi::{Index, Term};

use super::{Core, Effects, Role};

/// The reads of one leadership.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(super) struct Reads {
    /// How many have begun.
    begun: u64,
    /// How many of these, the oldest first, a majority has confirmed.
    ///
    /// Invariant: `confirmed <= begun`.
    confirmed: u64,
}

/// A read that has begun, and what to remember of it: whoever began it asks
/// [`read_outcome`](super::Core::read_outcome).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Read {
    /// The leader's term.
    pub term: Term,
    /// How manieth read of this leadership it is, counted from 1.
    pub number: u64,
    /// How far the service must have applied to answer it.
    pub index: Index,
}

/// What has become of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Not enough answers yet.
    Waiting,
    /// This server led when the read began: the service may answer it, once it has applied up to the read's index.
    Confirmed,
    /// The leadership is over. Whether it was when the read began is not known.
    Lost,
}

impl Reads {
    /// How many have begun.
    pub(super) fn begun(self) -> u64 {
        self.begun
    }

    /// Whether one waits for its confirmation.
    pub(super) fn any_waiting(self) -> bool {
        self.confirmed < self.begun
    }
}

impl Core {
    /// A client wants to read. `None` if this server does not lead, or has committed nothing in its term yet.
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
        // The only server of a cluster is a majority.
        self.confirm_reads(&mut effects);
        Some((read, effects))
    }

    /// What has become of a read that this server began.
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

    /// How many of those that an event orders to be [asked](Effects::confirm_leadership_with) have to be, for a majority to confirm
    /// all reads: enough if all answer, those included who were asked before.
    pub fn acks_needed(&self) -> usize {
        let Role::Leader { peers, reads } = &self.role else {
            return 0;
        };
        let asked = peers.iter().filter(|(_, progress)| progress.was_asked_to_confirm(reads.begun)).count();
        (self.majority() - 1).saturating_sub(asked)
    }

    /// Counts the answers, and asks on if reads still wait. Nothing happens while nobody reads.
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
