//! The state of a state machine as a file that can be sent: an *image*.
//!
//! ```text
//! "kvimage1"  last included index  its term     8 bytes each
//! length      record                            4 bytes, then `length` bytes; once for each record
//! 0           number of records                 4 and 8 bytes
//! checksum    of everything before it           8 bytes: XXH3
//! ```
//!
//! Numbers are little endian, and `labgob` encodes the records. A file that ends early, has more bytes, or has a
//! flipped bit does not end with its checksum, and is refused.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use raftapi::{Index, Term};
use xxhash_rust::xxh3::Xxh3;

use super::StorageError;
use super::error::one_line;
use super::private;
use super::record::Record;

const TITLE: &[u8; 8] = b"kvimage1";
/// Title, index and term.
const HEADER_BYTES: u64 = 24;
const CHECKSUM_BYTES: u64 = 8;
/// The size of the read and write buffers.
const BUFFER_BYTES: usize = 64 << 10;

/// An image file whose checksum was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    path: PathBuf,
    last_included_index: Index,
    last_included_term: Term,
    bytes: u64,
}

impl Image {
    /// Reads the whole file at `path` and verifies its checksum.
    ///
    /// # Errors
    ///
    /// If the file differs from what was written, or cannot be read.
    pub fn check(path: &Path) -> Result<Image, StorageError> {
        let mut reader = Reader::open(path)?;
        while reader.next_record()?.is_some() {}
        let (last_included_index, last_included_term) = reader.position;
        Ok(Image { path: path.to_path_buf(), last_included_index, last_included_term, bytes: reader.length })
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the index of the last entry that the image includes.
    pub fn last_included_index(&self) -> Index {
        self.last_included_index
    }

    /// Returns the term of that entry.
    pub fn last_included_term(&self) -> Term {
        self.last_included_term
    }

    /// Returns the size of the file, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Writer of an image.
pub(super) struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    hash: Xxh3,
    position: (Index, Term),
    records: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

impl Writer {
    pub(super) fn create(path: &Path, index: Index, term: Term) -> Result<Writer, StorageError> {
        let file = private::create(path).map_err(|error| disk_error(path, error))?;
        let mut writer = Writer {
            path: path.to_path_buf(),
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            hash: Xxh3::new(),
            position: (index, term),
            records: 0,
            bytes: 0,
            buffer: Vec::new(),
        };
        writer.put(TITLE)?;
        writer.put(&index.0.to_le_bytes())?;
        writer.put(&term.0.to_le_bytes())?;
        Ok(writer)
    }

    pub(super) fn write(&mut self, record: &Record) -> Result<(), StorageError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        labgob::encode_into(record, &mut buffer);
        self.put(&(buffer.len() as u32).to_le_bytes())?;
        self.put(&buffer)?;
        self.buffer = buffer;
        self.records += 1;
        Ok(())
    }

    /// Completes the image and syncs it.
    pub(super) fn finish(mut self) -> Result<Image, StorageError> {
        self.put(&0_u32.to_le_bytes())?;
        self.put(&self.records.to_le_bytes())?;
        self.put(&self.hash.digest().to_le_bytes())?;
        let path = self.path;
        let file = self.file.into_inner().map_err(|error| disk_error(&path, error.error()))?;
        file.sync_all().map_err(|error| disk_error(&path, error))?;
        let (last_included_index, last_included_term) = self.position;
        Ok(Image { path, last_included_index, last_included_term, bytes: self.bytes })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|error| disk_error(&self.path, error))
    }
}

/// Reader of an image. Its records are valid only if the end is reached without an error.
pub(super) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    hash: Xxh3,
    position: (Index, Term),
    records: u64,
    /// The size of the file.
    length: u64,
    /// The bytes that are not read yet.
    remaining: u64,
    buffer: Vec<u8>,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Reader, StorageError> {
        let file = File::open(path).map_err(|error| disk_error(path, error))?;
        let length = file.metadata().map_err(|error| disk_error(path, error))?.len();
        let mut reader = Reader {
            path: path.to_path_buf(),
            file: BufReader::with_capacity(BUFFER_BYTES, file),
            hash: Xxh3::new(),
            position: (Index::ZERO, Term::ZERO),
            records: 0,
            length,
            remaining: length,
            buffer: Vec::new(),
        };
        if length < HEADER_BYTES || reader.array::<8>()? != *TITLE {
            return Err(reader.bad_image("it does not begin like an image"));
        }
        reader.position = (Index(reader.number()?), Term(reader.number()?));
        Ok(reader)
    }

    /// Returns the next record; `None` at the end, after the checksum was verified.
    pub(super) fn next_record(&mut self) -> Result<Option<Record>, StorageError> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        if length == 0 {
            return self.read_footer().map(|()| None);
        }
        // A damaged length must not allocate more memory than the file has bytes.
        if length as u64 > self.remaining {
            return Err(self.bad_image("it ends within a record"));
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(length, 0);
        self.fill(&mut buffer)?;
        let record = labgob::decode(&buffer).map_err(|error| self.bad_image(error))?;
        self.buffer = buffer;
        self.records += 1;
        Ok(Some(record))
    }

    fn read_footer(&mut self) -> Result<(), StorageError> {
        let records = self.number()?;
        if self.remaining != CHECKSUM_BYTES {
            return Err(self.bad_image("it has bytes after its end"));
        }
        let computed = self.hash.digest();
        if self.number()? != computed || records != self.records {
            return Err(self.bad_image("its checksum is wrong"));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<u64, StorageError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StorageError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StorageError> {
        match self.file.read_exact(bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.bad_image("it ends too early"));
            }
            Err(error) => return Err(disk_error(&self.path, error)),
        }
        self.remaining = self.remaining.saturating_sub(bytes.len() as u64);
        self.hash.update(bytes);
        Ok(())
    }

    fn bad_image(&self, what: impl std::fmt::Display) -> StorageError {
        StorageError::BadImage { path: self.path.clone(), what: one_line(what) }
    }
}

fn disk_error(path: &Path, error: impl std::fmt::Display) -> StorageError {
    StorageError::Disk { path: path.to_path_buf(), what: one_line(error) }
}
