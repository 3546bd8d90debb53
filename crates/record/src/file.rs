//! The file format of a record, which [`Recorder::write`](crate::Recorder::write) writes and [`read`] reads.
//!
//! | part   | content |
//! |--------|---------|
//! | head   | the 8 bytes `\x89LABREC\n`, then the version as a `u16` |
//! | pieces | for each: its length in bytes, not 0, as a `u32`; then whole events in a row, encoded by `labgob` |
//! | end    | the length 0 as a `u32` |
//! | totals | three `u64`: the events recorded, the events not kept, the hash over the encoding of all |
//! | hash   | the xxh3-64 over the whole file before it, as a `u64` |
//!
//! Numbers are little-endian. A file is written and read from front to back, so that both ends may be pipes. The first
//! byte is not valid text, and the last of the eight is a line break: a transfer that takes the file for text breaks it
//! at once.
//!
//! The hash at the end of the file detects every accident. It does not protect against a forged file, so [`read`]
//! trusts nothing: it decodes each event before it returns, and allocates no more memory than the input backs.

use std::{
    fmt,
    io::{self, Read, Write},
};

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3Default;

use crate::EventKind;
use crate::decode::{Events, decode_next_event};

/// The first bytes of every record.
const MAGIC: [u8; 8] = *b"\x89LABREC\n";

/// The version of the format. It changes whenever an older record would be misread: with the layout of the file, and
/// with any change of [`Event`](crate::Event) except a new kind after the last.
const VERSION: u16 = 1;

/// A record that was read from a file.
#[derive(Clone, Debug)]
pub struct StoredRecord {
    /// Whole events, each of which has been decoded once.
    pieces: Vec<Bytes>,
    summary: Summary,
}

/// The totals of a stream, which include the events that were not kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) len: u64,
    pub(crate) omitted: u64,
    pub(crate) hash: u64,
}

impl StoredRecord {
    /// Returns the events, in order.
    pub fn events(&self) -> Events {
        Events::new(self.pieces.clone())
    }

    /// Returns how many events were recorded, including those that were not kept.
    pub fn len(&self) -> u64 {
        self.summary.len
    }

    /// Returns whether no event was recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many events were counted and hashed but not kept, as
    /// [`Recorder::omitted`](crate::Recorder::omitted).
    pub fn omitted(&self) -> u64 {
        self.summary.omitted
    }

    /// Returns the hash over all events, as [`Recorder::hash`](crate::Recorder::hash).
    pub fn hash(&self) -> u64 {
        self.summary.hash
    }
}

/// The reason why a file cannot be read. The text is one line for people.
#[derive(Debug)]
pub enum ReadError {
    /// The input failed.
    Input(io::Error),
    /// The file is not a record.
    NotARecord,
    /// The file is a record of another version of the format, this one.
    UnsupportedVersion(u16),
    /// The file begins as a record and ends too early.
    Truncated,
    /// The file differs from what was written.
    Damaged,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Input(error) => error.fmt(f),
            ReadError::NotARecord => f.write_str("it is not a record of a run"),
            ReadError::UnsupportedVersion(version) => {
                write!(f, "it is a record of version {version}, and this program reads version {VERSION}")
            }
            ReadError::Truncated => {
                f.write_str("the record ends in the middle: the end of the file is missing or damaged")
            }
            ReadError::Damaged => f.write_str("the record is damaged: it differs from what was written"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReadError::Input(error) => Some(error),
            _ => None,
        }
    }
}

/// Writes the pieces of a stream as a file.
pub(crate) fn write(pieces: &[Bytes], summary: Summary, out: &mut impl Write) -> io::Result<()> {
    let mut out = HashingIo { inner: out, hash: Xxh3Default::new() };
    out.put(&MAGIC)?;
    out.put(&VERSION.to_le_bytes())?;
    for piece in pieces {
        // A piece holds a few events, and no event is longer than 64 MiB.
        let length = u32::try_from(piece.len()).map_err(io::Error::other)?;
        out.put(&length.to_le_bytes())?;
        out.put(piece)?;
    }
    out.put(&0u32.to_le_bytes())?;
    for number in [summary.len, summary.omitted, summary.hash] {
        out.put(&number.to_le_bytes())?;
    }
    let hash = out.hash.digest();
    out.put(&hash.to_le_bytes())?;
    out.inner.flush()
}

