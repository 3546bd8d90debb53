//! The log: the entries after the last snapshot. All methods take indexes, so the rest of the code need not know where
//! the log begins.

use bytes::Bytes;
use raftapi::{Index, Term};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) term: Term,
    pub(crate) command: Bytes,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Log {
    /// The last index that the snapshot covers, or 0.
    base: Index,
    /// `entries[i]` is the entry of index `base + i`. The entry at the base has no command any more. It stays so that
    /// every other entry has a predecessor with a term.
    entries: Vec<Entry>,
}

impl Log {
    /// Makes a log without entries after a snapshot up to `base`.
    pub(crate) fn after_snapshot(base: Index, term: Term) -> Log {
        Log { base, entries: vec![Entry { term, command: Bytes::new() }] }
    }

    pub(crate) fn base(&self) -> Index {
        self.base
    }

    pub(crate) fn base_term(&self) -> Term {
        self.entries[0].term
    }

    pub(crate) fn last_index(&self) -> Index {
        Index(self.base.0 + self.entries.len() as u64 - 1)
    }

    pub(crate) fn last_term(&self) -> Term {
        self.entry(self.last_index()).term
    }

    /// Returns the term of the entry at `index`; `None` if the entry is not in the log, or no longer.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        self.position(index).and_then(|position| self.entries.get(position)).map(|entry| entry.term)
    }

    /// Returns the entry at `index`, which must be in the log.
    pub(crate) fn entry(&self, index: Index) -> &Entry {
        &self.entries[self.position(index).expect("no snapshot covers the entry")]
    }

    /// Returns the entries after `prev`, which must be in the log or its base.
    pub(crate) fn entries_after(&self, prev: Index) -> Vec<Entry> {
        let position = self.position(prev).expect("no snapshot covers the entry");
        self.entries[position + 1..].to_vec()
    }

    /// Returns the first and the last index of the entries of `term`.
    pub(crate) fn index_range_of(&self, term: Term) -> Option<(Index, Index)> {
        let first = self.entries.iter().position(|entry| entry.term == term)?;
        let last = self.entries.iter().rposition(|entry| entry.term == term)?;
        let index = |position: usize| Index(self.base.0 + position as u64);
        Some((index(first), index(last)))
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Removes all entries after `last`.
    pub(crate) fn truncate(&mut self, last: Index) {
        if last < self.last_index() {
            let position = self.position(last).expect("no snapshot covers the removed entries");
            self.entries.truncate(position + 1);
        }
    }

    /// Makes `term` the term of the entry at the base.
    pub(crate) fn set_base_term(&mut self, term: Term) {
        self.entries[0].term = term;
    }

    /// Discards all entries up to `index`, which a snapshot covers. If the log has an entry of `term` at `index`, the
    /// entries after it stay; otherwise the whole log is discarded.
    pub(crate) fn compact(&mut self, index: Index, term: Term) {
        if self.term_at(index) == Some(term) {
            let position = self.position(index).expect("the entry is in the log");
            self.entries.drain(..position);
            self.entries[0].command = Bytes::new();
            self.base = index;
        } else {
            *self = Log::after_snapshot(index, term);
        }
    }

    fn position(&self, index: Index) -> Option<usize> {
        index.0.checked_sub(self.base.0).map(|position| position as usize)
    }
}
