//! The state machine: the map and the duplicate table, on the disk. What a command does is what it does in the lab's
//! key/value service: Put replaces, Append adds, a write that comes again is answered and not executed.
//!
//! A value is kept in pieces of [`PIECE`] bytes, all full but the last, so that an Append to a long value rewrites the last
//! piece and not the value.

use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use raftapi::{Index, Term};
use redb::{Durability, ReadableTable, Table};

use super::tables::{APPLIED, CLIENT, DATA, MachineKey, STATE, VALUE, decode, encode};
use super::{Storage, StorageError};

/// The length of a piece of a value, in bytes. A page of the engine has 4096.
pub(super) const PIECE: usize = 2048;

/// A command of a client, as it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The client, by the number that it drew for itself.
    pub client: u64,
    /// The number of its operation. It begins one only when it has an answer to the one before.
    pub seq: u64,
    /// What is to be done.
    pub operation: Operation,
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The value of `key`.
    Get {
        /// Whose value.
        key: Bytes,
    },
    /// Replace the value of `key`.
    Put {
        /// Whose value.
        key: Bytes,
        /// What it becomes.
        value: Bytes,
    },
    /// Add to the value of `key`, or begin one.
    Append {
        /// Whose value.
        key: Bytes,
        /// What is added at its end.
        value: Bytes,
    },
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The write is done, now or before.
    Written,
    /// The value of the key.
    Value(Bytes),
    /// The key was never written.
    NoKey,
}

/// The table of a state machine, within a transaction that writes.
pub(super) type Machine<'txn> = Table<'txn, MachineKey, &'static [u8]>;

impl Storage {
    /// Applies entries, of which the first is at `first`: for each its term, and the commands in it, if it has some. Their
    /// effects, the duplicate table and the applied index change in one step. Returns what the client of each command is to
    /// be told.
    ///
    /// This is not durable when it returns, and need not be: the entries are, and a server that starts again applies
    /// those that it finds not applied.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    ///
    /// # Panics
    ///
    /// If `first` is not the entry that follows on what is applied.
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
            assert_eq!(first.0, applied + 1, "entries up to index {applied} are applied, and index {first} was given");
            let mut data = write.open_table(DATA)?;
            let mut outcomes = Vec::with_capacity(entries.len());
            for command in entries.iter().flat_map(|(_, commands)| commands) {
                outcomes.push(execute(&mut data, command, &mut data_bytes)?);
            }
            state.insert(APPLIED, encode([last, last_term.0, data_bytes]).as_slice())?;
            Ok((outcomes, data_bytes))
        };
        let (outcomes, data_bytes) = fill().map_err(|error| self.shared.failed(error))?;
        write.commit().map_err(|error| self.shared.failed(error))?;
        self.shared.data_bytes.store(data_bytes, Ordering::Relaxed);
        Ok(outcomes)
    }

    /// The value of `key` in what is applied, or `None` if it was never written. Waits for nobody.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let read = self.shared.begin_read()?;
        let get = || -> Result<Option<Bytes>, redb::Error> { Ok(value(&read.open_table(DATA)?, key)?) };
        get().map_err(|error| self.shared.failed(error))
    }

    /// The number of the last write of `client` that is applied; 0 if there is none.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn last_seq(&self, client: u64) -> Result<u64, StorageError> {
        let read = self.shared.begin_read()?;
        let get = || -> Result<u64, redb::Error> { Ok(last_seq(&read.open_table(DATA)?, client)?) };
        get().map_err(|error| self.shared.failed(error))
    }
}

fn execute(data: &mut Machine<'_>, command: &Command, data_bytes: &mut u64) -> Result<Outcome, redb::StorageError> {
    // A read changes nothing and is not remembered: it may be executed twice.
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

/// The number of the client's last write. A later one says that all before it are done and answered.
fn last_seq(data: &impl ReadableTable<MachineKey, &'static [u8]>, client: u64) -> Result<u64, redb::StorageError> {
    let seq = data.get((CLIENT, &client.to_be_bytes()[..], 0))?;
    Ok(seq.and_then(|seq| Some(u64::from_le_bytes(seq.value().try_into().ok()?))).unwrap_or(0))
}

pub(super) fn set_last_seq(data: &mut Machine<'_>, client: u64, seq: u64) -> Result<(), redb::StorageError> {
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
    if first.value().len() < PIECE {
        return Ok(Some(Bytes::copy_from_slice(first.value())));
    }
    let mut value = BytesMut::from(first.value());
    for piece in pieces {
        value.extend_from_slice(piece?.1.value());
    }
    Ok(Some(value.freeze()))
}

fn put(data: &mut Machine<'_>, key: &[u8], value: &[u8], data_bytes: &mut u64) -> Result<(), redb::StorageError> {
    let before = last_piece(data, key)?;
    let pieces = value.len().div_ceil(PIECE).max(1);
    for (number, piece) in (0..).zip(pieces_of(value)) {
        data.insert((VALUE, key, number), piece)?;
    }
    if let Some((last, bytes)) = before {
        for number in pieces as u32..=last {
            data.remove((VALUE, key, number))?;
        }
        *data_bytes -= u64::from(last) * PIECE as u64 + bytes.len() as u64;
    } else {
        *data_bytes += key.len() as u64;
    }
    *data_bytes += value.len() as u64;
    Ok(())
}

fn append(data: &mut Machine<'_>, key: &[u8], value: &[u8], data_bytes: &mut u64) -> Result<(), redb::StorageError> {
    let Some((mut number, mut last)) = last_piece(data, key)? else { return put(data, key, value, data_bytes) };
    if last.len() == PIECE {
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

/// A value is at least one piece: otherwise an empty one could not be told from none.
fn pieces_of(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.chunks(PIECE).chain(value.is_empty().then_some(value))
}

/// The last piece of a value and its number.
fn last_piece(data: &Machine<'_>, key: &[u8]) -> Result<Option<(u32, Vec<u8>)>, redb::StorageError> {
    let last = data.range((VALUE, key, 0)..=(VALUE, key, u32::MAX))?.next_back().transpose()?;
    Ok(last.map(|(place, piece)| (place.value().2, piece.value().to_vec())))
}
