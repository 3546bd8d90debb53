//! State of one follower as its leader sees it (Figure 2, "volatile state on leaders"; 5.3). It also decides when the
//! leader may send something. `replication.rs` and `snapshot.rs` build the messages, and decide what a reply means for
//! the commit index.
//!
//! A follower is in one of three states:
//!
//! - **Probing**: the leader only guesses where the logs agree, or does not know whether it can reach the follower.
//! - **Replicating**: the logs are known to agree up to the next entry to send.
//! - **ReceivingSnapshot**: the leader has sent its snapshot, because its log no longer has the entries that the
//!   follower needs.
//!
//! ```text
//!                    the logs agree up to the next entry
//!           Probing -------------------------------------> Replicating
//!            ^ | ^                                            | | ^
//!            | | '--------------------------------------------' | |
//!            | |      no reply in time, or three failed calls   | |
//!     the    | |                                                | |
//!     same   | |  only the snapshot has the next entry          | |  the follower
//!            | '-----------> ReceivingSnapshot <----------------' |  has all of it
//!            '------------------'         '-----------------------'
//! ```
//!
//! In each state at most one message with entries or a snapshot is in flight. New entries wait meanwhile and form the
//! next batch, so a lost message costs only its own round trip. If a follower does not reply, it may be unreachable,
//! and sending the same content again and again would waste bandwidth. The leader then pauses: it sends only
//! heartbeats, which it sends anyway, until a reply shows that the follower is back.

use raftapi::{Index, Term};
use serde::{Deserialize, Serialize};

use super::AppendEntriesArgs;

/// Number of consecutive failed calls that the leader retries at once. On an unreliable network one call in five is
/// lost. With two retries, one batch in 25 still fails and waits for the next heartbeat. Without a limit, a peer that
/// refuses every call would be called in a loop.
const IMMEDIATE_RETRIES_MAX: u32 = 2;

/// A leader's view of one follower.
///
/// Invariants: `match_index < next_index <= last log index + 1`, in every state; the log's base may be anywhere.
#[derive(Clone, Debug, Hash)]
pub struct Progress {
    /// Index of the next log entry to send. While probing it is a guess: it starts at the end of the leader's log and
    /// decreases on conflicts, but always stays above `match_index`.
    next_index: Index,
    /// Index of the highest log entry known to be replicated on the follower. It never decreases, unless the follower
    /// is [replaced](Progress::restart).
    match_index: Index,
    /// Highest commit index sent to the peer. The peer knows it if that message has arrived.
    commit_sent: Index,
    /// The peer's state.
    state: ProgressState,
    /// Number of the latest request with content, counted from 1 in each leadership.
    last_number: u64,
    /// Number of failed calls since the last reply.
    consecutive_failures: u32,
    /// Number of reads covered by the latest request that may still get a reply (`reads.rs`).
    reads_sent: u64,
    /// Number of reads, the oldest first, for which the peer has confirmed that this server leads.
    reads_acknowledged: u64,
    /// Whether the peer has refused entries that it had confirmed before, and has confirmed nothing since.
    has_lost_entries: bool,
}

/// The state of a follower as its leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProgressState {
    /// The index where the logs agree is a guess, or the peer does not reply.
    Probing(Probe),
    /// The logs agree up to the next entry.
    ///
    /// Invariant: `next_index == match_index + 1`.
    Replicating {
        /// The number of the batch of entries in flight, if there is one.
        in_flight: Option<u64>,
    },
    /// Only the snapshot has the entries that the peer needs, and the snapshot is in flight.
    ReceivingSnapshot {
        /// The number of the request.
        number: u64,
        /// The last index that the snapshot covers.
        ///
        /// Invariant: `match_index < last_included_index`.
        last_included_index: Index,
    },
}

/// The state of a follower that is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Probe {
    /// The leader may send entries or a snapshot. The reply shows whether the guess was right.
    Ready,
    /// The batch of entries with this number is in flight and may still get a reply.
    InFlight(u64),
    /// The last message got no reply in time. The leader sends only heartbeats until the peer replies to one.
    Paused,
}

/// A leader's memory of a request until its reply arrives: the reply alone does not say which request it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SentRequest {
    /// The term in which it was sent. A reply to a request of another term is stale.
    pub term: Term,
    /// The entry before the new ones; for a snapshot, the last entry that it covers.
    pub prev_log_index: Index,
    /// The index up to which the logs agree if the request succeeds.
    pub last_index: Index,
    /// The number of a request with entries or a snapshot; `None` for a heartbeat.
    pub number: Option<u64>,
    /// Number of reads that had begun when the request was sent. Its reply confirms them.
    pub reads: u64,
    /// The index up to which the peer had confirmed the log when the request was sent. A correct peer does not refuse
    /// a request that begins at or below it.
    pub match_index: Index,
}

impl Progress {
    /// Returns the initial progress after an election (Figure 2): `next_index` is at the end of the leader's log, and
    /// nothing is known.
    pub(super) fn new(last_log_index: Index) -> Progress {
        Progress {
            next_index: last_log_index.next(),
            match_index: Index::ZERO,
            commit_sent: Index::ZERO,
            state: ProgressState::Probing(Probe::Ready),
            last_number: 0,
            consecutive_failures: 0,
            reads_sent: 0,
            reads_acknowledged: 0,
            has_lost_entries: false,
        }
    }

