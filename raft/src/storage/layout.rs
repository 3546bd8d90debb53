//! The layout of a saved state: which bytes are still needed. With it, a change can be written without reading earlier
//! records.

use raftapi::Index;

/// The positions and sizes of the records in a saved state.
///
/// Invariant: `live() <= end()`; the live records are the base, if there is one, the latest term and vote, and those
/// that hold the entries after the base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// The position of the end mark: the length of all records.
    end: usize,
    /// The length of the base record, and the index in it; 0 if there is none.
    base_bytes: usize,
    base_index: Index,
    /// The length of the latest record of term and vote; 0 if there is none.
    hard_state_bytes: usize,
    /// Whether that record is the last of all.
    hard_state_is_last: bool,
    /// The bytes of each entry after the base. The first entry of a record also counts the rest of the record.
    entry_bytes: Vec<usize>,
    /// Their sum.
    entries_bytes: usize,
}

impl Layout {
    /// Moves the end mark to `end`: its present position, or the beginning of a last record of term and vote.
    pub(super) fn truncate_to(&mut self, end: usize) {
        debug_assert!(end == self.end || end == self.end_without_last_hard_state());
        if end < self.end {
            (self.hard_state_bytes, self.hard_state_is_last) = (0, false);
        }
        self.end = end;
    }

    /// Adds a base record of `length` bytes.
    pub(super) fn add_base(&mut self, index: Index, length: usize) {
        debug_assert_eq!(self.end, 0, "a base is only ever the first record");
        (self.base_index, self.base_bytes) = (index, length);
        self.end += length;
        self.hard_state_is_last = false;
    }

    /// Adds a record of term and vote of `length` bytes.
    pub(super) fn add_hard_state(&mut self, length: usize) {
        (self.hard_state_bytes, self.hard_state_is_last) = (length, true);
        self.end += length;
    }

    /// Adds a record of `length` bytes whose entries begin at `first` and take `sizes` bytes of it. Earlier entries at
    /// and above `first` become void, and so does a record that held no other entries.
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

    /// Returns the position of the end mark.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Returns the position at which the end mark would be without a record of term and vote just before it.
    pub(super) fn end_without_last_hard_state(&self) -> usize {
        if self.hard_state_is_last { self.end - self.hard_state_bytes } else { self.end }
    }

    /// Returns the number of live bytes.
    pub(super) fn live(&self) -> usize {
        self.base_bytes + self.hard_state_bytes + self.entries_bytes
    }

    /// Returns the number of void bytes.
    pub(super) fn garbage(&self) -> usize {
        self.end - self.live()
    }
}
