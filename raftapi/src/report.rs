//! Reports of a server about its own state, for the record of its run. The timeline and the log of a run are made from
//! the record. Reports cost so little that they can stay on.
//!
//! All reports are optional. The tester records faults, checks and commands, the network records every RPC, and the
//! tester's own services record the entries that they apply. The timeline shows all of that even without reports. A
//! Raft reports its *own view*: its role, its vote, its log, its commit index. From these reports alone the timeline
//! restores the state of each server at any moment, as in Figure 2 of the paper.
//!
//! Each function says when to call it. Two rules are common to all:
//!
//! - Report a change under the lock that protects it, right after the change. Then the reports of two threads have the
//!   order of their changes.
//! - A killed incarnation must report nothing more: its actions no longer matter, and a new incarnation of its server
//!   may be running already.
//!
//! The thread group, which threads inherit, identifies the reporting server. Outside any run these functions do
//! nothing.
//!
//! | reporter | reports |
//! |---|---|
//! | a Raft | [`restored`], [`role`], [`term`], [`vote`], [`committed`], [`persisted`] |
//! | a Raft, about its log | [`appended`], [`truncated`], [`compacted`] |
//! | the service (key/value or the tester's) | [`applied`], [`snapshot_taken`], [`snapshot_installed`] |
//!
//! ```
//! use raftapi::{Index, Role, ServerId, Term, report};
//!
//! struct Raft {
//!     me: ServerId,
//!     role: Role,
//!     current_term: Term,
//!     voted_for: Option<ServerId>,
//! }
//!
//! impl Raft {
//!     fn start_election(&mut self) {
//!         self.current_term = self.current_term.next();
//!         self.voted_for = Some(self.me);
//!         self.role = Role::Candidate;
//!         report::role(self.role, self.current_term);
//!         report::vote(self.current_term, self.me);
//!         // ...
//!     }
//! }
//! ```

use ids::{Index, ServerId, Term};
use record::{EventKind, Role, emit};

/// Reports that the Raft starts, as a follower in `term`, with its saved state: its `vote` in that term, and the last
/// entry that the saved snapshot covers, `(0, 0)` if there is none.
///
/// Call it once, in [`Raft::make`](crate::Raft::make), also if there is no saved state. Then call [`appended`] with the
/// saved entries. It implies that the snapshot's entries are committed and applied.
pub fn restored(term: Term, vote: Option<ServerId>, (snapshot_index, snapshot_term): (Index, Term)) {
    emit(EventKind::Restored { term, vote, snapshot_index, snapshot_term });
}

/// Reports that the server has the role `role` in `term` from now on.
///
/// Call it when the role changes, and when a candidate starts another election: its role stays the same, but its term
/// changes.
pub fn role(role: Role, term: Term) {
    emit(EventKind::RoleChanged { role, term });
}

/// Reports that the server has seen a higher term and adopts it. It has not voted in the new term yet.
///
/// Call it when the term changes and [`role`] is not called.
pub fn term(term: Term) {
    emit(EventKind::TermChanged { term });
}

/// Reports that the server votes in `term` for `to`, which may be itself.
///
/// Call it when the server grants the vote, after the report of the new term if there is one. Do not call it again when
/// the same request comes twice.
pub fn vote(term: Term, to: ServerId) {
    emit(EventKind::VoteGranted { term, to });
}

/// Reports entries appended to the log. The first has index `first`; `terms` are the terms of all of them, in order.
///
/// Call it once for all new entries of one AppendEntries, after [`truncated`] if others were removed; when a leader
/// takes a command; and after [`restored`]. It records one event for each sequence of equal terms, usually just one.
pub fn appended(first: Index, terms: impl IntoIterator<Item = Term>) {
    // A run without a record reads `terms` too: an iterator may run any code, and no run may depend on recording.
    let mut first = first;
    let mut terms = terms.into_iter().peekable();
    while let Some(term) = terms.next() {
        let mut last = first;
        while terms.next_if_eq(&term).is_some() {
            last = last.next();
        }
        emit(EventKind::LogAppended { term, first, last });
        first = last.next();
    }
}

/// Reports that the entries after `last` were removed, because they conflict with the leader's or with its snapshot.
///
/// Call it when entries at the end are removed, before you report the entries that replace them.
pub fn truncated(last: Index) {
    emit(EventKind::LogTruncated { last });
}

/// Reports that a snapshot covers all entries up to `index`, whose entry had `term`, and that the log now begins after
/// it.
///
/// Call it when the log is compacted, by a snapshot of the service ([`Raft::snapshot`](crate::Raft::snapshot)) or of a
/// leader (InstallSnapshot). It implies that the entries after `index` stay. If a leader's snapshot replaces the whole
/// log, report [`truncated`] with `index` first.
pub fn compacted(index: Index, term: Term) {
    emit(EventKind::LogCompacted { index, term });
}

/// Reports that the server knows all entries up to `index` to be committed.
///
/// Call it once for each advance of the commit index, also when a leader's snapshot advances it.
pub fn committed(index: Index) {
    emit(EventKind::Committed { index });
}

/// Reports that the service has applied the entry at `index`, which has `term`.
///
/// Call it in the service, when it takes the entry from the apply channel and has not applied it before.
pub fn applied(index: Index, term: Term) {
    emit(EventKind::Applied { index, term });
}

/// Reports that the service has made a snapshot of `bytes` bytes, which covers all applied entries up to `index`.
///
/// Call it in the service, before [`Raft::snapshot`](crate::Raft::snapshot).
pub fn snapshot_taken(index: Index, bytes: usize) {
    emit(EventKind::SnapshotTaken { index, bytes: bytes as u64 });
}

/// Reports that the service has installed a snapshot that its Raft delivered. It covers all entries up to `index`,
/// whose entry has `term`.
///
/// Call it in the service, when a snapshot from the apply channel replaces the service's own state. Do not call it for
/// the snapshot that the service starts with.
pub fn snapshot_installed(index: Index, term: Term) {
    emit(EventKind::SnapshotInstalled { index, term });
}

/// Reports that the Raft has saved its state and wrote `bytes` bytes for it.
///
/// Call it after each write to the [`Persister`](crate::Persister).
pub fn persisted(bytes: usize) {
    emit(EventKind::Persisted { bytes: bytes as u64 });
}
