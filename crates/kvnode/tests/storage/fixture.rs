//! Fixtures: directories, batches of commands, and the state that a reader sees.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kvnode::storage::{Command, Identity, OpenError, Operation, Record, Restored, Storage, SyncPolicy, Tail};
use raft::core::{Entry, HardState};
use raftapi::{Index, ServerId, Term};

/// An empty directory for one test. It is removed when the test has passed.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> TempDir {
        // In memory if the system has such a folder: these tests open a store thousands of times, and no power fails.
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
        let path = parent.join(format!("kvnode-storage-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

pub(crate) fn identity() -> Identity {
    Identity { cluster: "test".to_string(), server: ServerId(1), servers: 3 }
}

pub(crate) fn open(dir: &Path) -> Result<(Storage, Restored), OpenError> {
    Storage::open(dir, &identity(), SyncPolicy::Never)
}

/// Copies a directory as it is at this moment, which is what a killed process leaves.
pub(crate) fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// The complete content of a storage.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) restored: Restored,
    pub(crate) values: BTreeMap<Bytes, Vec<u8>>,
    pub(crate) clients: BTreeMap<u64, u64>,
}

pub(crate) fn state(storage: &Storage, restored: Restored) -> State {
    let view = storage.view().expect("a view");
    let (mut values, mut clients) = (BTreeMap::<Bytes, Vec<u8>>::new(), BTreeMap::new());
    for record in view.records().expect("records") {
        match record.expect("a record") {
            Record::Client { client, seq } => assert_eq!(clients.insert(client, seq), None),
            Record::Piece { key, bytes, .. } => values.entry(key).or_default().extend_from_slice(&bytes),
        }
    }
    let bytes: usize = values.iter().map(|(key, value)| key.len() + value.len()).sum();
    assert_eq!(view.data_bytes(), bytes as u64, "the reported size is the real one");
    State { restored, values, clients }
}

pub(crate) fn put(client: u64, seq: u64, key: &str, value: impl Into<Bytes>) -> Command {
    let operation = Operation::Put { key: Bytes::copy_from_slice(key.as_bytes()), value: value.into() };
    Command { client, seq, operation }
}

pub(crate) fn append(client: u64, seq: u64, key: &str, value: impl Into<Bytes>) -> Command {
    let operation = Operation::Append { key: Bytes::copy_from_slice(key.as_bytes()), value: value.into() };
    Command { client, seq, operation }
}

/// Returns the entry for a command. Its content does not matter to the storage.
pub(crate) fn entry(term: u64, command: &Command) -> Entry {
    Entry { term: Term(term), command: Bytes::from(format!("{command:?}").into_bytes()) }
}

/// Returns the commands of batch number `batch`: three appends, of 100 bytes each, to two of seven keys.
pub(crate) fn commands(batch: u64) -> [Command; 3] {
    let value = |n: u64| Bytes::from(format!("{batch:>9}{n:>1}").repeat(10));
    let key = |n: u64| format!("key {}", (batch + n) % 7);
    [0, 1, 2].map(|n| append(n, batch, &key(n % 2), value(n)))
}

pub(crate) const BATCH: u64 = 3;

pub(crate) fn hard_state(batch: u64) -> HardState {
    HardState { term: Term(batch / 4 + 1), voted_for: Some(ServerId(batch as usize % 3)) }
}

/// Saves batch number `batch`; the first batch is number 1.
pub(crate) fn save(storage: &Storage, batch: u64) -> Result<(), kvnode::storage::StorageError> {
    let hard_state = hard_state(batch);
    let entries = commands(batch).map(|command| entry(hard_state.term.0, &command));
    let first = Index((batch - 1) * BATCH + 1);
    storage.save(Some(hard_state), Some(Tail { first, entries: &entries }))
}

/// Applies batch number `batch`.
pub(crate) fn apply(storage: &Storage, batch: u64) {
    let term = hard_state(batch).term;
    let entries = commands(batch).map(|command| (term, Some(command)));
    storage.apply(Index((batch - 1) * BATCH + 1), &entries).expect("applies");
}
