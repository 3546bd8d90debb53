//! The state of a server process on its disk: the term and the vote, the log, and the key/value state. It stays correct
//! when the process, the machine or the disk fails. `docs/storage.md` describes the layout and the guarantees.
//!
//! | topic | file |
//! |---|---|
//! | identity: the owner of a directory | `identity.rs` |
//! | membership: the cluster and the other servers' directories | `membership.rs` |
//! | opening: the lock, the checks, the restored state | `open.rs` |
//! | the tables and their encodings | `tables.rs` |
//! | saving before a reply; compaction | `log.rs` |
//! | applying exactly once; reading | `machine.rs` |
//! | a view that stays unchanged while writers continue, and the records that it reads | `view.rs`, `record.rs` |
//! | a state as a file to send, and its installation on another server | `image.rs`, `install.rs` |
//! | deletion in the background | `sweeper.rs` |
//! | a new directory from a backup | `restore.rs` |
//! | files that only their owner can read | `private.rs` |
//! | reading the disk after a failed sync | `sync_failure.rs` |
//! | detecting the loss of an acknowledged commit | `acknowledged.rs` |
//!
//! # Two kinds of transactions
//!
//! One file of one engine (`redb`, a copy-on-write B-tree) holds everything. Its transactions are atomic and totally
//! ordered. State that other servers may rely on (term, vote, entries, an installed snapshot) is committed *durably*:
//! the call returns when the disk has it. State that can be derived from it (applied entries, the base of a compacted
//! log, deletions) is committed without waiting, and becomes durable with the next durable commit. After a crash the
//! store is in the state after one of the transactions: it has everything up to this transaction and nothing after it.
//! So a crash can undo the application of entries as a whole, never in part, and these entries are applied again.

mod acknowledged;
mod disk;
mod error;
mod identity;
mod image;
mod install;
mod log;
mod machine;
mod membership;
mod open;
pub(crate) mod private;
mod record;
mod restore;
mod sweeper;
mod sync_failure;
mod tables;
mod view;

#[cfg(test)]
mod power_failure;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use raftapi::ServerId;
use redb::{Database, Durability, ReadableDatabase};

pub use self::disk::{DiskFaults, SyncPolicy};
pub use self::error::{OpenError, StorageError};
pub use self::identity::Identity;
pub use self::image::Image;
pub use self::log::Tail;
pub use self::machine::{Command, Operation, Outcome};
pub use self::membership::{Incarnation, Membership, PeerRecord, Standing};
pub use self::open::Restored;
pub use self::record::Record;
pub use self::restore::restore;
pub use self::view::View;

use self::acknowledged::AcknowledgedFile;
use self::error::one_line;
use self::log::LogExtent;
use self::sweeper::Sweeper;
use self::tables::{COMMIT, PEER_SAVES, STATE};

/// The open storage of one server. Clones are handles to the same storage, and dropping the last one closes it.
///
/// All methods may be called from any thread. Writers wait for each other, for as long as a sync takes while one of
/// them saves. Readers do not wait.
#[derive(Clone)]
pub struct Storage {
    // Fields are dropped in this order: the sweeper's thread ends before the store is closed.
    sweeper: Arc<Sweeper>,
    shared: Arc<Shared>,
}

/// The state that all handles share.
struct Shared {
    db: Database,
    /// The engine's file, for messages.
    path: PathBuf,
    /// The number by which the operating system knows that file.
    file_id: FileId,
    sync: SyncPolicy,
    /// State that changes only with a durable commit or with the log. A writer of the log holds the lock throughout.
    writer: Mutex<WriterState>,
    /// The size of all keys and values, in bytes.
    data_bytes: AtomicU64,
    /// Unlocked last.
    _lock: DirectoryLock,
}

/// The locked lock file of the directory. The operating system unlocks it when the process ends, however it ends.
struct DirectoryLock(File);

/// The counter of durable commits, and the extent of the log.
struct WriterState {
    acknowledged_file: AcknowledgedFile,
    /// The number of the last durable commit.
    commit: u64,
    /// Whether a durable commit has failed. It is then unknown whether the disk has it, and every later write fails.
    failed: bool,
    extent: LogExtent,
    /// The numbers of durable commits of other servers that are not saved yet.
    peer_saves: BTreeMap<ServerId, u64>,
    /// All known numbers of durable commits of other servers.
    known_peer_saves: BTreeMap<ServerId, u64>,
}

