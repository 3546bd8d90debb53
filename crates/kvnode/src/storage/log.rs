//! The Raft state. It is saved before any reply (Figure 2: "updated on stable storage before responding to RPCs"), and
//! the beginning of the log is discarded when the state machine covers it (section 7).

use std::collections::VecDeque;

use raft::core::{Entry, HardState};
use raftapi::{Index, Term};
use redb::{Durability, ReadableTable};

use super::tables::{
    APPLIED, BASE, HARD_STATE, LOG, LogPosition, STATE, decode, decode_entry, encode, encode_entry, encode_hard_state,
};
use super::{Storage, StorageError};

/// New entries, which replace everything in the log from `first` on.
#[derive(Clone, Copy, Debug)]
pub struct Tail<'a> {
    /// The index of the first new entry.
    pub first: Index,
    /// The new entries.
    pub entries: &'a [Entry],
}

impl Storage {
    /// Saves the changes atomically, and returns when the disk has them.
    ///
    /// # Errors
    ///
    /// If the disk fails. It is then unknown whether the disk has the changes: the server must not reply, and the
    /// process should end.
    ///
    /// # Panics
    ///
    /// If the entries leave a gap after the log, or would replace discarded entries.
    pub fn save(&self, hard_state: Option<HardState>, tail: Option<Tail<'_>>) -> Result<(), StorageError> {
        let shared = &self.shared;
        let mut writer = shared.writer.lock();
        let (base, last) = (writer.extent.base(), writer.extent.last());
        if let Some(Tail { first, .. }) = tail {
            assert!(
                base < first && first <= last.next(),
                "index {first} does not extend or replace the entries after {base} up to {last}"
            );
        }
        let write = shared.begin(Durability::Immediate)?;
        let fill = || -> Result<(), redb::Error> {
            if let Some(hard_state) = hard_state {
                write.open_table(STATE)?.insert(HARD_STATE, encode_hard_state(hard_state).as_slice())?;
            }
            let Some(Tail { first, entries }) = tail else { return Ok(()) };
            let mut log = write.open_table(LOG)?;
            for (index, entry) in (first.0..).zip(entries) {
                log.insert(index, encode_entry(entry.term, &entry.command).as_slice())?;
            }
            for index in first.0 + entries.len() as u64..=last.0 {
                log.remove(index)?;
            }
            Ok(())
        };
        fill().map_err(|error| shared.disk_error(error))?;
        shared.commit_durably(&mut writer, write)?;
        if let Some(Tail { first, entries }) = tail {
            writer.extent.truncate_from(first);
            entries.iter().for_each(|entry| writer.extent.push(size_of::<u64>() + entry.command.len()));
        }
        Ok(())
    }

    /// Discards the entries up to and including `up_to`, which the state machine covers. They are deleted in the
    /// background. If they were discarded before, the call does nothing.
    ///
    /// The change is not durable when the call returns, and need not be. A crash may undo it together with the
    /// deletions after it, and never keeps it without the applied entries that it depends on.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    ///
    /// # Panics
    ///
    /// If `up_to` is not applied.
    pub fn compact_log(&self, up_to: Index) -> Result<(), StorageError> {
        let shared = &self.shared;
        let mut writer = shared.writer.lock();
        if up_to <= writer.extent.base() {
            return Ok(());
        }
        let write = shared.begin(Durability::None)?;
        let fill = || -> Result<LogPosition, redb::Error> {
            let mut state = write.open_table(STATE)?;
            let [applied, ..] = decode::<3>(&state, APPLIED)?.unwrap_or_default();
            assert!(up_to.0 <= applied, "index {up_to} is not applied: the applied index is {applied}");
            let log = write.open_table(LOG)?;
            let entry = log.get(up_to.0)?.and_then(|bytes| Some(decode_entry(bytes.value())?.0));
            let term: Term = entry.expect("the log has every applied entry after its base");
            state.insert(BASE, encode([up_to.0, term.0]).as_slice())?;
            Ok((up_to, term))
        };
        let base = fill().map_err(|error| shared.disk_error(error))?;
        write.commit().map_err(|error| shared.disk_error(error))?;
        writer.extent.discard_up_to(base);
        self.sweeper.wake();
        Ok(())
    }
}

/// The extent of the log: its first and last index, and its size.
pub(super) struct LogExtent {
    base: LogPosition,
    /// The size of each entry after the base, in bytes.
    sizes: VecDeque<u32>,
    bytes: u64,
}

impl LogExtent {
    pub(super) fn after(base: LogPosition) -> LogExtent {
        LogExtent { base, sizes: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn base(&self) -> Index {
        self.base.0
    }

    pub(super) fn last(&self) -> Index {
        Index(self.base.0.0 + self.sizes.len() as u64)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn push(&mut self, size: usize) {
        self.sizes.push_back(u32::try_from(size).expect("an entry is far below 4 GiB"));
        self.bytes += size as u64;
    }

    pub(super) fn truncate_from(&mut self, first: Index) {
        let gone = self.sizes.drain((first.0 - self.base.0.0 - 1) as usize..);
        self.bytes -= gone.map(u64::from).sum::<u64>();
    }

    /// Removes the entries up to `base`.
    pub(super) fn discard_up_to(&mut self, base: LogPosition) {
        let count = ((base.0.0 - self.base.0.0) as usize).min(self.sizes.len());
        self.bytes -= self.sizes.drain(..count).map(u64::from).sum::<u64>();
        self.base = base;
    }
}
