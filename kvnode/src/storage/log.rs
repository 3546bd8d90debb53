//! The Raft state: saved before anybody is answered (Figure 2: "updated on stable storage before responding to RPCs"), and
//! its beginning given up when the state machine covers it (section 7).

use std::collections::VecDeque;

use raft::core::{Entry, HardState};
use raftapi::{Index, Term};
use redb::{Durability, ReadableTable};

use super::tables::{
    APPLIED, BASE, HARD_STATE, LOG, Place, STATE, decode, decode_entry, encode, encode_entry, encode_hard_state,
};
use super::{Storage, StorageError};

/// New entries at the end of the log, in place of whatever was there from `first` on.
#[derive(Clone, Copy, Debug)]
pub struct Tail<'a> {
    /// The index of the first of them.
    pub first: Index,
    /// They themselves.
    pub entries: &'a [Entry],
}

impl Storage {
    /// Saves what has changed, all of it or nothing, and returns when the disk has it.
    ///
    /// # Errors
    ///
    /// If the disk refuses. Whether it has the change or not is then unknown: nobody may be answered, and the process
    /// should end.
    ///
    /// # Panics
    ///
    /// If the entries do not follow on the log, or would replace some that it has given up.
    pub fn save(&self, hard_state: Option<HardState>, tail: Option<Tail<'_>>) -> Result<(), StorageError> {
        let shared = &self.shared;
        let mut ledger = shared.ledger.lock();
        let (base, last) = (ledger.extent.base(), ledger.extent.last());
        if let Some(Tail { first, .. }) = tail {
            assert!(base < first && first <= last.next(), "index {first} does not follow on {base} to {last}");
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
        fill().map_err(|error| shared.failed(error))?;
        shared.commit_durably(&mut ledger, write)?;
        if let Some(Tail { first, entries }) = tail {
            ledger.extent.truncate_from(first);
            entries.iter().for_each(|entry| ledger.extent.push(size_of::<u64>() + entry.command.len()));
        }
        Ok(())
    }

    /// Gives up the entries up to and including `up_to`, which the state machine covers. They are deleted by and by.
    /// Nothing happens if they were given up already.
    ///
    /// This is not durable when it returns, and need not be: a crash may take it back, with the deletions that came
    /// after it, and never without what was applied before it.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    ///
    /// # Panics
    ///
    /// If `up_to` is not applied.
    pub fn compact_log(&self, up_to: Index) -> Result<(), StorageError> {
        let shared = &self.shared;
        let mut ledger = shared.ledger.lock();
        if up_to <= ledger.extent.base() {
            return Ok(());
        }
        let write = shared.begin(Durability::None)?;
        let fill = || -> Result<Place, redb::Error> {
            let mut state = write.open_table(STATE)?;
            let [applied, ..] = decode::<3>(&state, APPLIED)?.unwrap_or_default();
            assert!(up_to.0 <= applied, "index {up_to} is not covered: {applied} are applied");
            let log = write.open_table(LOG)?;
            let entry = log.get(up_to.0)?.and_then(|bytes| Some(decode_entry(bytes.value())?.0));
            let term: Term = entry.expect("the log has what is applied and not given up");
            state.insert(BASE, encode([up_to.0, term.0]).as_slice())?;
            Ok((up_to, term))
        };
        let base = fill().map_err(|error| shared.failed(error))?;
        write.commit().map_err(|error| shared.failed(error))?;
        ledger.extent.discard_up_to(base);
        self.sweeper.wake();
        Ok(())
    }
}

/// Where the log begins and ends, and how large it is.
pub(super) struct Extent {
    base: Place,
    /// Of each entry behind the base, in bytes.
    sizes: VecDeque<u32>,
    bytes: u64,
}

impl Extent {
    pub(super) fn after(base: Place) -> Extent {
        Extent { base, sizes: VecDeque::new(), bytes: 0 }
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

    /// What follows `base` stays.
    pub(super) fn discard_up_to(&mut self, base: Place) {
        let count = ((base.0.0 - self.base.0.0) as usize).min(self.sizes.len());
        self.bytes -= self.sizes.drain(..count).map(u64::from).sum::<u64>();
        self.base = base;
    }
}
