//! What a server says about itself, for the record of its run: which the picture and the log of a run are made of, and
//! which costs little enough to stay on.
//!
//! Nothing has to be reported. The tester records faults, checks and commands, the network every RPC, the tester's own
//! services what they apply; a Raft that says nothing has a picture with all of that. What it adds here is what it *thinks*:
//! its role, its vote, its log, its commit index. From these alone the state of each server at any moment is put together
//! again, as in Figure 2 of the paper.
//!
//! Each function says when to call it. Two rules are common to all:
//!
//! - call it under the lock under which the thing changed, right after the change: reports of two threads are then in the
//!   order of what they tell;
//! - an incarnation that was killed says nothing any more: what it still does concerns nobody, and its server may live
//!   again already.
//!
//! The reporting thread's server is known from its thread group, which threads inherit; outside of any run all of these do
//! nothing. Who reports what:
//!
//! | | |
//! |---|---|
//! | a Raft | [`restored`], [`role`], [`term`], [`vote`], [`appended`], [`truncated`], [`compacted`], [`committed`], [`persisted`] |
//! | the service above it (the tester's own for a Raft, the key/value server) | [`applied`], [`snapshot_taken`], [`snapshot_installed`] |
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

use record::{EventKind, Index, Role, ServerId, Term, emit};

/// The Raft starts, as a follower in `term`, with what was saved: who has its `vote` in that term, and the last entry that
/// the saved snapshot covers, `(0, 0)` if there is none.
///
/// Call it once, in [`Raft::make`](crate::Raft::make), also when nothing was saved; and after it [`appended`] with the
/// entries that were. That the snapshot's entries are committed and applied goes without saying.
pub fn restored(term: Term, vote: Option<ServerId>, (snapshot_index, snapshot_term): (Index, Term)) {
    emit(EventKind::Restored { term, vote, snapshot_index, snapshot_term });
}

/// The server has the role `role` in `term` from now on.
///
/// Call it when the role changes, and when the term changes with it: a candidate that starts another election is a
/// candidate still, but in another term.
pub fn role(role: Role, term: Term) {
    emit(EventKind::RoleChanged { role, term });
}

/// The server has seen a higher term, and is in it from now on. In a new term it has not voted.
///
/// Call it when the term changes and [`role`] is not called.
pub fn term(term: Term) {
    emit(EventKind::TermChanged { term });
}

/// The server gives its vote of `term` to `to`, which may be itself.
///
/// Call it when the vote is given, after the report of the new term if there is one; not when a request comes twice.
pub fn vote(term: Term, to: ServerId) {
    emit(EventKind::VoteGranted { term, to });
}

/// Entries were added at the end of the log: the first at index `first`, the others after it, with these terms.
///
/// Call it once for all entries of one AppendEntries that were really new, after [`truncated`] if others had to go; when a
/// leader takes a command; and after [`restored`]. It becomes one event for each run of equal terms, of which there is
/// hardly ever more than one.
pub fn appended(first: Index, terms: impl IntoIterator<Item = Term>) {
    if !record::enabled() {
        return;
    }
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

/// The entries after `last` were removed, because they conflict with the leader's or with its snapshot.
///
/// Call it when entries at the end go, before what takes their place is reported.
pub fn truncated(last: Index) {
    emit(EventKind::LogTruncated { last });
}

/// The log begins after `index` now, where the entry had `term`: a snapshot covers everything up to there.
///
/// Call it when the log has lost its beginning, to a snapshot of the service ([`Raft::snapshot`](crate::Raft::snapshot)) or
/// to a leader's (InstallSnapshot). Entries after `index` are taken to stay: if a leader's snapshot takes the place of the
/// whole log, report [`truncated`] with `index` first.
pub fn compacted(index: Index, term: Term) {
    emit(EventKind::LogCompacted { index, term });
}

/// Everything up to `index` is committed, as far as the server knows.
///
/// Call it when the commit index moves, once a move, also when a leader's snapshot moves it.
pub fn committed(index: Index) {
    emit(EventKind::Committed { index });
}

/// The service has applied the entry at `index`, which has `term`.
///
/// Call it in the service, when it takes the entry from the apply channel and has not applied it before.
pub fn applied(index: Index, term: Term) {
    emit(EventKind::Applied { index, term });
}

/// The service has made a snapshot of all that it has applied, up to `index`; it has so many `bytes`.
///
/// Call it in the service, before [`Raft::snapshot`](crate::Raft::snapshot).
pub fn snapshot_taken(index: Index, bytes: usize) {
    emit(EventKind::SnapshotTaken { index, bytes: bytes as u64 });
}

/// The service goes on from the snapshot that Raft has delivered to it, up to `index`, where the entry has `term`.
///
/// Call it in the service, when it takes a snapshot from the apply channel in place of its own state; not for the one that
/// it starts with.
pub fn snapshot_installed(index: Index, term: Term) {
    emit(EventKind::SnapshotInstalled { index, term });
}

/// The Raft has saved its state, and wrote so many `bytes` for it.
///
/// Call it after each write to the [`Persister`](crate::Persister).
pub fn persisted(bytes: usize) {
    emit(EventKind::Persisted { bytes: bytes as u64 });
}
