//! The file under the engine.

use std::io;

use redb::StorageBackend;
use redb::backends::FileBackend;

/// Whether acknowledged writes outlive a power failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Each save returns when the disk has it.
    Always,
    /// Nothing is ever synced. What was acknowledged outlives the process, not the machine: for measurements, and for tests.
    Never,
}

/// A file that is synced when the engine says so, or never.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) file: FileBackend,
    pub(super) sync: Sync,
}

// Its locks are not the engine's affair: the whole directory has one (open.rs).
impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.sync {
            Sync::Always => self.file.sync_data(),
            Sync::Never => Ok(()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }
}
