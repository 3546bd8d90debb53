//! What a leader knows of one follower (Figure 2, "volatile state on leaders"; 5.3), and when it may send it entries.
//! What is sent, and what an answer means for the commit index, is in `replication.rs`.
//!
//! Sending has three states. Entries go out one batch at a time: while one is under way the next collects, and a lost
//! one costs itself alone. When there is no answer, the peer is perhaps cut off, and to send it the same entries again
//! and again would only cost bytes; then heartbeats, which go out anyway, find out when it is back.
//!
//! ```text
//!           entries sent                no answer in time, or failed twice in a row
//!   Ready ----------------> InFlight ---------------------------------------------> Probing
//!     ^ ^                      |                                                       |
//!     | '----------------------'                                                       |
//!     |      its answer, or failed once                                                |
//!     '--------------------------------------------------------------------------------'
//!                        any answer of this term, late ones included
//! ```

use raftapi::{Index, Term};

use super::AppendEntriesArgs;

/// How many calls in a row may fail before the answer to a later one is waited for. On an unreliable network one call
/// in five is lost; one retry at once mends four fifths of the losses, and leaves the rest to the next heartbeat.
/// Without a limit, a peer that refuses every call would be called in a loop.
const RETRIES_AT_ONCE: u32 = 1;

/// A leader's view of one follower.
///
/// Invariant: `match_index < next_index <= last log index + 1`, in every state.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Index of the next log entry to send. A guess: it starts at the end of the leader's log and moves back on
    /// conflicts, never to or below `match_index`.
    next_index: Index,
    /// Index of the highest log entry known to be replicated. Knowledge: it only grows.
    match_index: Index,
    /// How far the peer has been told to commit, if what was sent has arrived.
    commit_sent: Index,
    /// Whether entries may be sent now.
    flow: Flow,
    /// The number of the last batch of entries; counted from 1 in each leadership.
    last_number: u64,
    /// Calls that have failed since the last answer.
    failed_in_a_row: u32,
}

/// Whether a peer may be sent entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Nothing is under way: entries may be sent.
    Ready,
    /// The batch with this number is under way, and there may yet be an answer.
    InFlight(u64),
    /// The last batch was not answered. No entries are sent until the peer answers something.
    Probing,
}

/// What a leader remembers of an AppendEntries until it is answered: the answer says nothing about the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentAppend {
    /// The term it was sent in. An answer to a question of another term is stale.
    pub term: Term,
    /// The entry that was to be there already.
    pub prev_log_index: Index,
    /// Where the logs agree if the answer is a success.
    pub last_index: Index,
    /// Which batch of entries it was; `None` for a heartbeat.
    pub number: Option<u64>,
}

impl Progress {
    /// A follower of a leader that has just been elected (Figure 2): `next_index` at the end of the log, and nothing
    /// known.
    pub(super) fn new(last_log_index: Index) -> Progress {
        Progress {
            next_index: last_log_index.next(),
            match_index: Index::ZERO,
            commit_sent: Index::ZERO,
            flow: Flow::Ready,
            last_number: 0,
            failed_in_a_row: 0,
        }
    }

    /// "If last log index >= nextIndex for a follower: send AppendEntries" (Figure 2), unless entries are under way or
    /// the peer is silent.
    pub(super) fn may_send_entries(&self, last_log_index: Index) -> bool {
        self.flow == Flow::Ready && self.next_index <= last_log_index
    }

    /// Whether the peer has entries that it does not know to be committed, as far as is known.
    pub(super) fn needs_commit_notice(&self, commit_index: Index) -> bool {
        self.commit_sent < commit_index.min(self.match_index)
    }

    /// Notes that `args` is on its way.
    pub(super) fn sending(&mut self, args: &AppendEntriesArgs) -> SentAppend {
        let last_index = args.last_index();
        self.commit_sent = self.commit_sent.max(args.leader_commit.min(last_index));
        let number = if args.entries.is_empty() { None } else { Some(self.next_number()) };
        if let Some(number) = number {
            debug_assert_eq!(self.flow, Flow::Ready, "one batch of entries at a time");
            self.flow = Flow::InFlight(number);
        }
        SentAppend { term: args.term, prev_log_index: args.prev_log_index, last_index, number }
    }

    /// The peer answered, whatever it said: it can be reached. A batch that is still under way stays under way, unless
    /// this is its answer.
    pub(super) fn answered(&mut self, sent: &SentAppend) {
        self.failed_in_a_row = 0;
        if self.flow == Flow::Probing || self.is_under_way(sent) {
            self.flow = Flow::Ready;
        }
    }

    /// "If successful: update nextIndex and matchIndex for follower" (Figure 2). A late success is as true as an early
    /// one; it only may say nothing new.
    pub(super) fn matched(&mut self, sent: &SentAppend) {
        self.match_index = self.match_index.max(sent.last_index);
        self.next_index = self.next_index.max(self.match_index.next());
    }

    /// "If AppendEntries fails because of log inconsistency: decrement nextIndex and retry" (Figure 2; 5.3), to
    /// `back_to` where that is further back than one step.
    pub(super) fn conflicted(&mut self, sent: &SentAppend, back_to: Index) {
        if sent.prev_log_index <= self.match_index {
            // The peer has said that it has this entry, so the answer is an old one. Should a peer have lost what it
            // had promised to keep, its refusals never end: entries then wait for the next heartbeat's answer, each
            // time.
            if sent.number.is_some() && self.flow == Flow::Ready {
                self.flow = Flow::Probing;
            }
        } else if sent.prev_log_index == self.next_index.prev() {
            // The question was the present one: here the logs differ, so go back at least one step (5.3).
            self.next_index = back_to.min(sent.prev_log_index).max(self.match_index.next());
        }
        // Else an answer to an earlier guess has already moved next_index; this one is out of date.
    }

    /// There was no answer in time: stop sending entries until there is one.
    pub(super) fn timed_out(&mut self, sent: &SentAppend) {
        if self.is_under_way(sent) {
            self.flow = Flow::Probing;
        }
    }

    /// The call failed before its time was over: try again at once, but not for ever.
    pub(super) fn failed(&mut self, sent: &SentAppend) {
        if self.is_under_way(sent) {
            self.failed_in_a_row += 1;
            self.flow = if self.failed_in_a_row <= RETRIES_AT_ONCE { Flow::Ready } else { Flow::Probing };
        }
    }

    /// Index of the next log entry to send.
    pub fn next_index(&self) -> Index {
        self.next_index
    }

    /// Index of the highest log entry known to be replicated.
    pub fn match_index(&self) -> Index {
        self.match_index
    }

    /// Whether entries may be sent.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Checks the invariants against the leader's log.
    pub(super) fn check(&self, last_log_index: Index) {
        debug_assert!(self.match_index < self.next_index, "a leader sends again what is known to be there: {self:?}");
        debug_assert!(self.next_index <= last_log_index.next(), "a leader would send what it does not have: {self:?}");
    }

    fn is_under_way(&self, sent: &SentAppend) -> bool {
        sent.number.is_some_and(|number| self.flow == Flow::InFlight(number))
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}
