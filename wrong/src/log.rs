//! The log: the entries behind the last snapshot. Everything is asked for by index, so that the rest of the code need not
//! know where the log begins.

use bytes::Bytes;
use raftapi::{Index, Term};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) term: Term,
    pub(crate) command: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Log {
    /// The last index that the snapshot covers, or 0.
    base: Index,
    /// The entry of index `base + i` is `entries[i]`. That of the base itself has no command any more; it is there so
    /// that every other one has a predecessor with a term.
    entries: Vec<Entry>,
}

impl Log {
    /// A log without entries, behind a snapshot up to `base`.
    pub(crate) fn behind(base: Index, term: Term) -> Log {
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

    /// The term of the entry at `index`; `None` if it is not here, or not any more.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        self.position(index).and_then(|position| self.entries.get(position)).map(|entry| entry.term)
    }

    /// The entry at `index`, which is in the log.
    pub(crate) fn entry(&self, index: Index) -> &Entry {
        &self.entries[self.position(index).expect("the snapshot does not cover it")]
    }

    /// Everything behind `prev`, which is in the log or its base.
    pub(crate) fn entries_behind(&self, prev: Index) -> Vec<Entry> {
        let position = self.position(prev).expect("the snapshot does not cover it");
        self.entries[position + 1..].to_vec()
    }

    /// The first index with an entry of `term`, and the last.
    pub(crate) fn span_of(&self, term: Term) -> Option<(Index, Index)> {
        let first = self.entries.iter().position(|entry| entry.term == term)?;
        let last = self.entries.iter().rposition(|entry| entry.term == term)?;
        let index = |position: usize| Index(self.base.0 + position as u64);
        Some((index(first), index(last)))
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Removes everything behind `last`.
    pub(crate) fn truncate(&mut self, last: Index) {
        if last < self.last_index() {
            let position = self.position(last).expect("what a snapshot covers is not removed");
            self.entries.truncate(position + 1);
        }
    }

    /// A snapshot covers everything up to `index`, an entry of `term`. What follows that entry stays; without that entry
    /// there is nothing that follows it.
    pub(crate) fn compact(&mut self, index: Index, term: Term) {
        if self.term_at(index) == Some(term) {
            let position = self.position(index).expect("its term is known");
            self.entries.drain(..position);
            self.entries[0].command = Bytes::new();
            self.base = index;
        } else {
            *self = Log::behind(index, term);
        }
    }

    fn position(&self, index: Index) -> Option<usize> {
        index.0.checked_sub(self.base.0).map(|position| position as usize)
    }
}
