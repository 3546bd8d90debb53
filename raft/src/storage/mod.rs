//! The saved form of a Raft server's state (Figure 2, "persistent state on all servers"). Writing a change costs in
//! proportion to the change, and the whole state is checked when it is read back. The core decides when something must
//! be saved, and the [`Persister`] keeps the bytes.
//!
//! The state is a sequence of records and an end mark. A record consists of a length (one to four bytes with seven bits
//! each, the lowest first), a checksum (CRC-32 of the payload, four bytes, little endian) and a payload, encoded by
//! [`labgob`]. The end mark is a length of zero, so a state that lost its end is not mistaken for an older one. Each
//! change is one atomic write that replaces the end mark:
//!
//! | record | payload | records that it makes void |
//! |---|---|---|
//! | base | last included index and term | none; it is always the first record |
//! | term and vote | the term, the vote | the previous one, which it replaces in place if that is the last record |
//! | entries | the first index, the entries | entries saved before at and above the first index |
//!
//! Void bytes are garbage. When the garbage exceeds both the live bytes and 256 bytes, the whole state is rewritten in
//! the same atomic step. It is also rewritten when the log loses its beginning to a snapshot. A rewrite is paid for by
//! the garbage that caused it, and the saved state is never larger than twice the live bytes, or the live bytes and 256
//! more.

mod layout;
mod read;
mod record;

use std::fmt;

use labstd::sync::Arc;
use raftapi::{Index, Persister};
use smallvec::SmallVec;

use crate::core::{Core, HardState, Log, MAX_BATCH_BYTES, Persist, Saved};
use layout::Layout;
use record::{END_MARK, Kind};

/// Garbage up to this size never causes a rewrite, however small the rest is.
const GARBAGE_BYTES_MIN: usize = 256;

/// Storage of one server's state in a [`Persister`].
///
/// Invariant: between two calls, [`Storage::open`] would read the core's state from the persister, and `layout`
/// describes the persister's bytes.
#[derive(Debug)]
pub struct Storage {
    persister: Arc<Persister>,
    layout: Layout,
    /// Reused for each write.
    buffer: Vec<u8>,
}

/// The reason why a saved state was refused. Its text is one sentence with the position, the expected content and the
/// content found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedState {
    record: usize,
    offset: usize,
    expected: String,
    found: String,
}

impl Storage {
    /// Reads the saved state. If the server has never run, it is the default state.
    ///
    /// # Errors
    ///
    /// If the saved bytes differ in any bit from what a `Storage` has written. No part of them is used then: a server
    /// that remembers only some of its promises would break the others.
    pub fn open(persister: Arc<Persister>) -> Result<(Storage, Saved), DamagedState> {
        let (state, snapshot) = (persister.read_raft_state(), persister.read_snapshot());
        let (saved, layout) = read::state(&state, snapshot)?;
        Ok((Storage { persister, layout, buffer: Vec::new() }, saved))
    }

    /// Saves a change atomically. `core` is the core that ordered it, as it is now. Returns the number of bytes
    /// written, 0 if there is nothing to save.
    pub fn save(&mut self, change: &Persist, core: &Core) -> usize {
        if change.is_empty() {
            return 0;
        }
        if change.snapshot.is_some() {
            return self.rewrite(core);
        }
        let from = match change.hard_state {
            Some(_) => self.layout.end_without_last_hard_state(),
            None => self.layout.end(),
        };
        let mut tail = Writer::new(std::mem::take(&mut self.buffer), &mut self.layout, from);
        if let Some(hard_state) = change.hard_state {
            tail.hard_state(hard_state);
        }
        if let Some(log) = change.log {
            tail.entries(core.log(), log.first);
        }
        self.buffer = tail.finish();
        if self.layout.garbage() > self.layout.live().max(GARBAGE_BYTES_MIN) {
            return self.rewrite(core);
        }
        self.persister.cut_and_append(from, &self.buffer);
        self.buffer.len()
    }

    /// Rewrites the whole state without garbage, together with the snapshot. The persister keeps both together, and
    /// saving an empty snapshot would erase it.
    fn rewrite(&mut self, core: &Core) -> usize {
        let buffer = Vec::with_capacity(self.layout.live() + GARBAGE_BYTES_MIN);
        self.layout = Layout::default();
        let mut whole = Writer::new(buffer, &mut self.layout, 0);
        if core.log().base_index() > Index::ZERO {
            whole.base(core.log());
        }
        whole.hard_state(core.hard_state());
        whole.entries(core.log(), core.log().base_index().next());
        let state = whole.finish();
        let written = state.len();
        self.persister.save(state, core.snapshot().clone());
        written
    }
}

/// Writer of consecutive records, which also updates the layout.
struct Writer<'a> {
    bytes: Vec<u8>,
    layout: &'a mut Layout,
}

impl<'a> Writer<'a> {
    /// Starts to write at byte `from` of the state. Clears `buffer` and reuses it.
    fn new(mut buffer: Vec<u8>, layout: &'a mut Layout, from: usize) -> Writer<'a> {
        buffer.clear();
        layout.truncate_to(from);
        Writer { bytes: buffer, layout }
    }

    fn base(&mut self, log: &Log) {
        let length = record::write(&mut self.bytes, Kind::Base, |payload| {
            labgob::encode_into(&(log.base_index(), log.base_term()), payload);
        });
        self.layout.add_base(log.base_index(), length);
    }

    fn hard_state(&mut self, HardState { term, voted_for }: HardState) {
        let length = record::write(&mut self.bytes, Kind::HardState, |payload| {
            labgob::encode_into(&(term, voted_for), payload);
        });
        self.layout.add_hard_state(length);
    }

    /// Writes the entries of `log` from `first` on. Large entries take several records, because the size of a record is
    /// limited.
    fn entries(&mut self, log: &Log, first: Index) {
        let mut rest = log.entries(first, log.last_index());
        let mut first = first;
        while !rest.is_empty() {
            let mut sizes = SmallVec::<[usize; 16]>::new();
            let mut bytes = 0;
            let length = record::write(&mut self.bytes, Kind::Entries, |payload| {
                labgob::encode_into(&first, payload);
                let begin = payload.len();
                for entry in rest {
                    labgob::encode_into(entry, payload);
                    sizes.push(payload.len() - begin - bytes);
                    bytes = payload.len() - begin;
                    if bytes >= MAX_BATCH_BYTES {
                        break;
                    }
                }
            });
            rest = &rest[sizes.len()..];
            let written = sizes.len() as u64;
            self.layout.add_entries(first, length, &sizes);
            first = Index(first.0 + written);
        }
    }

    /// Returns the written bytes with the end mark.
    fn finish(mut self) -> Vec<u8> {
        self.bytes.push(END_MARK);
        self.bytes
    }
}

impl fmt::Display for DamagedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DamagedState { record, offset, expected, found } = self;
        write!(f, "the saved state is damaged at record {record}, byte {offset}: expected {expected}, found {found}")
    }
}

impl std::error::Error for DamagedState {}
