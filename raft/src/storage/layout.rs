//! Which bytes of a saved state are still needed: the book that is kept of the records, so that a change can be written
//! without looking at what was written before.

use raftapi::Index;

/// What stands where in a saved state.
///
/// Invariant: `live() <= end()`; the records in force are the base, if there is one, the latest term and vote, and
/// those that hold the entries after the base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Where the end mark stands: the length of all records.
    end: usize,
    /// The length of the base record, and the index in it; 0 if there is none.
    base_bytes: usize,
    base_index: Index,
    /// The length of the latest record of term and vote; 0 if there is none.
    hard_state_bytes: usize,
    /// Whether that record is the last of all.
    hard_state_is_last: bool,
    /// What each entry after the base takes: the first entry of a record with all that the record takes besides.
    entry_bytes: Vec<usize>,
    /// Their sum.
    entries_bytes: usize,
}

impl Layout {
    /// The end mark moves back to `end`, to where it is, or to where the last record of term and vote begins.
    pub(super) fn truncate_to(&mut self, end: usize) {
        debug_assert!(end == self.end || end == self.end_without_last_hard_state());
        if end < self.end {
            (self.hard_state_bytes, self.hard_state_is_last) = (0, false);
        }
        self.end = end;
    }

    /// A base record of `length` bytes comes.
    pub(super) fn add_base(&mut self, index: Index, length: usize) {
        debug_assert_eq!(self.end, 0, "a base is only ever the first record");
        (self.base_index, self.base_bytes) = (index, length);
        self.end += length;
        self.hard_state_is_last = false;
    }

    /// A record of term and vote of `length` bytes comes.
    pub(super) fn add_hard_state(&mut self, length: usize) {
        (self.hard_state_bytes, self.hard_state_is_last) = (length, true);
        self.end += length;
    }

    /// A record of `length` bytes comes whose entries begin at `first` and take `sizes` of them. Entries at and above
    /// `first` are void, as is the whole record that held nothing else.
    pub(super) fn add_entries(&mut self, first: Index, length: usize, sizes: &[usize]) {
        let kept = (first.0 - self.base_index.0 - 1) as usize;
        let void: usize = self.entry_bytes.drain(kept..).sum();
        let besides = length - sizes.iter().sum::<usize>();
        self.entry_bytes.extend_from_slice(sizes);
        self.entry_bytes[kept] += besides;
        self.entries_bytes += length;
        self.entries_bytes -= void;
        self.end += length;
        self.hard_state_is_last = false;
    }

    /// Where the end mark stands.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Where the end mark would stand without a record of term and vote just before it.
    pub(super) fn end_without_last_hard_state(&self) -> usize {
        if self.hard_state_is_last { self.end - self.hard_state_bytes } else { self.end }
    }

    /// The bytes that are needed.
    pub(super) fn live(&self) -> usize {
        self.base_bytes + self.hard_state_bytes + self.entries_bytes
    }

    /// The bytes that are not.
    pub(super) fn garbage(&self) -> usize {
        self.end - self.live()
    }
}
