//! The log (5.3): entries in order, and the only place that knows how an index becomes a position in memory.
//!
//! What may be appended or cut off, and when, is not decided here.
//!
//! The log begins after a *base*: the last entry that it does not hold any more because a snapshot covers it (the
//! paper's `lastIncludedIndex` and `lastIncludedTerm`, section 7). Before any snapshot the base is index 0 of term 0,
//! the entry "before the first", which every log has in common.

use bytes::Bytes;
use raftapi::{Index, Term};
use serde::{Deserialize, Serialize};

/// One entry: a command for the state machine, and the term in which a leader received it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The term in which the entry was created.
    pub term: Term,
    /// The command. Copies of an entry share these bytes.
    #[serde(deserialize_with = "labgob::deserialize_shared")]
    pub command: Bytes,
}

/// A server's log.
///
/// Invariants: terms never fall from one entry to the next, and none is below the base's; `entries[i]` is the entry at
/// index `base_index + 1 + i`.
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
    /// A log that holds `entries` from index 1 on.
    ///
    /// # Panics
    ///
    /// If terms fall from one entry to the next: no Raft ever writes such a log.
    pub fn new(entries: Vec<Entry>) -> Log {
        Log::after(Index::ZERO, Term::default(), entries)
    }

    /// A log of which a snapshot covers everything up to `base_index`, where the entry had `base_term`, and that holds
    /// `entries` after it.
    ///
    /// # Panics
    ///
    /// If terms fall from one entry to the next: no Raft ever writes such a log.
    pub fn after(base_index: Index, base_term: Term, entries: Vec<Entry>) -> Log {
        let first_term = entries.first().map_or(base_term, |entry| entry.term);
        let rising = base_term <= first_term && entries.is_sorted_by_key(|entry| entry.term);
        assert!(rising, "the terms of a log never fall");
        Log { base_index, base_term, entries }
    }

    /// Appends an entry at the end.
    pub(super) fn push(&mut self, entry: Entry) {
        debug_assert!(self.last_term() <= entry.term, "the terms of a log never fall");
        self.entries.push(entry);
    }

    /// Cuts off the entry at `first` and all that follow it.
    pub(super) fn truncate_from(&mut self, first: Index) {
        self.entries.truncate(self.position(first));
    }

    /// Forgets the entries up to and including `index`, which becomes the base; what they took in memory is free again.
    /// What follows them stays.
    pub(super) fn discard_up_to(&mut self, index: Index) {
        let term = self.term(index).expect("a log discards what it holds");
        // Not `drain`, which would keep the room of the whole log.
        self.entries = self.entries.split_off(self.position(index) + 1);
        (self.base_index, self.base_term) = (index, term);
    }

    /// Forgets all entries; the log begins anew after `index`, where the entry has `term`.
    pub(super) fn restart_after(&mut self, index: Index, term: Term) {
        *self = Log::after(index, term, Vec::new());
    }

    /// The index of the last entry; the base's if there is none after it.
    pub fn last_index(&self) -> Index {
        self.index_at(self.entries.len()).prev()
    }

    /// The term of the last entry; the base's if there is none after it.
    pub fn last_term(&self) -> Term {
        self.entries.last().map_or(self.base_term, |entry| entry.term)
    }

    /// The index of the last entry that a snapshot covers; 0 if there is none.
    pub fn base_index(&self) -> Index {
        self.base_index
    }

    /// The term of that entry; 0 if there is none.
    pub fn base_term(&self) -> Term {
        self.base_term
    }

    /// The term of the entry at `index`; `None` if the log ends before it or a snapshot has swallowed it.
    pub fn term(&self, index: Index) -> Option<Term> {
        if index == self.base_index { Some(self.base_term) } else { self.get(index).map(|entry| entry.term) }
    }

    /// Whether this log has an entry of `term` at `index`. What a snapshot covers is committed, and committed entries
    /// are the same in every log, so there the answer is yes.
    pub fn matches(&self, index: Index, term: Term) -> bool {
        index < self.base_index || self.term(index) == Some(term)
    }

    /// How many of `entries`, of which the first belongs at `first`, this log has already.
    pub(super) fn count_matching(&self, first: Index, entries: &[Entry]) -> usize {
        (first.0..).zip(entries).take_while(|(index, entry)| self.matches(Index(*index), entry.term)).count()
    }

    /// The entry at `index`, if the log holds it.
    pub fn get(&self, index: Index) -> Option<&Entry> {
        if index <= self.base_index { None } else { self.entries.get(self.position(index)) }
    }

    /// The entries from `first` to `last`, both included; none if `last < first`.
    ///
    /// # Panics
    ///
    /// If the log does not hold them all.
    pub fn entries(&self, first: Index, last: Index) -> &[Entry] {
        if last < first { &[] } else { &self.entries[self.position(first)..=self.position(last)] }
    }

    /// The first index held that has `term` or a later one: where that term begins, if the log has it.
    pub fn first_index_of(&self, term: Term) -> Index {
        self.index_at(self.entries.partition_point(|entry| entry.term < term))
    }

    /// The last index that has `term` or an earlier one; the base if no entry has.
    pub fn last_index_up_to(&self, term: Term) -> Index {
        self.index_at(self.entries.partition_point(|entry| entry.term <= term)).prev()
    }

    /// From a logical index to a place in `entries`.
    fn position(&self, index: Index) -> usize {
        debug_assert!(self.base_index < index, "index {index} is covered by the snapshot up to {}", self.base_index);
        (index.0 - self.base_index.0 - 1) as usize
    }

    /// From a place in `entries` to a logical index.
    fn index_at(&self, position: usize) -> Index {
        Index(self.base_index.0 + 1 + position as u64)
    }
}
