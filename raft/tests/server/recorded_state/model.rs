//! A reader of the record that knows nothing of Raft's rules. It reconstructs each server's state from the server's own
//! reports and from the tester's crashes. A view of a run does the same.

use std::collections::BTreeMap;

use raft::core::{HardState, Saved};
use raftapi::{Index, Role, ServerId, Status, Term};
use record::{Event, EventKind, Fault};

/// The known state of all servers after the events so far.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) servers: BTreeMap<ServerId, ServerModel>,
    pub(crate) events: u64,
    pub(crate) coverage: Coverage,
}

/// Number of events of each kind that is difficult to follow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) restarts_with_a_log: u64,
    pub(crate) restarts_with_a_snapshot: u64,
    pub(crate) batches_of_several_terms: u64,
    pub(crate) truncations: u64,
    pub(crate) snapshots_taken: u64,
    pub(crate) snapshots_installed: u64,
    pub(crate) logs_replaced_by_a_snapshot: u64,
    pub(crate) comparisons: u64,
}

/// The known state of one server.
#[derive(Clone, Debug)]
pub(crate) struct ServerModel {
    /// Whether it runs. Reports of a crashed server are ignored.
    runs: bool,
    role: Role,
    term: Term,
    vote: Option<ServerId>,
    base: (Index, Term),
    /// The terms of the entries after the base.
    terms: Vec<Term>,
    commit: Index,
    pub(crate) applied: Index,
    /// The last index of the latest snapshot that the service made or installed.
    snapshot: Index,
    /// Whether the server has only just started, and has reported nothing but its saved log.
    starts: bool,
    /// The time of the last addition to the log, and its term.
    last_append: Option<(u64, Term)>,
    /// The time of the last removal.
    truncated_at: Option<u64>,
}

impl Model {
    pub(crate) fn observe(&mut self, event: &Event) {
        self.events += 1;
        if let EventKind::Fault(Fault::Crash(servers)) = &event.kind {
            for server in servers {
                self.servers.get_mut(server).expect("it ran").runs = false;
            }
        }
        let Some(server) = event.server else { return };
        if let EventKind::Restored { term, vote, snapshot_index, snapshot_term } = event.kind {
            self.coverage.restarts_with_a_snapshot += u64::from(snapshot_index > Index::ZERO);
            self.servers.insert(server, ServerModel::new(term, vote, (snapshot_index, snapshot_term)));
        } else if let Some(seen) = self.servers.get_mut(&server).filter(|seen| seen.runs) {
            seen.observe(server, event, &mut self.coverage);
        }
    }
}

impl ServerModel {
    fn new(term: Term, vote: Option<ServerId>, base: (Index, Term)) -> ServerModel {
        ServerModel {
            runs: true,
            role: Role::Follower,
            term,
            vote,
            base,
            terms: Vec::new(),
            commit: base.0,
            applied: base.0,
            snapshot: base.0,
            starts: true,
            last_append: None,
            truncated_at: None,
        }
    }

    fn observe(&mut self, server: ServerId, event: &Event, coverage: &mut Coverage) {
        match event.kind {
            EventKind::RoleChanged { role, term } => {
                self.role = role;
                self.enter(term);
            }
            EventKind::TermChanged { term } => self.enter(term),
            EventKind::VoteGranted { term, to } => {
                assert_eq!(term, self.term, "{server} votes in its current term");
                assert_eq!(self.vote, None, "{server} reports its vote in term {term} once");
                self.vote = Some(to);
            }
            EventKind::LogAppended { term, first, last } => {
                assert_eq!(first, self.last_index().next(), "the log of {server} has no gap: {event}");
                assert!(first <= last, "{event}");
                coverage.restarts_with_a_log += u64::from(self.starts && self.last_append.is_none());
                coverage.batches_of_several_terms +=
                    u64::from(self.last_append.is_some_and(|(at, of)| at == event.at && of != term));
                self.last_append = Some((event.at, term));
                self.terms.resize((last.0 - self.base.0.0) as usize, term);
            }
            EventKind::LogTruncated { last } => {
                assert!(last < self.last_index(), "{server} removes existing entries: {event}");
                coverage.truncations += 1;
                self.truncated_at = Some(event.at);
                self.terms.truncate(last.0.saturating_sub(self.base.0.0) as usize);
            }
            EventKind::LogCompacted { index, term } => {
                assert!(index > self.base.0, "the log of {server} never begins earlier: {event}");
                coverage.logs_replaced_by_a_snapshot += u64::from(self.truncated_at == Some(event.at));
                let gone = (index.0 - self.base.0.0) as usize;
                self.terms.drain(..gone.min(self.terms.len()));
                self.base = (index, term);
            }
            EventKind::Committed { index } => {
                assert!(index > self.commit, "{server} commits more: {event}");
                self.commit = index;
            }
            EventKind::Applied { index, .. } => {
                assert_eq!(index, self.applied.next(), "{server} applies entries in order: {event}");
                self.applied = index;
            }
            EventKind::SnapshotTaken { index, .. } => {
                assert_eq!(index, self.applied, "{server} makes a snapshot of applied entries");
                assert!(index > self.snapshot, "a snapshot is reported once: {event}");
                coverage.snapshots_taken += 1;
                self.snapshot = index;
            }
            EventKind::SnapshotInstalled { index, .. } => {
                assert!(index > self.applied && index > self.snapshot, "a snapshot is reported once: {event}");
                coverage.snapshots_installed += 1;
                (self.snapshot, self.applied) = (index, index);
            }
            _ => {}
        }
        self.starts &= matches!(event.kind, EventKind::LogAppended { .. });
    }

    fn enter(&mut self, term: Term) {
        if term > self.term {
            (self.term, self.vote) = (term, None);
        }
    }

    fn last_index(&self) -> Index {
        Index(self.base.0.0 + self.terms.len() as u64)
    }

    fn last_term(&self) -> Term {
        self.terms.last().copied().unwrap_or(self.base.1)
    }

    /// Compares the known state with the state that the server reports and has saved.
    pub(crate) fn assert_is(&self, server: ServerId, status: &Status, saved: &Saved) {
        let (first, last) = (saved.log.base_index().next(), saved.log.last_index());
        let saved_terms: Vec<Term> = saved.log.entries(first, last).iter().map(|entry| entry.term).collect();
        assert_eq!(self.terms, saved_terms, "the terms of {server}'s log");
        assert_eq!(saved.hard_state, HardState { term: self.term, voted_for: self.vote }, "{server}'s promises");
        assert!(self.applied <= status.last_applied, "{server} applies only delivered entries: {self:?}, {status:?}");
        let seen = Status {
            role: self.role,
            term: self.term,
            voted_for: self.vote,
            first_index: self.base.0.next(),
            last_index: self.last_index(),
            last_term: self.last_term(),
            commit_index: self.commit,
            last_applied: status.last_applied,
            snapshot_index: self.base.0,
            snapshot_term: self.base.1,
            followers: status.followers.clone(),
        };
        assert_eq!(&seen, status, "{server}, from the record and from itself");
    }
}
