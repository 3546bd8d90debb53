//! The log (5.3): entries in order. Only this file knows the position of an index in memory. Other files decide which
//! entries are appended or removed, and when.
//!
//! The log begins after a *base*: the last entry that a snapshot covers, which the log no longer holds (the paper's
//! `lastIncludedIndex` and `lastIncludedTerm`, section 7). Before any snapshot, the base is index 0 of term 0, which
//! precedes the first entry of every log.

use bytes::Bytes;
use raftapi::{Index, Term};
use serde::{Deserialize, Serialize};

/// One entry: a command for the state machine, and the term in which a leader received it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The term in which the entry was created.
    pub term: Term,
    /// The command. Copies of an entry share these bytes.
    #[serde(deserialize_with = "labgob::deserialize_shared_bytes")]
    pub command: Bytes,
}

/// The log of a server.
///
/// Invariants: terms never decrease from one entry to the next, and none is below the base's; `entries[i]` is the entry
/// at index `base_index + 1 + i`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Log {
    /// The index of the last entry that a snapshot covers; 0 if there is none.
    base_index: Index,
    /// The term of that entry.
    base_term: Term,
    /// The entries after it.
    entries: Vec<Entry>,
}

impl Log {
    /// Returns a log that holds `entries` from index 1 on.
    ///
    /// # Panics
    ///
    /// If the terms decrease from one entry to the next. No Raft server writes such a log.
    pub fn new(entries: Vec<Entry>) -> Log {
        Log::after(Index::ZERO, Term::default(), entries)
    }

    /// Returns a log that holds `entries` after a base. A snapshot covers everything up to `base_index`, whose entry
    /// had `base_term`.
    ///
    /// # Panics
    ///
    /// If the terms decrease from one entry to the next. No Raft server writes such a log.
    pub fn after(base_index: Index, base_term: Term, entries: Vec<Entry>) -> Log {
        let first_term = entries.first().map_or(base_term, |entry| entry.term);
        let rising = base_term <= first_term && entries.is_sorted_by_key(|entry| entry.term);
        assert!(rising, "the terms of a log never decrease");
        Log { base_index, base_term, entries }
    }

    /// Appends an entry at the end.
    pub(super) fn push(&mut self, entry: Entry) {
        debug_assert!(self.last_term() <= entry.term, "the terms of a log never decrease");
        self.entries.push(entry);
    }

    /// Removes the entry at `first` and all entries after it.
    pub(super) fn truncate_from(&mut self, first: Index) {
        self.entries.truncate(self.position(first));
    }

    /// Removes the entries up to and including `index`, which becomes the base, and frees their memory. The entries
    /// after it remain.
    pub(super) fn discard_up_to(&mut self, index: Index) {
        let term = self.term(index).expect("a log discards only entries that it holds");
        // `drain` would keep the capacity of the whole log.
        self.entries = self.entries.split_off(self.position(index) + 1);
        (self.base_index, self.base_term) = (index, term);
    }

    /// Removes all entries. The log now begins after `index`, whose entry has `term`.
    pub(super) fn restart_after(&mut self, index: Index, term: Term) {
        *self = Log::after(index, term, Vec::new());
    }

    /// Returns the index of the last entry, or the base's if there is no entry after it.
    pub fn last_index(&self) -> Index {
        self.index_at(self.entries.len()).prev()
    }

    /// Returns the term of the last entry, or the base's if there is no entry after it.
    pub fn last_term(&self) -> Term {
        self.entries.last().map_or(self.base_term, |entry| entry.term)
    }

    /// Returns the index of the last entry that a snapshot covers; 0 if there is none.
    pub fn base_index(&self) -> Index {
        self.base_index
    }

    /// Returns the term of that entry; 0 if there is none.
    pub fn base_term(&self) -> Term {
        self.base_term
    }

    /// Returns the term of the entry at `index`; `None` if the log ends before it or a snapshot covers it. The term of
    /// the base is known.
    pub fn term(&self, index: Index) -> Option<Term> {
        if index == self.base_index { Some(self.base_term) } else { self.get(index).map(|entry| entry.term) }
    }

    /// Returns whether this log has an entry of `term` at `index`. A snapshot covers committed entries, which are the
    /// same in every log, so the result is true below the base.
    pub fn matches(&self, index: Index, term: Term) -> bool {
        index < self.base_index || self.term(index) == Some(term)
    }

    /// Returns how many of `entries` this log already has. The first of them belongs at index `first`.
    pub(super) fn count_matching(&self, first: Index, entries: &[Entry]) -> usize {
        (first.0..).zip(entries).take_while(|(index, entry)| self.matches(Index(*index), entry.term)).count()
    }

    /// Returns the entry at `index`, if the log holds it.
    pub fn get(&self, index: Index) -> Option<&Entry> {
        if index <= self.base_index { None } else { self.entries.get(self.position(index)) }
    }

    /// Returns the entries from `first` to `last`, both included; none if `last < first`.
    ///
    /// # Panics
    ///
    /// If the log does not hold them all.
    pub fn entries(&self, first: Index, last: Index) -> &[Entry] {
        if last < first { &[] } else { &self.entries[self.position(first)..=self.position(last)] }
    }

    /// Returns the first index that has `term` or a later one: the beginning of that term, if the log has it.
    pub fn first_index_of(&self, term: Term) -> Index {
        self.index_at(self.entries.partition_point(|entry| entry.term < term))
    }

    /// Returns the last index that has `term` or an earlier one; the base if no entry has.
    pub fn last_index_up_to(&self, term: Term) -> Index {
        self.index_at(self.entries.partition_point(|entry| entry.term <= term)).prev()
    }

    /// Converts an index to a position in `entries`.
    fn position(&self, index: Index) -> usize {
        debug_assert!(self.base_index < index, "index {index} is covered by the snapshot up to {}", self.base_index);
        (index.0 - self.base_index.0 - 1) as usize
    }

    /// Converts a position in `entries` to an index.
    fn index_at(&self, position: usize) -> Index {
        Index(self.base_index.0 + 1 + position as u64)
    }
}
