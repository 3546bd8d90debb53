//! What a server process keeps on its disk: the term and the vote, the log, the key/value state, and how they stay right
//! when the process, the machine or the disk fails. `docs/storage.md` has the layout and the promises.
//!
//! | you want to see | read |
//! |---|---|
//! | whose directory it is | `identity.rs` |
//! | opening: the lock, the checks, what is restored | `open.rs` |
//! | the tables, and how facts are written in them | `tables.rs` |
//! | saving before anybody is answered; compaction | `log.rs` |
//! | applying, exactly once; reading | `machine.rs` |
//! | a view that stays as it is while writing goes on | `view.rs` |
//! | a state as a file that can be sent, and put in place of this server's own | `image.rs`, `install.rs` |
//! | what is deleted later, by a thread of its own | `sweeper.rs` |
//! | why a commit that was acknowledged cannot be forgotten unnoticed | `guard.rs` |
//!
//! # Two kinds of transactions
//!
//! Everything is in one file of one engine (`redb`, a copy-on-write B-tree), whose transactions are atomic and follow each
//! other in one order. What others may rely on (term, vote, entries, an installed snapshot) is committed *durably*: the call
//! returns when the disk has it. What can be made again from that (applied entries, the base of a compacted log,
//! deletions) is committed without waiting, and becomes durable with the next durable commit. After a crash the store is
//! as it was after one of the transactions, with everything before it and nothing after it. So a crash can take back
//! that entries were applied, and then they are applied again; it cannot take back half of it.

mod disk;
mod error;
mod guard;
mod identity;
mod image;
mod install;
mod log;
mod machine;
mod open;
mod sweeper;
mod tables;
mod view;

#[cfg(test)]
mod power;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use redb::{Database, Durability, ReadableDatabase};

pub use self::disk::Sync;
pub use self::error::{OpenError, StorageError};
pub use self::identity::Identity;
pub use self::image::Image;
pub use self::log::Tail;
pub use self::machine::{Command, Operation, Outcome};
pub use self::open::Restored;
pub use self::view::{Record, View};

use self::error::one_line;
use self::guard::Guard;
use self::log::Extent;
use self::sweeper::Sweeper;
use self::tables::{COMMIT, STATE};

/// The storage of one server, open. Clones are handles of the same; when the last one is gone, it is closed.
///
/// All methods may be called from any thread. Writers wait for each other (for as long as a sync takes, while one saves);
/// readers wait for nobody.
#[derive(Clone)]
pub struct Storage {
    // The order matters: its thread has ended before the store is closed.
    sweeper: Arc<Sweeper>,
    shared: Arc<Shared>,
}

/// What all handles share.
struct Shared {
    db: Database,
    /// The file of the engine, for messages.
    path: PathBuf,
    sync: Sync,
    /// What only changes with a durable commit or with the log. Who changes the log holds it throughout.
    ledger: Mutex<Ledger>,
    /// The bytes of all keys and values.
    data_bytes: AtomicU64,
    /// Let go of last.
    _lock: Lock,
}

/// The lock file of the directory, locked. The operating system lets go of it when the process ends, however it ends.
struct Lock(File);

/// Durable commits are counted, and the log is measured.
struct Ledger {
    guard: Guard,
    /// The number of the last durable commit.
    commit: u64,
    /// Whether a durable commit has failed: whether the disk has it is then unknown, and nothing more is promised.
    failed: bool,
    extent: Extent,
}

impl Storage {
    /// The bytes of the log's entries, those behind the base: what compaction could win.
    pub fn log_bytes(&self) -> u64 {
        self.shared.ledger.lock().extent.bytes()
    }

    /// The bytes of all keys and values.
    pub fn data_bytes(&self) -> u64 {
        self.shared.data_bytes.load(Ordering::Relaxed)
    }

    /// Makes everything durable that was done so far. Closing does so too.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn flush(&self) -> Result<(), StorageError> {
        let mut ledger = self.shared.ledger.lock();
        let write = self.shared.begin(Durability::Immediate)?;
        self.shared.commit_durably(&mut ledger, write)
    }
}

impl Shared {
    fn begin(&self, durability: Durability) -> Result<redb::WriteTransaction, StorageError> {
        let mut write = self.db.begin_write().map_err(|error| self.failed(error))?;
        write.set_durability(durability).map_err(|error| self.failed(error))?;
        Ok(write)
    }

    fn begin_read(&self) -> Result<redb::ReadTransaction, StorageError> {
        self.db.begin_read().map_err(|error| self.failed(error))
    }

    /// Commits and gives the commit its number; notes it as acknowledged.
    fn commit_durably(&self, ledger: &mut Ledger, write: redb::WriteTransaction) -> Result<(), StorageError> {
        if ledger.failed {
            return Err(self.failed("an earlier write failed"));
        }
        ledger.failed = true;
        let commit = ledger.commit + 1;
        let number = |write: &redb::WriteTransaction| -> Result<(), redb::Error> {
            write.open_table(STATE)?.insert(COMMIT, &commit.to_le_bytes()[..])?;
            Ok(())
        };
        number(&write).map_err(|error| self.failed(error))?;
        write.commit().map_err(|error| self.failed(error))?;
        ledger.guard.write(commit).map_err(|error| self.failed(error))?;
        ledger.commit = commit;
        ledger.failed = false;
        Ok(())
    }

    /// What the engine says, in one line and with the file's name.
    fn failed(&self, error: impl std::fmt::Display) -> StorageError {
        StorageError::Disk { path: self.path.clone(), what: one_line(error) }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would not do if a process that was started meanwhile has inherited it.
        let _ = self.0.unlock();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.sync == Sync::Always
            && let Err(error) = self.ledger.get_mut().guard.sync()
        {
            ::log::warn!("{}: {error}", self.path.display());
        }
    }
}
