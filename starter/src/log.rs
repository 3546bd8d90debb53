//! The log: everything is asked for by index, so that the rest of the crate need not know where an entry lies. What
//! part 3A needs is given.
//!
//! In part 3D the log loses its beginning: then an index is no longer a place in the vector, and the functions below
//! are the only ones that have to know.

use bytes::Bytes;
use raftapi::{Index, Term, report, unwritten};
use serde::{Deserialize, Serialize};

/// A command and the term in which a leader took it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) term: Term,
    pub(crate) command: Bytes,
}

/// The entries. Serde can save it as it is (part 3C).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Log {
    /// The entry of index `i` is `entries[i]`. The one of index 0 is none: it has term 0 and no command, and it is
    /// there so that every entry has one before it.
    entries: Vec<Entry>,
}

impl Log {
    /// No entries.
    pub(crate) fn new() -> Log {
        Log { entries: vec![Entry { term: Term::ZERO, command: Bytes::new() }] }
    }

    /// The index of the last entry; 0 if there is none.
    pub(crate) fn last_index(&self) -> Index {
        Index(self.entries.len() as u64 - 1)
    }

    /// The term of the last entry; 0 if there is none.
    pub(crate) fn last_term(&self) -> Term {
        self.entries[self.entries.len() - 1].term
    }

    /// The term of the entry at `index`, `Some(0)` for index 0; `None` if the log does not reach so far.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        self.entries.get(index.0 as usize).map(|entry| entry.term)
    }

    /// The entry at `index`, which is in the log.
    pub(crate) fn entry(&self, index: Index) -> &Entry {
        &self.entries[index.0 as usize]
    }

    /// All entries from `first` on, which is at most one beyond the last.
    pub(crate) fn entries_from(&self, first: Index) -> &[Entry] {
        &self.entries[first.0 as usize..]
    }

    /// Part 3B. Adds entries at the end.
    ///
    /// - Then `report::appended(first, terms)`: the index of the first new one, and the term of each.
    pub(crate) fn append(&mut self, entries: Vec<Entry>) {
        unwritten("Log::append: add entries at the end", "Figure 3, Leader Append-Only (section 5.3)")
    }

    /// Part 3B. Removes everything behind `last`.
    ///
    /// Only a follower does so, and only with entries that conflict with its leader's: Figure 2, AppendEntries, 3. What
    /// is committed is never removed; an `assert!` costs nothing.
    ///
    /// - Then `report::truncated(last)`, if there was something to remove.
    pub(crate) fn truncate_after(&mut self, last: Index) {
        unwritten(
            "Log::truncate_after: remove the entries that conflict with the leader's, and all behind them",
            "Figure 2, AppendEntries RPC: \"3. If an existing entry conflicts with a new one (same index but \
             different terms), delete the existing entry and all that follow it\" (section 5.3)",
        )
    }

    /// Part 3D. A snapshot covers everything up to `index`, an entry of `term`: that part goes. The entry at `index`
    /// stays as what index 0 was before, the one before the first, without its command.
    ///
    /// Figure 13: "6. If existing log entry has same index and term as snapshot's last included entry, retain log
    /// entries following it. 7. Discard the entire log".
    ///
    /// - Then `report::compacted(index, term)`, after `report::truncated(index)` if entries behind it had to go.
    /// - Give the memory back: a slice of the old vector keeps all of it.
    pub(crate) fn compact(&mut self, index: Index, term: Term) {
        unwritten(
            "Log::compact: let a snapshot take the place of the entries up to an index",
            "Figure 13, InstallSnapshot RPC, 6 and 7; section 7",
        )
    }
}
