//! Opening a data directory: lock it, check all of it, and read the state from which Raft starts.

use std::collections::BTreeMap;
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

use super::acknowledged::{self, AcknowledgedFile};
use super::disk::{Disk, SyncPolicy};
use super::error::OpenError;
use super::identity::{self, Identity, State};
use super::log::LogExtent;
use super::membership::{Membership, Standing};
use super::sweeper::Sweeper;
use super::sync_failure;
use super::tables::{
    APPLIED, BASE, COMMIT, DATA, HARD_STATE, IDENTITY, INCOMING, LOG, MEMBERSHIP, STATE, decode, decode_entry,
    decode_hard_state,
};
use super::{DirectoryLock, Shared, Storage, WriterState, file_id, private};

/// The file of the engine.
const STORE: &str = "STORE";
/// The file that is locked while the directory is open.
const LOCK: &str = "LOCK";
/// The size of the engine's cache, in bytes.
const CACHE_BYTES: usize = 256 << 20;

/// The restored state, with which a server starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The term and the vote.
    pub hard_state: HardState,
    /// The log with its base.
    pub log: Log,
    /// The last applied index: at least the base of the log, and at most its last index.
    pub applied: Index,
    /// The term of that entry.
    pub applied_term: Term,
}

impl Storage {
    /// Opens the directory `dir` of this server, or creates it. The call reads and checks everything in it, which takes
    /// a second for some hundred megabytes.
    ///
    /// # Errors
    ///
    /// If the directory cannot be used. The error gives the reason.
    pub fn open(
        dir: impl AsRef<Path>,
        identity: &Identity,
        sync: SyncPolicy,
    ) -> Result<(Storage, Restored), OpenError> {
        Storage::open_with_backend(dir.as_ref(), identity, sync, |disk| disk)
    }

    /// Opens the directory with a wrapped disk, so that a test can observe it.
    pub(super) fn open_with_backend<B: redb::StorageBackend>(
        dir: &Path,
        identity: &Identity,
        sync: SyncPolicy,
        wrap: impl FnOnce(Disk) -> B,
    ) -> Result<(Storage, Restored), OpenError> {
        private::create_dir_all(dir).map_err(OpenError::unreadable(dir))?;
        if !dir.join(identity::FILE).exists() {
            // This check comes before the first write to the directory.
            refuse_foreign_files(dir)?;
        }
        let lock = lock(dir)?;
        let store = dir.join(STORE);
        match identity::read(dir, identity)? {
            Some(State::Complete) => {}
            Some(State::New) => create_store(dir, identity, sync)?,
            None => {
                identity::write(dir, identity, State::New)?;
                create_store(dir, identity, sync)?;
            }
        }
        let (mut acknowledged_file, acknowledged_commit) = AcknowledgedFile::open(dir)?;
        let failure_marker = sync_failure::marker(dir);
        sync_failure::forget_cached_pages(&failure_marker, &store).map_err(OpenError::unreadable(&store))?;
        // The engine reports damage as an error and should not panic. If it panics all the same, the panic counts as a
        // report of damage.
        let opened = catch_unwind(AssertUnwindSafe(|| -> Result<(Database, StoreContents), OpenError> {
            let db = open_engine(&store, sync, wrap)?;
            let found = StoreContents::read(&db, &store, identity)?;
            Ok((db, found))
        }));
        let (db, found) = opened.unwrap_or_else(|panic| {
            let message = panic.downcast_ref::<String>().map_or("it panicked", |message| message);
            Err(OpenError::damaged(&store, format!("the engine cannot read it: {message}")))
        })?;
        if found.commit < acknowledged_commit {
            let what = format!(
                "its last commit is number {}, but number {acknowledged_commit} was acknowledged before",
                found.commit
            );
            return Err(OpenError::damaged(&store, what));
        }
        if sync.waits() {
            // The previous process may have been killed between a write and its sync. From now on, replies to other
            // servers may depend on that write.
            File::open(&store).and_then(|file| file.sync_all()).map_err(OpenError::unreadable(&store))?;
        }
        let note = acknowledged_file
            .write(found.commit)
            .and_then(|()| if sync.waits() { acknowledged_file.sync() } else { Ok(()) });
        note.map_err(OpenError::unreadable(&dir.join(acknowledged::FILE)))?;

        sync_failure::clear(&failure_marker).map_err(OpenError::unreadable(&failure_marker))?;
        // An earlier version would not save what other servers must know of this directory.
        identity::upgrade(dir, identity)?;

        let writer = WriterState {
            acknowledged_file,
            commit: found.commit,
            failed: false,
            extent: found.extent,
            peer_saves: BTreeMap::new(),
            known_peer_saves: BTreeMap::new(),
        };
        let file_id = file_id(&store).map_err(OpenError::unreadable(&store))?;
        let shared = Arc::new(Shared {
            db,
            file_id,
            path: store,
            sync,
            writer: Mutex::new(writer),
            data_bytes: AtomicU64::new(found.data_bytes),
            _lock: lock,
        });
        let sweeper = Arc::new(Sweeper::start(Arc::clone(&shared)));
        // The previous process may have left records to delete.
        sweeper.wake();
        Ok((Storage { sweeper, shared }, found.restored))
    }
}

