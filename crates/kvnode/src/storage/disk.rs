//! The file that the engine reads and writes.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::sync_failure;

/// Whether acknowledged writes survive a power failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Each save returns when the disk has it.
    Always,
    /// Nothing is ever synced. Acknowledged writes survive the end of the process, but not a failure of the machine.
    /// For measurements and tests.
    Never,
    /// As [`Always`](SyncPolicy::Always), but each sync is slow, and one of them fails. For tests.
    Faulty {
        /// The time that each sync takes longer.
        delay: Duration,
        /// The number of the sync that fails, from 1; all later ones fail too.
        fails_at: u64,
    },
}

impl SyncPolicy {
    /// Returns whether a save waits for the disk.
    pub(super) fn waits(self) -> bool {
        self != SyncPolicy::Never
    }
}

/// A file that syncs when the engine asks for it, or never.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) file: FileBackend,
    pub(super) sync: SyncPolicy,
    /// The file that records a failed sync.
    pub(super) failure_marker: PathBuf,
    /// The number of syncs so far.
    pub(super) syncs: AtomicU64,
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
        let synced = match self.sync {
            SyncPolicy::Always => self.file.sync_data(),
            SyncPolicy::Never => Ok(()),
            SyncPolicy::Faulty { delay, fails_at } => {
                thread::sleep(delay);
                if self.syncs.fetch_add(1, Relaxed) + 1 < fails_at {
                    self.file.sync_data()
                } else {
                    Err(io::Error::other("the disk fails, as the test wants it"))
                }
            }
        };
        synced.inspect_err(|_| sync_failure::record(&self.failure_marker))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }
}