    /// Forgets everything about the follower, which was replaced by a server without data. Numbers of requests are not
    /// used again, so a late reply is never taken for that to a new request.
    pub(super) fn restart(&mut self, last_log_index: Index) {
        *self = Progress { last_number: self.last_number, ..Progress::new(last_log_index) };
    }

    /// "If last log index >= nextIndex for a follower: send AppendEntries" (Figure 2), unless a message with content is
    /// in flight, the peer is paused, or the log no longer has the entries. The log begins after `base_index`.
    pub(super) fn may_send_entries(&self, base_index: Index, last_log_index: Index) -> bool {
        self.is_ready() && base_index < self.next_index && self.next_index <= last_log_index
    }

    /// "... when the leader has already discarded the next log entry that it needs to send to a follower" (section 7),
    /// unless a message with content is in flight or the peer is paused.
    pub(super) fn may_send_snapshot(&self, base_index: Index) -> bool {
        self.is_ready() && self.next_index <= base_index
    }

    /// Returns whether the peer has committed entries, but was not sent a commit index that covers them.
    pub(super) fn needs_commit_notice(&self, commit_index: Index) -> bool {
        self.commit_sent < commit_index.min(self.match_index)
    }

    /// Returns whether an extra heartbeat should ask the peer to confirm the reads that have `begun`. That is so if the
    /// peer has not confirmed all of them and no earlier request for it is outstanding. So a peer that does not reply
    /// is not asked again and again.
    pub(super) fn needs_confirmation_request(&self, begun: u64) -> bool {
        self.reads_acknowledged < begun && self.reads_sent <= self.reads_acknowledged
    }

    /// Returns whether a request that covers all the reads that have `begun` was sent, and got a reply or may still
    /// get one.
    pub(super) fn was_asked_to_confirm(&self, begun: u64) -> bool {
        self.reads_sent >= begun
    }

    /// Records that `args` is sent now, after `reads` reads have begun.
    pub(super) fn record_append_entries(&mut self, args: &AppendEntriesArgs, reads: u64) -> SentRequest {
        let last_index = args.last_index();
        self.commit_sent = self.commit_sent.max(args.leader_commit.min(last_index));
        let number = if args.entries.is_empty() { None } else { Some(self.next_number()) };
        match &mut self.state {
            _ if number.is_none() => {}
            ProgressState::Probing(probe) => *probe = Probe::InFlight(self.last_number),
            ProgressState::Replicating { in_flight } => *in_flight = number,
            ProgressState::ReceivingSnapshot { .. } => {
                debug_assert!(false, "no entries are sent while a snapshot is in flight")
            }
        }
        self.reads_sent = reads;
        let (prev_log_index, match_index) = (args.prev_log_index, self.match_index);
        SentRequest { term: args.term, prev_log_index, last_index, number, reads, match_index }
    }

    /// Records that a snapshot is sent now, after `reads` reads have begun.
    pub(super) fn record_install_snapshot(
        &mut self,
        term: Term,
        last_included_index: Index,
        reads: u64,
    ) -> SentRequest {
        self.commit_sent = self.commit_sent.max(last_included_index);
        let number = self.next_number();
        self.state = ProgressState::ReceivingSnapshot { number, last_included_index };
        self.reads_sent = reads;
        let (index, match_index) = (last_included_index, self.match_index);
        SentRequest { term, prev_log_index: index, last_index: index, number: Some(number), reads, match_index }
    }

    /// Handles a reply, whatever it says: the peer can be reached. Another request in flight remains in flight.
    pub(super) fn on_reply(&mut self, sent: &SentRequest) {
        self.consecutive_failures = 0;
        self.reads_acknowledged = self.reads_acknowledged.max(sent.reads);
        if self.state == ProgressState::Probing(Probe::Paused) || self.is_in_flight(sent) {
            self.become_ready();
        }
    }

    /// "If successful: update nextIndex and matchIndex for follower" (Figure 2). A late success is still true, but it
    /// may contain nothing new.
    pub(super) fn on_success(&mut self, sent: &SentRequest) {
        self.has_lost_entries &= sent.last_index <= self.match_index;
        self.match_index = self.match_index.max(sent.last_index);
        self.next_index = self.next_index.max(self.match_index.next());
        let agrees = self.next_index == self.match_index.next();
        self.state = match self.state {
            ProgressState::Probing(Probe::Ready | Probe::Paused) if agrees => {
                ProgressState::Replicating { in_flight: None }
            }
            ProgressState::Probing(Probe::InFlight(number)) if agrees => {
                ProgressState::Replicating { in_flight: Some(number) }
            }
            // A heartbeat has shown that the peer has the snapshot, before the snapshot's own reply arrived.
            ProgressState::ReceivingSnapshot { last_included_index, .. } if last_included_index <= self.match_index => {
                ProgressState::Replicating { in_flight: None }
            }
            state => state,
        };
    }

