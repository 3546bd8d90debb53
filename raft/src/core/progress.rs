//! What a leader knows of one follower (Figure 2, "volatile state on leaders"; 5.3), and when it may send it something.
//! What is sent, and what an answer means for the commit index, is in `replication.rs` and `snapshot.rs`.
//!
//! A follower is in one of three states. It is **probed** while the leader only guesses where the logs agree, or does not
//! know whether the follower can be reached; it is **replicated** to once they are known to agree; and it **receives a
//! snapshot** if the log does not begin early enough any more.
//!
//! ```text
//!                    the logs agree up to the next entry
//!           Probing -------------------------------------> Replicating
//!            ^ | ^                                            | | ^
//!            | | '--------------------------------------------' | |
//!            | |      no answer in time, or none to three calls | |
//!     the    | |                                                | |
//!     same   | |  what it needs is in the snapshot only         | |  it has
//!            | '-----------> ReceivingSnapshot <----------------' |  all of it
//!            '------------------'         '-----------------------'
//! ```
//!
//! In each, one message with content goes out at a time: while one is under way the next collects, and a lost one costs
//! itself alone. When there is no answer, the peer is perhaps cut off, and to send it the same again and again would only
//! cost bytes; then heartbeats, which go out anyway, find out when it is back.

use raftapi::{Index, Term};
use serde::{Deserialize, Serialize};

use super::AppendEntriesArgs;

/// How many calls in a row may fail before the answer to a later one is waited for. On an unreliable network one call
/// in five is lost; of those, two retries at once mend all but a twenty-fifth, which are left to the next heartbeat.
/// Without a limit, a peer that refuses every call would be called in a loop.
const IMMEDIATE_RETRIES_MAX: u32 = 2;

/// A leader's view of one follower.
///
/// Invariants: `match_index < next_index <= last log index + 1`, in every state; the log's base may be anywhere.
#[derive(Clone, Debug, Hash)]
pub struct Progress {
    /// Index of the next log entry to send. A guess while probing: it starts at the end of the leader's log and moves
    /// back on conflicts, never to or below `match_index`.
    next_index: Index,
    /// Index of the highest log entry known to be replicated. Knowledge: it only grows.
    match_index: Index,
    /// How far the peer has been told to commit, if what was sent has arrived.
    commit_sent: Index,
    /// Which of the three states the peer is in.
    state: ProgressState,
    /// The number of the last request with content; counted from 1 in each leadership.
    last_number: u64,
    /// Calls that have failed since the last answer.
    consecutive_failures: u32,
    /// How many reads the latest question was about to which there may yet be an answer (`reads.rs`).
    reads_sent: u64,
    /// For how many reads, the oldest first, the peer has confirmed that this server leads.
    reads_acknowledged: u64,
}

/// The state of a follower in its leader's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProgressState {
    /// Where the logs agree is a guess, or the peer does not answer.
    Probing(Probe),
    /// The logs agree up to the next entry.
    ///
    /// Invariant: `next_index == match_index + 1`.
    Replicating {
        /// The number of the batch of entries that is under way, if one is.
        in_flight: Option<u64>,
    },
    /// The peer needs entries that only the snapshot has, and the snapshot is under way.
    ReceivingSnapshot {
        /// The number of the request.
        number: u64,
        /// The last index that the snapshot covers.
        ///
        /// Invariant: `match_index < last_included_index`.
        last_included_index: Index,
    },
}

/// How far the probing of a follower is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Probe {
    /// Something may be sent. What comes back shows whether the guess was right.
    Ready,
    /// The batch of entries with this number is under way, and there may yet be an answer.
    InFlight(u64),
    /// What was sent last was not answered. Heartbeats alone go out until the peer answers something.
    Paused,
}

/// What a leader remembers of a request until it is answered: the answer says nothing about the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SentRequest {
    /// The term it was sent in. An answer to a question of another term is stale.
    pub term: Term,
    /// The entry that was to be there already; of a snapshot, the last one it covers.
    pub prev_log_index: Index,
    /// Where the logs agree if the answer is a success.
    pub last_index: Index,
    /// Which request with entries or a snapshot it was; `None` for a heartbeat.
    pub number: Option<u64>,
    /// How many reads had begun when it was sent: the answer confirms them.
    pub reads: u64,
}

