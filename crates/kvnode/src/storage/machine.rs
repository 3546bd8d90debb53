//! The state machine on the disk: the map and the duplicate table. Commands act as in the lab's key/value service: Put
//! replaces, Append adds, and a repeated write is answered but not executed.
//!
//! A value is stored in pieces of [`PIECE_BYTES`] bytes, of which only the last may be shorter. So an Append to a long
//! value rewrites the last piece and not the whole value.

use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use raftapi::{Index, Term};
use redb::{Durability, ReadableTable, Table};

use super::tables::{APPLIED, CLIENT, DATA, MachineKey, STATE, VALUE, decode, encode};
use super::{Storage, StorageError};

/// The length of a piece of a value, in bytes. A page of the engine has 4096.
pub(super) const PIECE_BYTES: usize = 2048;

/// A command of a client, ready to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The random number that identifies the client.
    pub client: u64,
    /// The sequence number of the operation. A client begins an operation only after the reply to the one before.
    pub seq: u64,
    /// The operation to execute.
    pub operation: Operation,
}

/// An operation of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read the value of `key`.
    Get {
        /// The key.
        key: Bytes,
    },
    /// Replace the value of `key`.
    Put {
        /// The key.
        key: Bytes,
        /// The new value.
        value: Bytes,
    },
    /// Append to the value of `key`, or create it.
    Append {
        /// The key.
        key: Bytes,
        /// The bytes to append.
        value: Bytes,
    },
}

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The write is executed, now or earlier.
    Written,
    /// The value of the key.
    Value(Bytes),
    /// The key was never written.
    NoKey,
}

/// The open table of a state machine in a write transaction.
pub(super) type OpenMachineTable<'txn> = Table<'txn, MachineKey, &'static [u8]>;

impl Storage {
    /// Applies entries, the first of which is at `first`. Each entry has a term and any number of commands. The effects
    /// of the commands, the duplicate table and the applied index change in one transaction. Returns the result of each
    /// command.
    ///
    /// The transaction is not durable when the call returns, and need not be. The entries are durable, and a restarted
    /// server applies the entries that are not applied yet.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    ///
    /// # Panics
    ///
    /// If `first` does not follow the applied index.
    pub fn apply<C>(&self, first: Index, entries: &[(Term, C)]) -> Result<Vec<Outcome>, StorageError>
    where
        for<'a> &'a C: IntoIterator<Item = &'a Command>,
    {
        let Some((last_term, _)) = entries.last() else { return Ok(Vec::new()) };
        let last = first.0 + entries.len() as u64 - 1;
        let write = self.shared.begin(Durability::None)?;
        let fill = || -> Result<(Vec<Outcome>, u64), redb::Error> {
            let mut state = write.open_table(STATE)?;
            let [applied, _, mut data_bytes] = decode(&state, APPLIED)?.unwrap_or_default();
            assert_eq!(first.0, applied + 1, "the applied index is {applied}, but the first entry is at index {first}");
            let mut data = write.open_table(DATA)?;
            let mut outcomes = Vec::with_capacity(entries.len());
            for command in entries.iter().flat_map(|(_, commands)| commands) {
                outcomes.push(execute(&mut data, command, &mut data_bytes)?);
            }
            state.insert(APPLIED, encode([last, last_term.0, data_bytes]).as_slice())?;
            Ok((outcomes, data_bytes))
        };
        let (outcomes, data_bytes) = fill().map_err(|error| self.shared.disk_error(error))?;
        write.commit().map_err(|error| self.shared.disk_error(error))?;
        self.shared.data_bytes.store(data_bytes, Ordering::Relaxed);
        Ok(outcomes)
    }

    /// Returns the value of `key` in the applied state, or `None` if it was never written. The call does not wait for
    /// writers.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let read = self.shared.begin_read()?;
        let get = || -> Result<Option<Bytes>, redb::Error> { Ok(value(&read.open_table(DATA)?, key)?) };
        get().map_err(|error| self.shared.disk_error(error))
    }

    /// Returns the sequence number of the last applied write of `client`; 0 if there is none.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn last_seq(&self, client: u64) -> Result<u64, StorageError> {
        let read = self.shared.begin_read()?;
        let get = || -> Result<u64, redb::Error> { Ok(last_seq(&read.open_table(DATA)?, client)?) };
        get().map_err(|error| self.shared.disk_error(error))
    }
}

