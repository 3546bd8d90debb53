//! The file that the engine reads and writes.

use std::io;

use redb::StorageBackend;
use redb::backends::FileBackend;

/// Whether acknowledged writes survive a power failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Each save returns when the disk has it.
    Always,
    /// Nothing is ever synced. Acknowledged writes survive the end of the process, but not a failure of the machine.
    /// For measurements and tests.
    Never,
}

/// A file that syncs when the engine asks for it, or never.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) file: FileBackend,
    pub(super) sync: SyncPolicy,
}

// The engine's file locks are not needed, because the whole directory has one (open.rs).
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
            SyncPolicy::Always => self.file.sync_data(),
            SyncPolicy::Never => Ok(()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }
}