impl Progress {
    /// A follower of a leader that has just been elected (Figure 2): `next_index` at the end of the log, and nothing
    /// known.
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
        }
    }

    /// "If last log index >= nextIndex for a follower: send AppendEntries" (Figure 2), unless something is under way,
    /// the peer is silent, or the entries are gone from the log, which begins after `base_index`.
    pub(super) fn may_send_entries(&self, base_index: Index, last_log_index: Index) -> bool {
        self.is_ready() && base_index < self.next_index && self.next_index <= last_log_index
    }

    /// "... when the leader has already discarded the next log entry that it needs to send to a follower" (section 7),
    /// unless something is under way or the peer is silent.
    pub(super) fn may_send_snapshot(&self, base_index: Index) -> bool {
        self.is_ready() && self.next_index <= base_index
    }

    /// Whether the peer has entries that it does not know to be committed, as far as is known.
    pub(super) fn needs_commit_notice(&self, commit_index: Index) -> bool {
        self.commit_sent < commit_index.min(self.match_index)
    }

    /// Whether a heartbeat should go out of turn that asks for the confirmation of the reads that have `begun`: the peer
    /// has not confirmed all of them, and no question to it is open. One that does not answer is not asked again and again.
    pub(super) fn needs_confirmation_request(&self, begun: u64) -> bool {
        self.reads_acknowledged < begun && self.reads_sent <= self.reads_acknowledged
    }

    /// Whether it was asked about all the reads that have `begun`, and has answered or may yet.
    pub(super) fn was_asked_to_confirm(&self, begun: u64) -> bool {
        self.reads_sent >= begun
    }

    /// Notes that `args` is on its way, after so many reads have begun.
    pub(super) fn record_append_entries(&mut self, args: &AppendEntriesArgs, reads: u64) -> SentRequest {
        let last_index = args.last_index();
        self.commit_sent = self.commit_sent.max(args.leader_commit.min(last_index));
        let number = if args.entries.is_empty() { None } else { Some(self.next_number()) };
        match &mut self.state {
            _ if number.is_none() => {}
            ProgressState::Probing(probe) => *probe = Probe::InFlight(self.last_number),
            ProgressState::Replicating { in_flight } => *in_flight = number,
            ProgressState::ReceivingSnapshot { .. } => debug_assert!(false, "no entries while a snapshot is under way"),
        }
        self.reads_sent = reads;
        SentRequest { term: args.term, prev_log_index: args.prev_log_index, last_index, number, reads }
    }

    /// Notes that a snapshot is on its way, after so many reads have begun.
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
        let index = last_included_index;
        SentRequest { term, prev_log_index: index, last_index: index, number: Some(number), reads }
    }

    /// The peer answered, whatever it said: it can be reached. What is still under way stays under way, unless this is
    /// its answer.
    pub(super) fn on_reply(&mut self, sent: &SentRequest) {
        self.consecutive_failures = 0;
        self.reads_acknowledged = self.reads_acknowledged.max(sent.reads);
        if self.state == ProgressState::Probing(Probe::Paused) || self.is_in_flight(sent) {
            self.become_ready();
        }
    }

    /// "If successful: update nextIndex and matchIndex for follower" (Figure 2). A late success is as true as an early
    /// one; it only may say nothing new.
    pub(super) fn on_success(&mut self, sent: &SentRequest) {
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
            // A heartbeat has shown what the snapshot's own answer has not yet.
            ProgressState::ReceivingSnapshot { last_included_index, .. } if last_included_index <= self.match_index => {
                ProgressState::Replicating { in_flight: None }
            }
            state => state,
        };
    }

    /// "If AppendEntries fails because of log inconsistency: decrement nextIndex and retry" (Figure 2; 5.3), to
    /// `retry_index` where that is further back than one step.
    pub(super) fn on_conflict(&mut self, sent: &SentRequest, retry_index: Index) {
        if sent.prev_log_index <= self.match_index {
            // The peer has said that it has this entry, so the answer is an old one. Should a peer have lost what it
            // had promised to keep, its refusals never end: entries then wait for the next heartbeat's answer, each
            // time.
            if sent.number.is_some() && self.is_ready() {
                self.state = ProgressState::Probing(Probe::Paused);
            }
        } else if matches!(self.state, ProgressState::Probing(_)) && sent.prev_log_index == self.next_index.prev() {
            // The question was the present one: here the logs differ, so go back at least one step (5.3). Entries that
            // are under way with the same guess will be refused as well.
            self.next_index = retry_index.min(sent.prev_log_index).max(self.match_index.next());
            self.state = ProgressState::Probing(Probe::Ready);
        }
        // Else an answer to an earlier guess has already moved next_index; this one is out of date.
    }

    /// There was no answer in time: send nothing but heartbeats until there is one.
    pub(super) fn on_timeout(&mut self, sent: &SentRequest) {
        if self.is_in_flight(sent) {
            self.state = ProgressState::Probing(Probe::Paused);
        }
    }

    /// The call failed before its time was over: try again at once, but not for ever.
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

    /// Index of the next log entry to send.
    pub fn next_index(&self) -> Index {
        self.next_index
    }

    /// Index of the highest log entry known to be replicated.
    pub fn match_index(&self) -> Index {
        self.match_index
    }

    /// Which state the peer is in.
    pub fn state(&self) -> ProgressState {
        self.state
    }

    /// For how many reads, the oldest first, the peer has confirmed that this server leads.
    pub(super) fn reads_acknowledged(&self) -> u64 {
        self.reads_acknowledged
    }

    /// Whether something other than a heartbeat is under way whose answer may yet come in time.
    pub fn awaits_reply(&self) -> bool {
        self.in_flight().is_some()
    }

    /// Whether `sent`, of this leadership, is what is under way: whether its answer is waited for.
    pub fn is_in_flight(&self, sent: &SentRequest) -> bool {
        sent.number.is_some() && sent.number == self.in_flight()
    }

    /// Checks the invariants against the leader's log.
    pub(super) fn check(&self, last_log_index: Index) {
        debug_assert!(self.match_index < self.next_index, "a leader sends again what is known to be there: {self:?}");
        debug_assert!(self.next_index <= last_log_index.next(), "a leader would send what it does not have: {self:?}");
        match self.state {
            ProgressState::Probing(_) => {}
            ProgressState::Replicating { .. } => {
                debug_assert_eq!(self.next_index, self.match_index.next(), "nothing is left to guess: {self:?}");
            }
            ProgressState::ReceivingSnapshot { last_included_index, .. } => {
                debug_assert!(self.match_index < last_included_index, "the peer has all of the snapshot: {self:?}");
            }
        }
    }

    /// Nothing is under way any more, and the peer is there.
    fn become_ready(&mut self) {
        self.state = match self.state {
            ProgressState::Replicating { .. } => ProgressState::Replicating { in_flight: None },
            ProgressState::Probing(_) | ProgressState::ReceivingSnapshot { .. } => ProgressState::Probing(Probe::Ready),
        };
    }

    /// Whether something with content may be sent now.
    fn is_ready(&self) -> bool {
        matches!(self.state, ProgressState::Probing(Probe::Ready) | ProgressState::Replicating { in_flight: None })
    }

    /// The number of what is under way.
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