fn execute(
    data: &mut OpenMachineTable<'_>,
    command: &Command,
    data_bytes: &mut u64,
) -> Result<Outcome, redb::StorageError> {
    // A read changes nothing and is not recorded. It may be executed twice.
    if let Operation::Get { key } = &command.operation {
        return Ok(value(data, key)?.map_or(Outcome::NoKey, Outcome::Value));
    }
    if command.seq <= last_seq(data, command.client)? {
        return Ok(Outcome::Written);
    }
    set_last_seq(data, command.client, command.seq)?;
    match &command.operation {
        Operation::Get { .. } => {}
        Operation::Put { key, value } => put(data, key, value, data_bytes)?,
        Operation::Append { key, value } => append(data, key, value, data_bytes)?,
    }
    Ok(Outcome::Written)
}

/// Returns the sequence number of the client's last write. A later number implies that all earlier writes are done and
/// answered.
fn last_seq(data: &impl ReadableTable<MachineKey, &'static [u8]>, client: u64) -> Result<u64, redb::StorageError> {
    let seq = data.get((CLIENT, &client.to_be_bytes()[..], 0))?;
    Ok(seq.and_then(|seq| Some(u64::from_le_bytes(seq.value().try_into().ok()?))).unwrap_or(0))
}

pub(super) fn set_last_seq(data: &mut OpenMachineTable<'_>, client: u64, seq: u64) -> Result<(), redb::StorageError> {
    data.insert((CLIENT, &client.to_be_bytes()[..], 0), &seq.to_le_bytes()[..])?;
    Ok(())
}

fn value(
    data: &impl ReadableTable<MachineKey, &'static [u8]>,
    key: &[u8],
) -> Result<Option<Bytes>, redb::StorageError> {
    let mut pieces = data.range((VALUE, key, 0)..=(VALUE, key, u32::MAX))?;
    let Some(first) = pieces.next() else { return Ok(None) };
    let first = first?.1;
    if first.value().len() < PIECE_BYTES {
        return Ok(Some(Bytes::copy_from_slice(first.value())));
    }
    let mut value = BytesMut::from(first.value());
    for piece in pieces {
        value.extend_from_slice(piece?.1.value());
    }
    Ok(Some(value.freeze()))
}

fn put(
    data: &mut OpenMachineTable<'_>,
    key: &[u8],
    value: &[u8],
    data_bytes: &mut u64,
) -> Result<(), redb::StorageError> {
    let before = last_piece(data, key)?;
    let pieces = value.len().div_ceil(PIECE_BYTES).max(1);
    for (number, piece) in (0..).zip(pieces_of(value)) {
        data.insert((VALUE, key, number), piece)?;
    }
    if let Some((last, bytes)) = before {
        for number in pieces as u32..=last {
            data.remove((VALUE, key, number))?;
        }
        *data_bytes -= u64::from(last) * PIECE_BYTES as u64 + bytes.len() as u64;
    } else {
        *data_bytes += key.len() as u64;
    }
    *data_bytes += value.len() as u64;
    Ok(())
}

fn append(
    data: &mut OpenMachineTable<'_>,
    key: &[u8],
    value: &[u8],
    data_bytes: &mut u64,
) -> Result<(), redb::StorageError> {
    let Some((mut number, mut last)) = last_piece(data, key)? else { return put(data, key, value, data_bytes) };
    if last.len() == PIECE_BYTES {
        (number, last) = (number + 1, Vec::new());
        if value.is_empty() {
            return Ok(());
        }
    }
    *data_bytes += value.len() as u64;
    last.extend_from_slice(value);
    for (number, piece) in (number..).zip(pieces_of(&last)) {
        data.insert((VALUE, key, number), piece)?;
    }
    Ok(())
}

/// Splits a value into pieces. A value has at least one piece, because otherwise an empty value would look like a
/// missing one.
fn pieces_of(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.chunks(PIECE_BYTES).chain(value.is_empty().then_some(value))
}

/// Returns the last piece of a value and its number.
fn last_piece(data: &OpenMachineTable<'_>, key: &[u8]) -> Result<Option<(u32, Vec<u8>)>, redb::StorageError> {
    let last = data.range((VALUE, key, 0)..=(VALUE, key, u32::MAX))?.next_back().transpose()?;
    Ok(last.map(|(key, piece)| (key.value().2, piece.value().to_vec())))
}
