//! The file `ACKNOWLEDGED`: the number of durable commits that this directory has acknowledged.
//!
//! The engine keeps its last two commits, and a bit in its header says which one is the last. If that bit flips, or any
//! bit that the last commit wrote, the last commit looks like one that was in progress when the power failed. The
//! engine then correctly falls back to the commit before it. For Raft this may lose a vote. So each durable commit has
//! a number, and this file, which is unknown to the engine, has the number of the last acknowledged commit. A store
//! whose last commit has a lower number is refused.
//!
//! The number is written after the commit is synced, so it is never higher than the last durable commit. It is not
//! synced itself, because that would double the cost of a commit. After a process is killed the number is still exact,
//! because written data survives the process. Only a power failure can leave it some commits old. Then one kind of
//! damage goes undetected: damage to the very last commit before the next start. That takes two faults at once. Opening
//! updates the number and syncs it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::error::OpenError;
use super::private;

/// The name of the file.
pub(super) const FILE: &str = "ACKNOWLEDGED";

/// The number of the commit that creates a store.
pub(super) const FIRST_COMMIT: u64 = 1;

/// The size of a slot: a number and its checksum. Two slots are written alternately. They are a page apart, so that a
/// torn write damages only one of them.
const SLOT_BYTES: usize = 16;
const SLOT_DISTANCE: u64 = 4096;

/// The open file.
#[derive(Debug)]
pub(super) struct AcknowledgedFile {
    file: File,
}

impl AcknowledgedFile {
    /// Creates the file for a new store, and replaces an existing one.
    pub(super) fn create(dir: &Path) -> Result<AcknowledgedFile, OpenError> {
        let path = dir.join(FILE);
        let create = || {
            let file = private::options().read(true).write(true).create(true).truncate(true).open(&path)?;
            let mut new = AcknowledgedFile { file };
            new.write(FIRST_COMMIT - 1)?;
            new.write(FIRST_COMMIT)?;
            new.sync()?;
            Ok(new)
        };
        create().map_err(OpenError::unreadable(&path))
    }

    /// Opens the file and returns the highest number in it.
    pub(super) fn open(dir: &Path) -> Result<(AcknowledgedFile, u64), OpenError> {
        let path = dir.join(FILE);
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let mut file = match file {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::damaged(&path, "it is missing"));
            }
            file => file.map_err(OpenError::unreadable(&path))?,
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(OpenError::unreadable(&path))?;
        let slots = [0, SLOT_DISTANCE as usize];
        let numbers = slots.iter().filter_map(|&at| number(bytes.get(at..at + SLOT_BYTES)?));
        let Some(highest) = numbers.max() else {
            return Err(OpenError::damaged(&path, "the checksums of both its numbers are wrong"));
        };
        Ok((AcknowledgedFile { file }, highest))
    }

    /// Records that the commit with this number was acknowledged.
    pub(super) fn write(&mut self, commit: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start((commit % 2) * SLOT_DISTANCE))?;
        self.file.write_all(&slot(commit))
    }

    /// Syncs the recorded number.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn slot(commit: u64) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..8].copy_from_slice(&commit.to_le_bytes());
    bytes[8..].copy_from_slice(&checksum(commit).to_le_bytes());
    bytes
}

/// Returns the number in a slot; `None` if its checksum is wrong.
fn number(slot: &[u8]) -> Option<u64> {
    let (number, found) = slot.split_at(8);
    let number = u64::from_le_bytes(number.try_into().ok()?);
    (found == checksum(number).to_le_bytes()).then_some(number)
}

/// Returns the checksum of a number. It is not 0 for 0, so a zeroed slot is invalid.
fn checksum(commit: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(&commit.to_le_bytes(), 0x6b76)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_of_a_slot_is_detected() {
        for bit in 0..SLOT_BYTES * 8 {
            let mut bytes = slot(77);
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(number(&bytes), None, "bit {bit}");
        }
        assert_eq!(number(&slot(77)), Some(77));
        assert_eq!(number(&[0; SLOT_BYTES]), None);
    }
}
