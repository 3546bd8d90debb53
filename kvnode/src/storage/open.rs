//! Opening a data directory: it is locked, checked as a whole, and what a Raft starts with is read.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use raft::core::{Entry, HardState, Log};
use raftapi::{Index, Term};
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase};

use super::disk::{Disk, Sync};
use super::error::OpenError;
use super::guard::{self, Guard};
use super::identity::{self, Identity, State};
use super::log::Extent;
use super::sweeper::Sweeper;
use super::tables::{
    APPLIED, BASE, COMMIT, DATA, HARD_STATE, IDENTITY, INCOMING, LOG, STATE, decode, decode_entry, decode_hard_state,
};
use super::{Ledger, Lock, Shared, Storage};

/// The file of the engine.
const STORE: &str = "STORE";
/// The file that is locked while the directory is open.
const LOCK: &str = "LOCK";
/// How much of the store is kept in memory, in bytes.
const CACHE_BYTES: usize = 256 << 20;

/// What was found: what a server starts with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The term and the vote.
    pub hard_state: HardState,
    /// The log, and what it begins after.
    pub log: Log,
    /// What the state machine has applied; at least the log's base, and at most its last entry.
    pub applied: Index,
    /// The term of that entry.
    pub applied_term: Term,
}

impl Storage {
    /// Opens the directory `dir` of this server, or makes one. Everything in it is read and checked, which takes a second
    /// for some hundred megabytes.
    ///
    /// # Errors
    ///
    /// If it cannot be used, and why.
    pub fn open(dir: impl AsRef<Path>, identity: &Identity, sync: Sync) -> Result<(Storage, Restored), OpenError> {
        Storage::open_on(dir.as_ref(), identity, sync, |disk| disk)
    }

    /// The same on a disk that is watched.
    pub(super) fn open_on<B: redb::StorageBackend>(
        dir: &Path,
        identity: &Identity,
        sync: Sync,
        watch: impl FnOnce(Disk) -> B,
    ) -> Result<(Storage, Restored), OpenError> {
        fs::create_dir_all(dir).map_err(OpenError::unreadable(dir))?;
        if !dir.join(identity::FILE).exists() {
            // Before anything is written into it.
            refuse_strange_files(dir)?;
        }
        let lock = lock(dir)?;
        let store = dir.join(STORE);
        match identity::read(dir, identity)? {
            Some(State::Complete) => {}
            Some(State::New) => begin(dir, identity, sync)?,
            None => {
                identity::write(dir, identity, State::New)?;
                begin(dir, identity, sync)?;
            }
        }
        let (mut guard, acknowledged) = Guard::open(dir)?;
        // The engine reports damage, and is not supposed to panic; should it do so all the same, that is a report too.
        let opened = catch_unwind(AssertUnwindSafe(|| -> Result<(Database, Found), OpenError> {
            let db = engine(&store, sync, watch)?;
            let found = Found::read(&db, &store, identity)?;
            Ok((db, found))
        }));
        let (db, found) = opened.unwrap_or_else(|panic| {
            let message = panic.downcast_ref::<String>().map_or("it panicked", |message| message);
            Err(OpenError::damaged(&store, format!("the engine cannot read it: {message}")))
        })?;
        if found.commit < acknowledged {
            let what = format!(
                "its last commit is number {}, and number {acknowledged} was acknowledged before it was stopped",
                found.commit
            );
            return Err(OpenError::damaged(&store, what));
        }
        if sync == Sync::Always {
            // The process before this one may have been killed between a write and its sync. What is told to others from
            // now on may rest on that write.
            File::open(&store).and_then(|file| file.sync_all()).map_err(OpenError::unreadable(&store))?;
        }
        let note = guard.write(found.commit).and_then(|()| if sync == Sync::Always { guard.sync() } else { Ok(()) });
        note.map_err(OpenError::unreadable(&dir.join(guard::FILE)))?;

        let ledger = Ledger { guard, commit: found.commit, failed: false, extent: found.extent };
        let shared = Arc::new(Shared {
            db,
            path: store,
            sync,
            ledger: Mutex::new(ledger),
            data_bytes: AtomicU64::new(found.data_bytes),
            _lock: lock,
        });
        let sweeper = Arc::new(Sweeper::start(Arc::clone(&shared)));
        // Whatever the last process did not come to delete.
        sweeper.wake();
        Ok((Storage { sweeper, shared }, found.restored))
    }
}

