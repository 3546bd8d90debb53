//! The state of a server: Figure 2, "State", and the further fields that the rules for servers need. Its methods are
//! small steps that several rules share. None of them sends or saves.

use std::collections::BTreeSet;

use bytes::Bytes;
use labstd::rng::{self, RngExt};
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Index, Persister, Role, ServerId, Term, report};

use crate::log::{Entry, Log};

/// The shortest election timeout, in milliseconds: two late heartbeats must not cause an election.
const ELECTION_MS_MIN: u64 = 300;
/// The upper bound of an election timeout, in milliseconds.
const ELECTION_MS_MAX: u64 = 600;

pub(crate) struct State {
    pub(crate) current_term: Term,
    pub(crate) voted_for: Option<ServerId>,
    pub(crate) log: Log,
    /// The snapshot that covers all entries up to the log's base; empty if there is none.
    pub(crate) snapshot: Bytes,
    /// Set if a field above has changed since the last save.
    pub(crate) unsaved: bool,

    pub(crate) commit_index: Index,
    pub(crate) last_applied: Index,
    /// Set if the leader has sent a snapshot that the service has not received yet.
    pub(crate) snapshot_to_deliver: bool,

    pub(crate) role: Role,
    /// Candidate: the servers that have voted for this server.
    pub(crate) votes: BTreeSet<ServerId>,
    /// Leader, for each peer: the next index to send, and the highest index known to be in its log.
    pub(crate) next_index: Vec<Index>,
    pub(crate) match_index: Vec<Index>,
    /// Leader, for each peer: the last index that was sent to it, acknowledged or not.
    pub(crate) sent_index: Vec<Index>,
    /// Leader: set if there are entries or a commit index that were not sent to the peers yet.
    pub(crate) replication_due: bool,
    /// Leader: the time of the next heartbeat.
    pub(crate) next_heartbeat: Instant,
    /// Follower or candidate: the time at which the election timer fires.
    pub(crate) election_deadline: Instant,
    /// Entries that were removed from the end of the log, with the index of the first. Only the mistakes
    /// [`RemovedEntriesComeBack`](crate::Mistake) and [`SavesThePreviousSnapshot`](crate::Mistake) read what is old.
    pub(crate) removed: (Index, Vec<Entry>),
    /// The snapshot before the present one.
    pub(crate) previous_snapshot: Bytes,
    rng: rng::Stream,
    pub(crate) killed: bool,
}

impl State {
    /// Restores the saved state, or makes the initial state if nothing was saved.
    ///
    /// # Panics
    ///
    /// If the saved state is damaged.
    pub(crate) fn restore(persister: &Persister) -> State {
        let saved = persister.read_raft_state();
        let (current_term, voted_for, log) = if saved.is_empty() {
            (Term::ZERO, None, Log::after_snapshot(Index::ZERO, Term::ZERO))
        } else {
            labgob::decode::<(Term, Option<ServerId>, Log)>(&saved)
                .unwrap_or_else(|error| panic!("the saved Raft state is damaged: {error}"))
        };
        let base = log.base();
        report::restored(current_term, voted_for, (base, log.base_term()));
        report::appended(base.next(), log.entries_after(base).iter().map(|entry| entry.term));
        let mut state = State {
            current_term,
            voted_for,
            log,
            snapshot: persister.read_snapshot(),
            unsaved: false,
            // A snapshot covers only committed entries, and the service starts from it.
            commit_index: base,
            last_applied: base,
            snapshot_to_deliver: false,
            role: Role::Follower,
            votes: BTreeSet::new(),
            next_index: Vec::new(),
            match_index: Vec::new(),
            sent_index: Vec::new(),
            replication_due: false,
            next_heartbeat: Instant::now(),
            election_deadline: Instant::now(),
            removed: (Index::ZERO, Vec::new()),
            previous_snapshot: persister.read_snapshot(),
            rng: rng::local("election"),
            killed: false,
        };
        state.reset_election_timer();
        state
    }

    pub(crate) fn enter_term(&mut self, term: Term) {
        self.current_term = term;
        self.voted_for = None;
        self.unsaved = true;
        report::term(term);
    }

    pub(crate) fn become_role(&mut self, role: Role) {
        if role != self.role {
            // A leader has let its election timer run out.
            if self.role == Role::Leader {
                self.reset_election_timer();
            }
            self.role = role;
            report::role(role, self.current_term);
        }
    }

    pub(crate) fn vote_for(&mut self, candidate: ServerId) {
        self.voted_for = Some(candidate);
        self.unsaved = true;
        report::vote(self.current_term, candidate);
    }

    /// Appends entries to the log, perhaps none.
    pub(crate) fn append(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let last = self.log.last_index();
        entries.into_iter().for_each(|entry| self.log.push(entry));
        report::appended(last.next(), self.log.entries_after(last).iter().map(|entry| entry.term));
        self.unsaved |= self.log.last_index() > last;
    }

    pub(crate) fn truncate(&mut self, last: Index) {
        if last < self.log.last_index() {
            report::truncated(last);
        }
        self.log.truncate(last);
        self.unsaved = true;
    }

    /// Keeps the entries after `last`, which are about to be removed.
    pub(crate) fn remember_removed(&mut self, last: Index) {
        if last < self.log.last_index() {
            self.removed = (last.next(), self.log.entries_after(last));
        }
    }

    /// Returns the removed entries at the indexes after the end of the log.
    pub(crate) fn removed_after_the_end(&self) -> impl Iterator<Item = &Entry> {
        let (first, entries) = &self.removed;
        let end = self.log.last_index().0 + 1;
        entries.iter().skip(usize::try_from(end.saturating_sub(first.0)).unwrap_or(usize::MAX))
    }

    /// Replaces all entries up to `index` by a snapshot.
    pub(crate) fn compact(&mut self, index: Index, term: Term, snapshot: Bytes) {
        let last = self.log.last_index();
        self.log.compact(index, term);
        self.previous_snapshot = std::mem::replace(&mut self.snapshot, snapshot);
        if self.log.last_index() < last {
            report::truncated(self.log.last_index());
        }
        report::compacted(index, term);
    }

    pub(crate) fn reset_election_timer(&mut self) {
        let timeout = self.rng.random_range(ELECTION_MS_MIN..ELECTION_MS_MAX);
        self.election_deadline = Instant::now() + Duration::from_millis(timeout);
    }

    /// Reports whether there are messages that were not delivered to the service yet.
    pub(crate) fn has_undelivered(&self) -> bool {
        self.snapshot_to_deliver || self.last_applied < self.commit_index
    }

    /// Takes the undelivered snapshot, if there is one, and all committed entries that were not delivered. They count
    /// as applied from now on.
    pub(crate) fn take_undelivered(&mut self) -> Vec<ApplyMsg> {
        let mut messages = Vec::new();
        if std::mem::take(&mut self.snapshot_to_deliver) {
            let (index, term) = (self.log.base(), self.log.base_term());
            messages.push(ApplyMsg::Snapshot { index, term, snapshot: self.snapshot.clone() });
        }
        messages.extend((self.last_applied.0 + 1..=self.commit_index.0).map(Index).map(|index| {
            let Entry { term, command } = self.log.entry(index).clone();
            ApplyMsg::Command { index, term, command }
        }));
        self.last_applied = self.commit_index;
        messages
    }
}
