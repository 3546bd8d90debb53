//! What a server knows: Figure 2, "State", and what the rules for servers need beside it. Its methods are the small
//! steps that several rules have in common; none of them sends or saves.

use std::collections::BTreeSet;

use bytes::Bytes;
use labstd::rng::{self, RngExt};
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Index, Persister, Role, ServerId, Term, report};

use crate::log::{Entry, Log};

/// An election timeout is at least this long, so that two heartbeats may be late, ...
const ELECTION_MS_MIN: u64 = 300;
/// ... and shorter than this.
const ELECTION_MS_MAX: u64 = 600;

pub(crate) struct State {
    pub(crate) current_term: Term,
    pub(crate) voted_for: Option<ServerId>,
    pub(crate) log: Log,
    /// The snapshot of everything up to the log's base; empty if there is none.
    pub(crate) snapshot: Bytes,
    /// Something of the above has changed since it was last saved.
    pub(crate) unsaved: bool,

    pub(crate) commit_index: Index,
    pub(crate) last_applied: Index,
    /// The leader has sent a snapshot, and the service has not got it yet.
    pub(crate) snapshot_to_deliver: bool,

    pub(crate) role: Role,
    /// As candidate: who votes for this server.
    pub(crate) votes: BTreeSet<ServerId>,
    /// As leader, for each peer: the next index to send, and the highest known to be in its log.
    pub(crate) next_index: Vec<Index>,
    pub(crate) match_index: Vec<Index>,
    /// As leader, for each peer: what it has been sent up to, answered or not.
    pub(crate) sent_index: Vec<Index>,
    /// As leader: there is something that the peers have not been sent.
    pub(crate) news: bool,
    /// As leader: when it has to be heard of again.
    pub(crate) next_heartbeat: Instant,
    /// Otherwise: when it loses its patience.
    pub(crate) election_deadline: Instant,
    rng: rng::Stream,
    pub(crate) killed: bool,
}

impl State {
    /// What is known after a start: what was saved, if anything was.
    ///
    /// # Panics
    ///
    /// If what was saved is damaged.
    pub(crate) fn read_back(persister: &Persister) -> State {
        let saved = persister.read_raft_state();
        let (current_term, voted_for, log) = if saved.is_empty() {
            (Term::ZERO, None, Log::behind(Index::ZERO, Term::ZERO))
        } else {
            labgob::decode::<(Term, Option<ServerId>, Log)>(&saved)
                .unwrap_or_else(|error| panic!("the saved Raft state is damaged: {error}"))
        };
        let base = log.base();
        report::restored(current_term, voted_for, (base, log.base_term()));
        report::appended(base.next(), log.entries_behind(base).iter().map(|entry| entry.term));
        let mut state = State {
            current_term,
            voted_for,
            log,
            snapshot: persister.read_snapshot(),
            unsaved: false,
            // What a snapshot covers is committed, and the service begins with it.
            commit_index: base,
            last_applied: base,
            snapshot_to_deliver: false,
            role: Role::Follower,
            votes: BTreeSet::new(),
            next_index: Vec::new(),
            match_index: Vec::new(),
            sent_index: Vec::new(),
            news: false,
            next_heartbeat: Instant::now(),
            election_deadline: Instant::now(),
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
            // One that led has not looked at its timer.
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

    /// Adds entries at the end of the log, perhaps none.
    pub(crate) fn append(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let last = self.log.last_index();
        entries.into_iter().for_each(|entry| self.log.push(entry));
        report::appended(last.next(), self.log.entries_behind(last).iter().map(|entry| entry.term));
        self.unsaved |= self.log.last_index() > last;
    }

    pub(crate) fn truncate(&mut self, last: Index) {
        if last < self.log.last_index() {
            report::truncated(last);
        }
        self.log.truncate(last);
        self.unsaved = true;
    }

    /// A snapshot takes the place of everything up to an entry.
    pub(crate) fn compact(&mut self, index: Index, term: Term, snapshot: Bytes) {
        let last = self.log.last_index();
        self.log.compact(index, term);
        self.snapshot = snapshot;
        if self.log.last_index() < last {
            report::truncated(self.log.last_index());
        }
        report::compacted(index, term);
    }

    pub(crate) fn reset_election_timer(&mut self) {
        let timeout = self.rng.random_range(ELECTION_MS_MIN..ELECTION_MS_MAX);
        self.election_deadline = Instant::now() + Duration::from_millis(timeout);
    }

    /// Whether there is anything that the service should be given.
    pub(crate) fn has_to_deliver(&self) -> bool {
        self.snapshot_to_deliver || self.last_applied < self.commit_index
    }

    /// A snapshot that has come, and everything that is committed and not yet delivered; it counts as applied from now
    /// on.
    pub(crate) fn take_deliverable(&mut self) -> Vec<ApplyMsg> {
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