impl Storage {
    /// Returns the size of the log entries after the base, in bytes: the space that compaction could free.
    pub fn log_bytes(&self) -> u64 {
        self.shared.writer.lock().extent.bytes()
    }

    /// Returns the size of all keys and values, in bytes.
    pub fn data_bytes(&self) -> u64 {
        self.shared.data_bytes.load(Ordering::Relaxed)
    }

    /// Checks that the data directory is still where it was opened.
    ///
    /// # Errors
    ///
    /// If it was removed or replaced.
    pub fn check_present(&self) -> Result<(), StorageError> {
        self.shared.check_present()
    }

    /// Makes all earlier transactions durable. Closing the storage does so too.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn flush(&self) -> Result<(), StorageError> {
        let mut writer = self.shared.writer.lock();
        let write = self.shared.begin(Durability::Immediate)?;
        self.shared.commit_durably(&mut writer, write)
    }
}

impl Shared {
    fn begin(&self, durability: Durability) -> Result<redb::WriteTransaction, StorageError> {
        let mut write = self.db.begin_write().map_err(|error| self.disk_error(error))?;
        write.set_durability(durability).map_err(|error| self.disk_error(error))?;
        Ok(write)
    }

    fn begin_read(&self) -> Result<redb::ReadTransaction, StorageError> {
        self.db.begin_read().map_err(|error| self.disk_error(error))
    }

    /// Commits durably with the next commit number, and records the commit as acknowledged.
    fn commit_durably(&self, writer: &mut WriterState, write: redb::WriteTransaction) -> Result<(), StorageError> {
        if writer.failed {
            return Err(self.disk_error("an earlier write failed"));
        }
        writer.failed = true;
        let commit = writer.commit + 1;
        let new_peer_saves = std::mem::take(&mut writer.peer_saves);
        writer.known_peer_saves.extend(&new_peer_saves);
        let number = |write: &redb::WriteTransaction| -> Result<(), redb::Error> {
            let mut state = write.open_table(STATE)?;
            state.insert(COMMIT, &commit.to_le_bytes()[..])?;
            if !new_peer_saves.is_empty() {
                state.insert(PEER_SAVES, &labgob::encode(&writer.known_peer_saves)[..])?;
            }
            Ok(())
        };
        number(&write).map_err(|error| self.disk_error(error))?;
        write.commit().map_err(|error| self.disk_error(error))?;
        // A file without a name is lost when the process ends, whatever was synced.
        self.check_present()?;
        writer.acknowledged_file.write(commit).map_err(|error| self.disk_error(error))?;
        writer.commit = commit;
        writer.failed = false;
        Ok(())
    }

    fn check_present(&self) -> Result<(), StorageError> {
        let is_there = file_id(&self.path).is_ok_and(|found| found == self.file_id);
        if is_there { Ok(()) } else { Err(StorageError::Gone { path: self.path.clone() }) }
    }

    /// Turns an error of the engine into one line with the file's name.
    fn disk_error(&self, error: impl std::fmt::Display) -> StorageError {
        StorageError::Disk { path: self.path.clone(), what: one_line(error) }
    }
}

/// The number of a file in its file system; nothing on systems without such numbers.
type FileId = Option<(u64, u64)>;

/// Returns the number of the file at `path`.
fn file_id(path: &Path) -> io::Result<FileId> {
    let metadata = std::fs::metadata(path)?;
    #[cfg(unix)]
    return Ok(Some((std::os::unix::fs::MetadataExt::dev(&metadata), std::os::unix::fs::MetadataExt::ino(&metadata))));
    #[cfg(not(unix))]
    return Ok(metadata.is_file().then_some((0, 0)));
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing the file is not enough, because a child process may have inherited it.
        let _ = self.0.unlock();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.sync.waits()
            && let Err(error) = self.writer.get_mut().acknowledged_file.sync()
        {
            ::log::warn!("{}: {error}", self.path.display());
        }
    }
}
