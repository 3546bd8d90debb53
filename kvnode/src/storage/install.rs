//! A snapshot that was received takes the place of this server's state (Figure 13, rules 5 to 8).
//!
//! It may be far larger than one transaction should be. So its records are written, transaction by transaction, into a
//! table of their own, which means nothing to anybody; a last, durable transaction gives that table the name of the state
//! machine's and changes the applied index and the log with it. A crash before that leaves the old state, and a table that
//! opening deletes; a crash after it the new one, and the old table, which the sweeper deletes.

use std::sync::atomic::Ordering;

use raft::core::HardState;
use redb::Durability;

use super::image::{Image, Reader};
use super::log::Extent;
use super::machine::{Machine, set_last_seq};
use super::tables::{
    APPLIED, BASE, DATA, HARD_STATE, INCOMING, LOG, OUTGOING, STATE, VALUE, encode, encode_hard_state,
};
use super::{Record, Storage, StorageError};

/// How many bytes of records are written in one transaction, during which nobody else can save. The tests of this room want
/// many transactions of a small state.
const STEP_BYTES: usize = if cfg!(test) { 1 << 10 } else { 1 << 20 };

impl Storage {
    /// Puts `image` in place of the state machine's state. The log then begins after what it includes; `keep_tail` says
    /// whether the entries behind that stay (rule 6) or go (rule 7). If the term changes as well, that is saved in the
    /// same step. Durable when it returns.
    ///
    /// # Errors
    ///
    /// If the disk refuses, or the image is not any more what it was when it was checked; nothing has changed then.
    ///
    /// # Panics
    ///
    /// If the log begins after what the image includes: it would bring nothing.
    pub fn install(&self, image: &Image, hard_state: Option<HardState>, keep_tail: bool) -> Result<(), StorageError> {
        let place = (image.last_included_index(), image.last_included_term());
        let data_bytes = self.receive(image)?;

        let shared = &self.shared;
        let mut ledger = shared.ledger.lock();
        let (base, last) = (ledger.extent.base(), ledger.extent.last());
        assert!(base <= place.0, "the log begins after {base}, and the snapshot includes only {}", place.0);
        let write = shared.begin(Durability::Immediate)?;
        let fill = || -> Result<(), redb::Error> {
            // One that the sweeper has not finished with.
            write.delete_table(OUTGOING)?;
            write.rename_table(DATA, OUTGOING)?;
            write.rename_table(INCOMING, DATA)?;
            let mut state = write.open_table(STATE)?;
            state.insert(APPLIED, encode([place.0.0, place.1.0, data_bytes]).as_slice())?;
            state.insert(BASE, encode([place.0.0, place.1.0]).as_slice())?;
            if let Some(hard_state) = hard_state {
                state.insert(HARD_STATE, encode_hard_state(hard_state).as_slice())?;
            }
            if !keep_tail {
                let mut log = write.open_table(LOG)?;
                for index in place.0.0 + 1..=last.0 {
                    log.remove(index)?;
                }
            }
            Ok(())
        };
        fill().map_err(|error| shared.failed(error))?;
        shared.commit_durably(&mut ledger, write)?;
        shared.data_bytes.store(data_bytes, Ordering::Relaxed);
        if keep_tail {
            ledger.extent.discard_up_to(place);
        } else {
            ledger.extent = Extent::after(place);
        }
        self.sweeper.wake();
        Ok(())
    }

    /// Writes the records into a table of their own. Returns the bytes of all keys and values.
    fn receive(&self, image: &Image) -> Result<u64, StorageError> {
        let shared = &self.shared;
        let mut reader = Reader::open(image.path())?;
        let mut data_bytes = 0;
        let (mut begun, mut ended) = (false, false);
        while !ended {
            let write = shared.begin(Durability::None)?;
            if !begun {
                // One that was given up.
                write.delete_table(INCOMING).map_err(|error| shared.failed(error))?;
                begun = true;
            }
            {
                let mut table = write.open_table(INCOMING).map_err(|error| shared.failed(error))?;
                let mut bytes = 0;
                while bytes < STEP_BYTES {
                    // An error drops the transaction and leaves the table incomplete, which is what it may be.
                    let Some(record) = reader.next_record()? else {
                        ended = true;
                        break;
                    };
                    bytes += add(&mut table, &record, &mut data_bytes).map_err(|error| shared.failed(error))?;
                }
            }
            write.commit().map_err(|error| shared.failed(error))?;
        }
        Ok(data_bytes)
    }
}

/// Adds a record to the table. Returns about how many bytes it takes.
fn add(table: &mut Machine<'_>, record: &Record, data_bytes: &mut u64) -> Result<usize, redb::StorageError> {
    const OVERHEAD: usize = 16;
    match record {
        Record::Client { client, seq } => {
            set_last_seq(table, *client, *seq)?;
            Ok(OVERHEAD)
        }
        Record::Piece { key, number, bytes } => {
            table.insert((VALUE, &key[..], *number), &bytes[..])?;
            *data_bytes += bytes.len() as u64 + if *number == 0 { key.len() as u64 } else { 0 };
            Ok(OVERHEAD + key.len() + bytes.len())
        }
    }
}
