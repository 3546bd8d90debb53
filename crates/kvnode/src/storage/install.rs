//! Installation of a received snapshot, which replaces this server's state (Figure 13, rules 5 to 8).
//!
//! A snapshot may be far larger than one transaction should be. So its records are written in many transactions into a
//! separate table that is not used yet. A last, durable transaction gives that table the name of the state machine's
//! table, and changes the applied index and the log with it. A crash before the last transaction leaves the old state
//! and a table that opening deletes. A crash after it leaves the new state and the old table, which the sweeper
//! deletes.

use std::sync::atomic::Ordering;

use raft::core::HardState;
use redb::Durability;

use super::image::{Image, Reader};
use super::log::LogExtent;
use super::machine::{OpenMachineTable, set_last_seq};
use super::tables::{
    APPLIED, BASE, DATA, HARD_STATE, INCOMING, LOG, OUTGOING, STATE, VALUE, encode, encode_hard_state,
};
use super::{Record, Storage, StorageError};

/// The bytes of records that one transaction writes. No other thread can save while it runs. The unit tests of this
/// crate use many transactions for a small state.
const TRANSACTION_BYTES: usize = if cfg!(test) { 1 << 10 } else { 1 << 20 };

impl Storage {
    /// Replaces the state machine's state by `image`. The log then begins after the entries that the image includes.
    /// `keep_tail` says whether the later entries stay (rule 6) or are deleted (rule 7). If `hard_state` is given, it
    /// is saved in the same transaction. The state is durable when the call returns.
    ///
    /// # Errors
    ///
    /// If the disk fails, or the image file has changed since it was checked. The state is then unchanged.
    ///
    /// # Panics
    ///
    /// If the log begins after the last entry that the image includes. Such an image would bring nothing new.
    pub fn install(&self, image: &Image, hard_state: Option<HardState>, keep_tail: bool) -> Result<(), StorageError> {
        let position = (image.last_included_index(), image.last_included_term());
        let data_bytes = self.load_image(image)?;

        let shared = &self.shared;
        let mut writer = shared.writer.lock();
        let (base, last) = (writer.extent.base(), writer.extent.last());
        assert!(
            base <= position.0,
            "the log begins after {base}, but the snapshot includes entries only up to {}",
            position.0
        );
        let write = shared.begin(Durability::Immediate)?;
        let fill = || -> Result<(), redb::Error> {
            // The sweeper may not have finished with an earlier one.
            write.delete_table(OUTGOING)?;
            write.rename_table(DATA, OUTGOING)?;
            write.rename_table(INCOMING, DATA)?;
            let mut state = write.open_table(STATE)?;
            state.insert(APPLIED, encode([position.0.0, position.1.0, data_bytes]).as_slice())?;
            state.insert(BASE, encode([position.0.0, position.1.0]).as_slice())?;
            if let Some(hard_state) = hard_state {
                state.insert(HARD_STATE, encode_hard_state(hard_state).as_slice())?;
            }
            if !keep_tail {
                let mut log = write.open_table(LOG)?;
                for index in position.0.0 + 1..=last.0 {
                    log.remove(index)?;
                }
            }
            Ok(())
        };
        fill().map_err(|error| shared.disk_error(error))?;
        shared.commit_durably(&mut writer, write)?;
        shared.data_bytes.store(data_bytes, Ordering::Relaxed);
        if keep_tail {
            writer.extent.discard_up_to(position);
        } else {
            writer.extent = LogExtent::after(position);
        }
        self.sweeper.wake();
        Ok(())
    }

    /// Writes the records of `image` into the incoming table. Returns the size of all keys and values, in bytes.
    fn load_image(&self, image: &Image) -> Result<u64, StorageError> {
        let shared = &self.shared;
        let mut reader = Reader::open(image.path())?;
        let mut data_bytes = 0;
        let (mut started, mut ended) = (false, false);
        while !ended {
            let write = shared.begin(Durability::None)?;
            if !started {
                // An earlier installation may have been abandoned.
                write.delete_table(INCOMING).map_err(|error| shared.disk_error(error))?;
                started = true;
            }
            {
                let mut table = write.open_table(INCOMING).map_err(|error| shared.disk_error(error))?;
                let mut bytes = 0;
                while bytes < TRANSACTION_BYTES {
                    // An error drops the transaction and leaves the table incomplete, which is allowed.
                    let Some(record) = reader.next_record()? else {
                        ended = true;
                        break;
                    };
                    bytes += insert_record(&mut table, &record, &mut data_bytes)
                        .map_err(|error| shared.disk_error(error))?;
                }
            }
            write.commit().map_err(|error| shared.disk_error(error))?;
        }
        Ok(data_bytes)
    }
}

/// Adds a record to the table. Returns its approximate size in bytes.
fn insert_record(
    table: &mut OpenMachineTable<'_>,
    record: &Record,
    data_bytes: &mut u64,
) -> Result<usize, redb::StorageError> {
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
