//! The state machine as it was at one moment, while writing goes on.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use raftapi::{Index, Term};
use redb::{ReadOnlyTable, ReadableTable};
use serde::{Deserialize, Serialize};

use super::image::{Image, Writer};
use super::tables::{APPLIED, CLIENT, DATA, MachineKey, STATE, VALUE, decode};
use super::{Shared, Storage, StorageError};

/// One part of a state machine's state: small, and of no use without all the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A client and the number of its last write.
    Client {
        /// Which client.
        client: u64,
        /// The number.
        seq: u64,
    },
    /// A piece of a value. The pieces of one value follow each other, from number 0 on.
    Piece {
        /// Whose value.
        key: Bytes,
        /// Which piece of it.
        number: u32,
        /// What it holds.
        bytes: Bytes,
    },
}

/// What was applied when it was taken, and stays as it was. While there is one, what has changed since takes room beside
/// it on the disk; so let go of it when it is read. The directory stays open as long.
pub struct View {
    table: ReadOnlyTable<MachineKey, &'static [u8]>,
    applied: Index,
    applied_term: Term,
    data_bytes: u64,
    shared: Arc<Shared>,
}

impl Storage {
    /// The state as it is applied now. Takes no time, however large the state is.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn view(&self) -> Result<View, StorageError> {
        let read = self.shared.begin_read()?;
        let view = || -> Result<View, redb::Error> {
            let [applied, term, data_bytes] = decode(&read.open_table(STATE)?, APPLIED)?.unwrap_or_default();
            Ok(View {
                table: read.open_table(DATA)?,
                applied: Index(applied),
                applied_term: Term(term),
                data_bytes,
                shared: Arc::clone(&self.shared),
            })
        };
        view().map_err(|error| self.shared.failed(error))
    }
}

impl View {
    /// The last entry that is in it.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// The term of that entry.
    pub fn applied_term(&self) -> Term {
        self.applied_term
    }

    /// The bytes of all keys and values in it.
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// All of it, part by part: the clients, then the values in the order of their keys.
    ///
    /// # Errors
    ///
    /// If the disk refuses; each part can fail in the same way.
    pub fn records(&self) -> Result<impl Iterator<Item = Result<Record, StorageError>>, StorageError> {
        let parts = self.table.iter().map_err(|error| self.shared.failed(error))?;
        Ok(parts.map(|part| {
            let (place, bytes) = part.map_err(|error| self.shared.failed(error))?;
            let odd = || self.shared.failed("an unknown kind of record: damaged since it was opened");
            match place.value() {
                (CLIENT, client, 0) => {
                    let client = u64::from_be_bytes(client.try_into().map_err(|_| odd())?);
                    let seq = u64::from_le_bytes(bytes.value().try_into().map_err(|_| odd())?);
                    Ok(Record::Client { client, seq })
                }
                (VALUE, key, number) => {
                    let (key, bytes) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(bytes.value()));
                    Ok(Record::Piece { key, number, bytes })
                }
                _ => Err(odd()),
            }
        }))
    }

    /// Writes all of it to a new file at `path`, durably: what [`Storage::install`] takes, here or on another server.
    ///
    /// # Errors
    ///
    /// If a disk refuses; what is at `path` is then of no use.
    pub fn write_image(&self, path: &Path) -> Result<Image, StorageError> {
        let mut writer = Writer::create(path, self.applied, self.applied_term)?;
        for record in self.records()? {
            writer.write(&record?)?;
        }
        writer.finish()
    }
}