/// Reads a record to its end, and checks it. The input is read in large and in small pieces. If each read of it is a
/// system call, wrap it in a [`BufReader`](io::BufReader).
///
/// # Errors
///
/// If the input fails, or is not a whole and undamaged record of this version.
pub fn read(input: impl Read) -> Result<StoredRecord, ReadError> {
    let mut input = HashingIo { inner: input, hash: Xxh3Default::new() };
    input.expect_magic()?;
    let version = u16::from_le_bytes(input.take()?);
    if version != VERSION {
        return Err(ReadError::UnsupportedVersion(version));
    }
    let mut pieces = Vec::new();
    loop {
        match u32::from_le_bytes(input.take()?) {
            0 => break,
            length => pieces.push(Bytes::from(input.take_piece(length as usize)?)),
        }
    }
    let mut number = || Ok::<u64, ReadError>(u64::from_le_bytes(input.take()?));
    let summary = Summary { len: number()?, omitted: number()?, hash: number()? };
    let hash = input.hash.digest();
    if u64::from_le_bytes(input.take()?) != hash || !input.is_at_end()? {
        return Err(ReadError::Damaged);
    }
    check_events(&pieces, summary)?;
    Ok(StoredRecord { pieces, summary })
}

/// Checks that each piece is whole events, in the order of their times, and that all kept events are there.
fn check_events(pieces: &[Bytes], summary: Summary) -> Result<(), ReadError> {
    let (mut kept, mut windows, mut latest) = (0u64, 0, 0);
    for mut piece in pieces.iter().cloned() {
        while !piece.is_empty() {
            let event = decode_next_event(&mut piece).map_err(|_| ReadError::Damaged)?;
            if event.at < latest {
                return Err(ReadError::Damaged);
            }
            latest = event.at;
            match event.kind {
                // The recorder added this event when it omitted calls, and did not count it.
                EventKind::CallsOmitted { .. } => windows += 1,
                _ => kept += 1,
            }
        }
    }
    // The recorder counts such an event only if a caller recorded it like any other event.
    let possible = kept..=kept + windows;
    let all_there = summary.len.checked_sub(summary.omitted).is_some_and(|kept| possible.contains(&kept));
    if all_there && (summary.omitted == 0 || windows > 0) { Ok(()) } else { Err(ReadError::Damaged) }
}

/// A reader or writer that hashes all bytes that pass through it.
struct HashingIo<T> {
    inner: T,
    hash: Xxh3Default,
}

impl<W: Write> HashingIo<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<R: Read> HashingIo<R> {
    fn expect_magic(&mut self) -> Result<(), ReadError> {
        let found = self.take_up_to(MAGIC.len())?;
        match found.len() {
            8 if found == MAGIC => Ok(()),
            1..8 if MAGIC.starts_with(&found) => Err(ReadError::Truncated),
            _ => Err(ReadError::NotARecord),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes).map_err(ReadError::from)?;
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn take_piece(&mut self, length: usize) -> Result<Vec<u8>, ReadError> {
        let bytes = self.take_up_to(length)?;
        if bytes.len() < length { Err(ReadError::Truncated) } else { Ok(bytes) }
    }

    /// Reads as many bytes as there are, at most `length`. The memory grows with the bytes that have been read, not
    /// with `length`.
    fn take_up_to(&mut self, length: usize) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        self.inner.by_ref().take(length as u64).read_to_end(&mut bytes).map_err(ReadError::Input)?;
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn is_at_end(&mut self) -> Result<bool, ReadError> {
        Ok(self.take_up_to(1)?.is_empty())
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::Truncated,
            _ => ReadError::Input(error),
        }
    }
}