fn lock(dir: &Path) -> Result<Lock, OpenError> {
    let path = dir.join(LOCK);
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(OpenError::unreadable(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { dir: dir.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(OpenError::unreadable(&path)(error)),
    }
}

/// A directory without an identity must have nothing in it: it may be anybody's, or have lost its identity.
fn refuse_strange_files(dir: &Path) -> Result<(), OpenError> {
    for entry in fs::read_dir(dir).map_err(OpenError::unreadable(dir))? {
        let name = entry.map_err(OpenError::unreadable(dir))?.file_name();
        if name == STORE || name == guard::FILE {
            return Err(OpenError::damaged(&dir.join(identity::FILE), "it is missing"));
        }
        if name != LOCK && name != identity::FILE_BESIDE {
            let difference = format!("it has files of somebody else in it, such as {}", name.display());
            return Err(OpenError::Foreign { dir: dir.to_path_buf(), difference });
        }
    }
    Ok(())
}

/// Makes everything anew; nothing was ever acknowledged here.
fn begin(dir: &Path, identity: &Identity, sync: Sync) -> Result<(), OpenError> {
    let store = dir.join(STORE);
    let file = File::create(&store).map_err(OpenError::unreadable(&store))?;
    drop(file);
    let db = engine(&store, sync, |disk| disk)?;
    let create = || -> Result<(), redb::Error> {
        let write = db.begin_write()?;
        {
            let mut state = write.open_table(STATE)?;
            state.insert(IDENTITY, identity.lines().as_bytes())?;
            state.insert(COMMIT, &guard::FIRST_COMMIT.to_le_bytes()[..])?;
            write.open_table(LOG)?;
            write.open_table(DATA)?;
        }
        write.commit()?;
        Ok(())
    };
    create().map_err(|error| refused(&store, error))?;
    drop(db);
    Guard::create(dir)?;
    identity::sync_dir(dir).map_err(OpenError::unreadable(dir))?;
    identity::write(dir, identity, State::Complete)
}

/// Opens the engine, which reads the whole file and compares all checksums.
fn engine<B: redb::StorageBackend>(
    store: &Path,
    sync: Sync,
    watch: impl FnOnce(Disk) -> B,
) -> Result<Database, OpenError> {
    let file = match OpenOptions::new().read(true).write(true).open(store) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(OpenError::damaged(store, "it is missing"));
        }
        file => file.map_err(OpenError::unreadable(store))?,
    };
    let file = FileBackend::new(file).map_err(|error| refused(store, error))?;
    let mut builder = Database::builder();
    builder.set_check_integrity_on_open(true).set_cache_size(CACHE_BYTES);
    builder.create_with_backend(watch(Disk { file, sync })).map_err(|error| refused(store, error))
}

/// Errors of the operating system remain what they are; anything else means that the file is not what was written.
fn refused(store: &Path, error: impl Into<redb::Error>) -> OpenError {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match error.into() {
        redb::Error::Io(error) if ![InvalidData, UnexpectedEof].contains(&error.kind()) => {
            OpenError::unreadable(store)(error)
        }
        error => OpenError::damaged(store, error),
    }
}

/// What a store has in it.
struct Found {
    restored: Restored,
    commit: u64,
    extent: Extent,
    data_bytes: u64,
}

impl Found {
    fn read(db: &Database, store: &Path, wanted: &Identity) -> Result<Found, OpenError> {
        let found = Found::read_tables(db, wanted);
        let found = found.map_err(|error| refused(store, error))?;
        found.map_err(|what| OpenError::damaged(store, what))
    }

    /// The inner error says what does not fit together.
    fn read_tables(db: &Database, wanted: &Identity) -> Result<Result<Found, String>, redb::Error> {
        // A snapshot that was not yet in place when the process ended.
        let write = db.begin_write()?;
        write.delete_table(INCOMING)?;
        write.commit()?;

        let read = db.begin_read()?;
        let state = read.open_table(STATE)?;
        if state.get(IDENTITY)?.is_none_or(|lines| lines.value() != wanted.lines().as_bytes()) {
            return Ok(Err("it was not made in this directory".to_string()));
        }
        let odd = |name: &str| Ok(Err(format!("the length of '{name}'")));
        let Some([commit]) = decode(&state, COMMIT)? else { return odd(COMMIT) };
        let Some(hard_state) = decode(&state, HARD_STATE)? else { return odd(HARD_STATE) };
        let Some([base, base_term]) = decode(&state, BASE)? else { return odd(BASE) };
        let Some([applied, applied_term, data_bytes]) = decode(&state, APPLIED)? else { return odd(APPLIED) };

        let mut extent = Extent::after((Index(base), Term(base_term)));
        let mut entries: Vec<Entry> = Vec::new();
        for entry in read.open_table(LOG)?.range(base + 1..)? {
            let (index, bytes) = entry?;
            let due = extent.last().next();
            let Some((term, command)) = decode_entry(bytes.value()).filter(|_| Index(index.value()) == due) else {
                return Ok(Err(format!("the entry at index {due} is missing")));
            };
            if term < entries.last().map_or(Term(base_term), |last| last.term) {
                return Ok(Err(format!("the entry at index {due} has an earlier term than the one before it")));
            }
            extent.push(bytes.value().len());
            entries.push(Entry { term, command: labgob::shared(command) });
        }
        if applied < base || extent.last().0 < applied {
            let last = extent.last();
            return Ok(Err(format!("the log has entries {} to {last}, and {applied} are applied", base + 1)));
        }
        let restored = Restored {
            hard_state: decode_hard_state(hard_state),
            log: Log::after(Index(base), Term(base_term), entries),
            applied: Index(applied),
            applied_term: Term(applied_term),
        };
        Ok(Ok(Found { restored, commit, extent, data_bytes }))
    }
}