    /// "If AppendEntries fails because of log inconsistency: decrement nextIndex and retry" (Figure 2; 5.3).
    /// `next_index` moves to `retry_index` if that is more than one step back. Returns whether this is the first reply
    /// that proves that the peer has lost entries.
    pub(super) fn on_conflict(&mut self, sent: &SentRequest, retry_index: Index) -> bool {
        let mut is_new_evidence = false;
        if sent.prev_log_index <= self.match_index {
            // The peer has confirmed this entry. If it had done so before the request was sent, it has lost the entry.
            // A request to a server that was replaced since says nothing about the new one.
            let has_lost_entries = sent.prev_log_index <= sent.match_index && sent.match_index <= self.match_index;
            is_new_evidence = has_lost_entries && !self.has_lost_entries;
            self.has_lost_entries |= has_lost_entries;
            // Otherwise this reply is an old one. A peer that has lost entries refuses forever. So that this does not
            // become a loop, entries then wait for the reply to the next heartbeat each time.
            if sent.number.is_some() && self.is_ready() {
                self.state = ProgressState::Probing(Probe::Paused);
            }
        } else if matches!(self.state, ProgressState::Probing(_)) && sent.prev_log_index == self.next_index.prev() {
            // The request probed the present guess, and the logs differ there, so move back at least one step (5.3).
            // The peer will refuse entries that are in flight with the same guess.
            self.next_index = retry_index.min(sent.prev_log_index).max(self.match_index.next());
            self.state = ProgressState::Probing(Probe::Ready);
        }
        // Otherwise the reply to another request has already moved next_index, and this reply is out of date.
        is_new_evidence
    }

    /// Handles a request that got no reply in time: pauses the peer.
    pub(super) fn on_timeout(&mut self, sent: &SentRequest) {
        if self.is_in_flight(sent) {
            self.state = ProgressState::Probing(Probe::Paused);
        }
    }

    /// Handles a call that failed before its timeout: retries at once, a limited number of times.
    pub(super) fn on_failure(&mut self, sent: &SentRequest) {
        if sent.reads == self.reads_sent {
            self.reads_sent = self.reads_acknowledged;
        }
        if self.is_in_flight(sent) {
            self.consecutive_failures += 1;
            if self.consecutive_failures <= IMMEDIATE_RETRIES_MAX {
                self.become_ready();
            } else {
                self.state = ProgressState::Probing(Probe::Paused);
            }
        }
    }

    /// Returns the index of the next log entry to send.
    pub fn next_index(&self) -> Index {
        self.next_index
    }

    /// Returns the index of the highest log entry known to be replicated.
    pub fn match_index(&self) -> Index {
        self.match_index
    }

    /// Returns the state of the peer.
    pub fn state(&self) -> ProgressState {
        self.state
    }

    /// Returns the number of reads, the oldest first, for which the peer has confirmed that this server leads.
    pub(super) fn reads_acknowledged(&self) -> u64 {
        self.reads_acknowledged
    }

    /// Returns whether a request with entries or a snapshot is in flight and may still get its reply in time.
    pub fn awaits_reply(&self) -> bool {
        self.in_flight().is_some()
    }

    /// Returns whether `sent`, a request of this leadership, is the one in flight.
    pub fn is_in_flight(&self, sent: &SentRequest) -> bool {
        sent.number.is_some() && sent.number == self.in_flight()
    }

    /// Checks the invariants against the leader's log.
    pub(super) fn check(&self, last_log_index: Index) {
        debug_assert!(self.match_index < self.next_index, "a leader would send entries that the peer has: {self:?}");
        debug_assert!(
            self.next_index <= last_log_index.next(),
            "a leader would send entries that it does not have: {self:?}"
        );
        match self.state {
            ProgressState::Probing(_) => {}
            ProgressState::Replicating { .. } => {
                debug_assert_eq!(self.next_index, self.match_index.next(), "next_index is not a guess: {self:?}");
            }
            ProgressState::ReceivingSnapshot { last_included_index, .. } => {
                debug_assert!(self.match_index < last_included_index, "the peer already has the snapshot: {self:?}");
            }
        }
    }

    /// Ends the request in flight. The peer can be reached.
    fn become_ready(&mut self) {
        self.state = match self.state {
            ProgressState::Replicating { .. } => ProgressState::Replicating { in_flight: None },
            ProgressState::Probing(_) | ProgressState::ReceivingSnapshot { .. } => ProgressState::Probing(Probe::Ready),
        };
    }

    /// Returns whether a message with entries or a snapshot may be sent now.
    fn is_ready(&self) -> bool {
        matches!(self.state, ProgressState::Probing(Probe::Ready) | ProgressState::Replicating { in_flight: None })
    }

    /// Returns the number of the request in flight.
    fn in_flight(&self) -> Option<u64> {
        match self.state {
            ProgressState::Probing(Probe::Ready | Probe::Paused) => None,
            ProgressState::Probing(Probe::InFlight(number)) | ProgressState::ReceivingSnapshot { number, .. } => {
                Some(number)
            }
            ProgressState::Replicating { in_flight } => in_flight,
        }
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}
