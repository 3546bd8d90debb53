//! The log. All access is by index, so the rest of the crate need not know where an entry is stored. The functions that
//! part 3A needs are given.
//!
//! In part 3D the log loses its first entries. Then an index is no longer a position in the vector. Only the functions
//! below have to know that.

use bytes::Bytes;
use raftapi::{Index, Term, report, unwritten};
use serde::{Deserialize, Serialize};

/// A command, and the term in which a leader received it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) term: Term,
    pub(crate) command: Bytes,
}

/// The entries of a server's log. Serde can save it as it is (part 3C).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Log {
    /// The entry with index `i` is `entries[i]`. Index 0 holds a placeholder with term 0 and no command, so that every
    /// real entry has one before it.
    entries: Vec<Entry>,
}

impl Log {
    /// Builds an empty log.
    pub(crate) fn new() -> Log {
        Log { entries: vec![Entry { term: Term::ZERO, command: Bytes::new() }] }
    }

    /// Returns the index of the last entry; 0 if there is none.
    pub(crate) fn last_index(&self) -> Index {
        Index(self.entries.len() as u64 - 1)
    }

    /// Returns the term of the last entry; 0 if there is none.
    pub(crate) fn last_term(&self) -> Term {
        self.entries[self.entries.len() - 1].term
    }

    /// Returns the term of the entry at `index`: `Some(0)` for index 0, `None` if the log is shorter.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        self.entries.get(index.0 as usize).map(|entry| entry.term)
    }

    /// Returns the entry at `index`. Panics if the log does not contain it.
    pub(crate) fn entry(&self, index: Index) -> &Entry {
        &self.entries[index.0 as usize]
    }

    /// Returns all entries from `first` on. Panics if `first` is more than one after the last index.
    pub(crate) fn entries_from(&self, first: Index) -> &[Entry] {
        &self.entries[first.0 as usize..]
    }

    /// Part 3B. Appends entries at the end of the log.
    ///
    /// - Then call `report::appended(first, terms)` with the index of the first new entry and the term of each one.
    pub(crate) fn append(&mut self, entries: Vec<Entry>) {
        unwritten("Log::append: append entries at the end of the log", "Figure 3, Leader Append-Only (section 5.3)")
    }

    /// Part 3B. Removes all entries after index `last`.
    ///
    /// Only a follower does this, and only with entries that conflict with its leader's: Figure 2, AppendEntries, 3. A
    /// committed entry is never removed; check that with an `assert!`.
    ///
    /// - Then call `report::truncated(last)`, if you removed an entry.
    pub(crate) fn truncate_after(&mut self, last: Index) {
        unwritten(
            "Log::truncate_after: remove the entries that conflict with the leader's, and all entries after them",
            "Figure 2, AppendEntries RPC: \"3. If an existing entry conflicts with a new one (same index but \
             different terms), delete the existing entry and all that follow it\" (section 5.3)",
        )
    }

    /// Part 3D. Removes the entries up to and including `index`, whose entry has `term`, because a snapshot covers
    /// them. The entry at `index` stays as the new placeholder, without its command: it is the entry before the first
    /// one.
    ///
    /// Figure 13: "6. If existing log entry has same index and term as snapshot's last included entry, retain log
    /// entries following it. 7. Discard the entire log".
    ///
    /// - Then call `report::compacted(index, term)`. If you also removed entries after `index`, call
    ///   `report::truncated(index)` before it.
    /// - Free the memory: a slice of the old vector keeps all of it.
    pub(crate) fn compact(&mut self, index: Index, term: Term) {
        unwritten(
            "Log::compact: remove the entries that a snapshot covers",
            "Figure 13, InstallSnapshot RPC, 6 and 7; section 7",
        )
    }
}
