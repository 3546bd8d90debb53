//! A view of the state machine as it was at one moment, while writers continue.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use raftapi::{Index, Term};
use redb::{ReadOnlyTable, ReadableTable};

use super::image::{Image, Writer};
use super::record::Record;
use super::tables::{APPLIED, CLIENT, DATA, MachineKey, STATE, VALUE, decode};
use super::{Shared, Storage, StorageError};

/// A view of the applied state, which never changes. While it exists, later changes take extra space on the disk, so
/// drop it after reading. The directory stays open as long as the view exists.
pub struct View {
    table: ReadOnlyTable<MachineKey, &'static [u8]>,
    applied: Index,
    applied_term: Term,
    data_bytes: u64,
    shared: Arc<Shared>,
}

impl Storage {
    /// Returns a view of the applied state. The call takes no time, however large the state is.
    ///
    /// # Errors
    ///
    /// If the disk fails.
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
        view().map_err(|error| self.shared.disk_error(error))
    }
}

impl View {
    /// Returns the index of the last applied entry.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// Returns the term of that entry.
    pub fn applied_term(&self) -> Term {
        self.applied_term
    }

    /// Returns the size of all keys and values, in bytes.
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// Returns all records: the clients, then the values in the order of their keys.
    ///
    /// # Errors
    ///
    /// If the disk fails; each record can fail in the same way.
    pub fn records(&self) -> Result<impl Iterator<Item = Result<Record, StorageError>>, StorageError> {
        let parts = self.table.iter().map_err(|error| self.shared.disk_error(error))?;
        Ok(parts.map(|part| {
            let (key, bytes) = part.map_err(|error| self.shared.disk_error(error))?;
            let unknown_record =
                || self.shared.disk_error("unknown kind of record: the file was damaged after it was opened");
            match key.value() {
                (CLIENT, client, 0) => {
                    let client = u64::from_be_bytes(client.try_into().map_err(|_| unknown_record())?);
                    let seq = u64::from_le_bytes(bytes.value().try_into().map_err(|_| unknown_record())?);
                    Ok(Record::Client { client, seq })
                }
                (VALUE, key, number) => {
                    let (key, bytes) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(bytes.value()));
                    Ok(Record::Piece { key, number, bytes })
                }
                _ => Err(unknown_record()),
            }
        }))
    }

    /// Writes all records durably to a new image file at `path`, for [`Storage::install`] here or on another server.
    ///
    /// # Errors
    ///
    /// If a disk fails. The file at `path` is then unusable.
    pub fn write_image(&self, path: &Path) -> Result<Image, StorageError> {
        let mut writer = Writer::create(path, self.applied, self.applied_term)?;
        for record in self.records()? {
            writer.write(&record?)?;
        }
        writer.finish()
    }
}