fn lock(dir: &Path) -> Result<DirectoryLock, OpenError> {
    let path = dir.join(LOCK);
    let file = private::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(OpenError::unreadable(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(DirectoryLock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { dir: dir.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(OpenError::unreadable(&path)(error)),
    }
}

/// Refuses a directory without an identity that has files in it. It may belong to anybody, or may have lost its
/// identity.
fn refuse_foreign_files(dir: &Path) -> Result<(), OpenError> {
    for entry in fs::read_dir(dir).map_err(OpenError::unreadable(dir))? {
        let name = entry.map_err(OpenError::unreadable(dir))?.file_name();
        if name == STORE || name == acknowledged::FILE {
            return Err(OpenError::damaged(&dir.join(identity::FILE), "it is missing"));
        }
        if name != LOCK && name != identity::TEMPORARY_FILE {
            let difference = format!("it contains files of another program, such as {}", name.display());
            return Err(OpenError::Foreign { dir: dir.to_path_buf(), difference });
        }
    }
    Ok(())
}

/// Creates all files. Nothing was ever acknowledged in this directory.
fn create_store(dir: &Path, identity: &Identity, sync: SyncPolicy) -> Result<(), OpenError> {
    let store = dir.join(STORE);
    let file = private::create(&store).map_err(OpenError::unreadable(&store))?;
    drop(file);
    let db = open_engine(&store, sync, |disk| disk)?;
    let create = || -> Result<(), redb::Error> {
        let write = db.begin_write()?;
        {
            let mut state = write.open_table(STATE)?;
            state.insert(IDENTITY, identity.lines().as_bytes())?;
            state.insert(COMMIT, &acknowledged::FIRST_COMMIT.to_le_bytes()[..])?;
            state.insert(MEMBERSHIP, &labgob::encode(&Membership::new(Standing::New))[..])?;
            write.open_table(LOG)?;
            write.open_table(DATA)?;
        }
        write.commit()?;
        Ok(())
    };
    create().map_err(|error| engine_error(&store, error))?;
    drop(db);
    AcknowledgedFile::create(dir)?;
    identity::sync_dir(dir).map_err(OpenError::unreadable(dir))?;
    identity::write(dir, identity, State::Complete)
}

/// Opens the engine, which reads the whole file and compares all checksums.
fn open_engine<B: redb::StorageBackend>(
    store: &Path,
    sync: SyncPolicy,
    wrap: impl FnOnce(Disk) -> B,
) -> Result<Database, OpenError> {
    let file = match OpenOptions::new().read(true).write(true).open(store) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(OpenError::damaged(store, "it is missing"));
        }
        file => file.map_err(OpenError::unreadable(store))?,
    };
    let failure_marker = sync_failure::marker(store.parent().unwrap_or(Path::new(".")));
    let file = FileBackend::new(file).map_err(|error| engine_error(store, error))?;
    let mut builder = Database::builder();
    builder.set_check_integrity_on_open(true).set_cache_size(CACHE_BYTES);
    let disk = Disk { file, sync, failure_marker, syncs: AtomicU64::new(0), writes: AtomicU64::new(0) };
    builder.create_with_backend(wrap(disk)).map_err(|error| engine_error(store, error))
}

/// Converts an error of the engine. An error of the operating system stays one; any other error means damage.
fn engine_error(store: &Path, error: impl Into<redb::Error>) -> OpenError {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match error.into() {
        redb::Error::Io(error) if ![InvalidData, UnexpectedEof].contains(&error.kind()) => {
            OpenError::unreadable(store)(error)
        }
        error => OpenError::damaged(store, error),
    }
}

/// The content of a store.
struct StoreContents {
    restored: Restored,
    commit: u64,
    extent: LogExtent,
    data_bytes: u64,
}

impl StoreContents {
    fn read(db: &Database, store: &Path, wanted: &Identity) -> Result<StoreContents, OpenError> {
        let found = StoreContents::read_tables(db, wanted);
        let found = found.map_err(|error| engine_error(store, error))?;
        found.map_err(|what| OpenError::damaged(store, what))
    }

    /// Reads the tables. The inner error names an inconsistency.
    fn read_tables(db: &Database, wanted: &Identity) -> Result<Result<StoreContents, String>, redb::Error> {
        // A snapshot whose installation was not complete when the process ended.
        let write = db.begin_write()?;
        write.delete_table(INCOMING)?;
        write.commit()?;

        let read = db.begin_read()?;
        let state = read.open_table(STATE)?;
        if state.get(IDENTITY)?.is_none_or(|lines| lines.value() != wanted.lines().as_bytes()) {
            return Ok(Err("it was not created in this directory".to_string()));
        }
        let bad_length = |name: &str| Ok(Err(format!("'{name}' has a wrong length")));
        let Some([commit]) = decode(&state, COMMIT)? else { return bad_length(COMMIT) };
        let Some(hard_state) = decode(&state, HARD_STATE)? else { return bad_length(HARD_STATE) };
        let Some([base, base_term]) = decode(&state, BASE)? else { return bad_length(BASE) };
        let Some([applied, applied_term, data_bytes]) = decode(&state, APPLIED)? else { return bad_length(APPLIED) };

        let mut extent = LogExtent::after((Index(base), Term(base_term)));
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
            entries.push(Entry { term, command: labgob::shared_bytes(command) });
        }
        if applied < base || extent.last().0 < applied {
            let last = extent.last();
            return Ok(Err(format!("the log has entries {} to {last}, but the applied index is {applied}", base + 1)));
        }
        let restored = Restored {
            hard_state: decode_hard_state(hard_state),
            log: Log::after(Index(base), Term(base_term), entries),
            applied: Index(applied),
            applied_term: Term(applied_term),
        };
        Ok(Ok(StoreContents { restored, commit, extent, data_bytes }))
    }
}
