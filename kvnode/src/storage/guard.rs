//! The file `ACKNOWLEDGED`: how many durable commits this directory has acknowledged.
//!
//! The engine keeps two commits, the last and the one before, and which is the last is a bit in its header. A flipped bit
//! there, or anywhere in what the last commit wrote, looks to it like a commit that was under way when the power failed:
//! it goes back to the one before, in good faith. To a Raft that may be a forgotten vote. So each durable commit has a
//! number, and this file, which the engine does not know of, has the number of the last one that was acknowledged: a
//! store that comes back with less is refused.
//!
//! The number is written after the commit was synced, so it is never ahead of what is durable, and it is not synced itself,
//! because that would double the price of a commit. A process that is killed leaves it exact all the same: what was written
//! outlives the process. Only a power failure may leave it some commits old, and then only damage to the very last commit,
//! done before the next start, goes unseen: two faults at once. Opening brings it up to date, and syncs it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::error::OpenError;

/// Its name in the directory.
pub(super) const FILE: &str = "ACKNOWLEDGED";

/// The number of the commit that makes a store.
pub(super) const FIRST_COMMIT: u64 = 1;

/// A number and its checksum. Two slots are written in turns, a page apart, so that a torn write costs one of them.
const SLOT_BYTES: usize = 16;
const SLOT_DISTANCE: u64 = 4096;

/// The open file.
#[derive(Debug)]
pub(super) struct Guard {
    file: File,
}

impl Guard {
    /// A new file, in place of any other, for a new store.
    pub(super) fn create(dir: &Path) -> Result<Guard, OpenError> {
        let path = dir.join(FILE);
        let create = || {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
            let mut guard = Guard { file };
            guard.write(FIRST_COMMIT - 1)?;
            guard.write(FIRST_COMMIT)?;
            guard.sync()?;
            Ok(guard)
        };
        create().map_err(OpenError::unreadable(&path))
    }

    /// Opens the file, and reads the highest number in it.
    pub(super) fn open(dir: &Path) -> Result<(Guard, u64), OpenError> {
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
            return Err(OpenError::damaged(&path, "neither of its numbers has its checksum"));
        };
        Ok((Guard { file }, highest))
    }

    /// Notes that the commit with this number was acknowledged.
    pub(super) fn write(&mut self, commit: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start((commit % 2) * SLOT_DISTANCE))?;
        self.file.write_all(&slot(commit))
    }

    /// Makes what was noted durable.
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

/// The number in a slot, if it is whole.
fn number(slot: &[u8]) -> Option<u64> {
    let (number, found) = slot.split_at(8);
    let number = u64::from_le_bytes(number.try_into().ok()?);
    (found == checksum(number).to_le_bytes()).then_some(number)
}

/// Not zero for zero: a slot that was zeroed is no slot.
fn checksum(commit: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(&commit.to_le_bytes(), 0x6b76)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_of_a_slot_is_seen() {
        for bit in 0..SLOT_BYTES * 8 {
            let mut bytes = slot(77);
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(number(&bytes), None, "bit {bit}");
        }
        assert_eq!(number(&slot(77)), Some(77));
        assert_eq!(number(&[0; SLOT_BYTES]), None);
    }
}
