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
    /// As [`Always`](SyncPolicy::Always), but with faults of the disk. For tests.
    Faulty(DiskFaults),
}

/// Faults of a disk, for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// The time that each sync takes longer.
    pub sync_delay: Duration,
    /// The number of the sync that fails, from 1; all later ones fail too. `None` for never.
    pub failing_sync: Option<u64>,
    /// The number of the write at which the disk is full, from 1. That write and all later ones write half of their
    /// bytes and fail. `None` for never.
    pub full_at_write: Option<u64>,
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
    /// The number of writes so far.
    pub(super) writes: AtomicU64,
}

impl Disk {
    fn faults(&self) -> DiskFaults {
        match self.sync {
            SyncPolicy::Faulty(faults) => faults,
            SyncPolicy::Always | SyncPolicy::Never => DiskFaults::default(),
        }
    }
}

/// Counts an operation. Returns whether it is the one with this number, or a later one.
fn has_reached(count: &AtomicU64, number: Option<u64>) -> bool {
    let count = count.fetch_add(1, Relaxed) + 1;
    number.is_some_and(|number| count >= number)
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
            SyncPolicy::Faulty(DiskFaults { sync_delay, failing_sync, .. }) => {
                thread::sleep(sync_delay);
                if has_reached(&self.syncs, failing_sync) {
                    Err(io::Error::other("the disk fails, as the test wants it"))
                } else {
                    self.file.sync_data()
                }
            }
        };
        synced.inspect_err(|_| sync_failure::record(&self.failure_marker))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if has_reached(&self.writes, self.faults().full_at_write) {
            self.file.write(offset, &data[..data.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(offset, data)
    }
}
