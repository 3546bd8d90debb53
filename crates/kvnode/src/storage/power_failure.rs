//! A power failure at every single write to the store. The test records each write and sync of a run that contains
//! everything a server does. Then it rebuilds the disk as it may have been at each moment of the run, also without some
//! of the unsynced writes, and opens it.
//!
//! The opened store must be in the state after one of the transactions: not before the last durable transaction that
//! had returned, and not after one that had not begun.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use raft::core::{Entry, HardState};
use raftapi::{Index, ServerId, Term};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use redb::StorageBackend;

use super::acknowledged::AcknowledgedFile;
use super::disk::Disk;
use super::{Command, Identity, Image, Operation, Record, Restored, Storage, SyncPolicy, Tail};

/// An operation on the store's file.
#[derive(Clone, Debug)]
enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

/// A disk that records its writes and syncs. It never really syncs.
#[derive(Debug)]
struct RecordingDisk {
    disk: Disk,
    ops: Arc<Mutex<Vec<Op>>>,
}

impl StorageBackend for RecordingDisk {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut ops = self.ops.lock();
        ops.push(Op::SetLen(len));
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.ops.lock().push(Op::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut ops = self.ops.lock();
        ops.push(Op::Write(offset, data.to_vec()));
        self.disk.write(offset, data)
    }
}

/// The state of a store, as a reader sees it.
#[derive(Clone, Debug, PartialEq)]
struct State {
    restored: Restored,
    records: Vec<String>,
}

fn state(storage: &Storage, restored: Restored) -> State {
    let view = storage.view().unwrap();
    assert_eq!(view.applied(), restored.applied);
    let records = view.records().unwrap().map(|record| match record.unwrap() {
        Record::Piece { key, number, bytes } => {
            format!("{key:?} {number} {} {:x}", bytes.len(), crc32fast::hash(&bytes))
        }
        client => format!("{client:?}"),
    });
    State { restored, records: records.collect() }
}

/// A run: the storage, and the state that it must have.
struct RecordedRun {
    storage: Storage,
    expected: Restored,
    ops: Arc<Mutex<Vec<Op>>>,
    /// For each transaction: the number of recorded operations when it returned, whether it was durable, and the state
    /// after it.
    states: Vec<(usize, bool, State)>,
}

impl RecordedRun {
    fn record_state(&mut self, durable: bool) {
        let end = self.ops.lock().len();
        let state = state(&self.storage, self.expected.clone());
        self.states.push((end, durable, state));
    }

    fn save(&mut self, term: u64, first: u64, commands: &[Command]) {
        let hard_state = HardState { term: Term(term), voted_for: Some(ServerId(term as usize % 3)) };
        let entries: Vec<Entry> =
            commands.iter().map(|command| Entry { term: Term(term), command: encoded(command) }).collect();
        self.storage.save(Some(hard_state), Some(Tail { first: Index(first), entries: &entries })).unwrap();
        let (base, base_term) = (self.expected.log.base_index(), self.expected.log.base_term());
        let mut all = self.expected.log.entries(base.next(), Index(first - 1)).to_vec();
        all.extend(entries);
        self.expected.log = raft::core::Log::after(base, base_term, all);
        self.expected.hard_state = hard_state;
        self.record_state(true);
    }

    fn apply(&mut self, commands: &[Command]) {
        let first = self.expected.applied.next();
        let entries: Vec<(Term, Option<Command>)> = (first.0..)
            .zip(commands)
            .map(|(index, command)| (self.expected.log.term(Index(index)).unwrap(), Some(command.clone())))
            .collect();
        self.storage.apply(first, &entries).unwrap();
        self.expected.applied = Index(first.0 + commands.len() as u64 - 1);
        self.expected.applied_term = entries.last().unwrap().0;
        self.record_state(false);
    }

    fn compact(&mut self, up_to: u64) {
        self.storage.compact_log(Index(up_to)).unwrap();
        let (log, up_to) = (&self.expected.log, Index(up_to));
        let tail = log.entries(up_to.next(), log.last_index()).to_vec();
        self.expected.log = raft::core::Log::after(up_to, log.term(up_to).unwrap(), tail);
        self.record_state(false);
    }

    fn install(&mut self, image: &Image, term: u64) {
        let hard_state = HardState { term: Term(term), voted_for: None };
        self.storage.install(image, Some(hard_state), false).unwrap();
        let (index, image_term) = (image.last_included_index(), image.last_included_term());
        self.expected = Restored {
            hard_state,
            log: raft::core::Log::after(index, image_term, Vec::new()),
            applied: index,
            applied_term: image_term,
        };
        self.record_state(true);
    }
}

fn encoded(command: &Command) -> Bytes {
    Bytes::from(format!("{command:?}").into_bytes())
}

fn command(seq: u64) -> Command {
    let key = Bytes::from(format!("key {}", seq % 5));
    let value = Bytes::from(format!("{seq} ").repeat(1 + (seq as usize * 97) % 400));
    let operation =
        if seq.is_multiple_of(3) { Operation::Put { key, value } } else { Operation::Append { key, value } };
    Command { client: seq % 2, seq, operation }
}

fn identity() -> Identity {
    Identity { cluster: "power".to_string(), server: ServerId(1), servers: 3 }
}

fn test_directory(name: &str) -> PathBuf {
    // In memory if the system has such a folder: the power failures are computed, and each would wait for a disk.
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let dir = parent.join(format!("kvnode-power-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    dir
}

/// Writes an image of another server that has applied more entries.
fn image_of_another_server(dir: &Path) -> Image {
    let (storage, _) = Storage::open(dir, &identity(), SyncPolicy::Never).unwrap();
    let commands: Vec<Command> = (500..530).map(command).collect();
    let entries: Vec<Entry> = commands.iter().map(|c| Entry { term: Term(4), command: encoded(c) }).collect();
    storage.save(None, Some(Tail { first: Index(1), entries: &entries })).unwrap();
    let entries: Vec<_> = commands.into_iter().map(|command| (Term(4), Some(command))).collect();
    storage.apply(Index(1), &entries).unwrap();
    storage.view().unwrap().write_image(&dir.join("image")).unwrap()
}

#[test]
fn a_power_failure_loses_no_acknowledged_transaction() {
    let (dir, other, crashed) = (test_directory("story"), test_directory("other"), test_directory("broken"));
    let image = image_of_another_server(&other);
    drop(Storage::open(&dir, &identity(), SyncPolicy::Never).unwrap());
    let initial = fs::read(dir.join("STORE")).unwrap();
    let ops = Arc::default();
    let wrap = |disk| RecordingDisk { disk, ops: Arc::clone(&ops) };
    let (storage, expected) = Storage::open_with_backend(&dir, &identity(), SyncPolicy::Never, wrap).unwrap();
    let commit = storage.shared.writer.lock().commit;
    let mut run = RecordedRun { storage, expected, ops: Arc::clone(&ops), states: Vec::new() };
    run.record_state(true);
    for round in 0..8 {
        let commands: Vec<Command> = (3 * round + 1..=3 * round + 3).map(command).collect();
        run.save(1 + round / 3, 3 * round + 1, &commands);
        run.apply(&commands);
    }
    run.compact(12);
    // Another leader replaces entries by fewer ones.
    run.save(3, 25, &[command(90), command(91), command(92)]);
    run.save(4, 26, &[command(25)]);
    run.install(&image, 5);
    run.save(5, 31, &[command(31), command(32)]);
    run.apply(&[command(31), command(32)]);
    run.save(5, 33, &[command(33)]);
    let RecordedRun { storage, states, .. } = run;
    drop(storage);

    let ops = ops.lock().clone();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut opened, mut newer) = (0, 0);
    for moment in 0..=ops.len() {
        let synced = ops[..moment].iter().rposition(|op| matches!(op, Op::Sync)).map_or(0, |sync| sync + 1);
        let durable = states.iter().rposition(|(end, durable, _)| *durable && *end <= moment).unwrap_or(0);
        let last_started = states.iter().position(|(end, _, _)| *end > moment).unwrap_or(states.len() - 1);
        let acknowledged = commit + states[1..=durable].iter().filter(|(_, durable, _)| *durable).count() as u64;
        for loss in 0..3 {
            let mut store = initial.clone();
            for (position, op) in ops[..moment].iter().enumerate() {
                match loss {
                    // The process is killed: every write is there.
                    0 => replay_op(&mut store, op, |_| true),
                    // The power fails: each unsynced sector is there or not.
                    _ if position < synced => replay_op(&mut store, op, |_| true),
                    1 => replay_op(&mut store, op, |_| rng.random_bool(0.5)),
                    _ => replay_op(&mut store, op, |_| rng.random_bool(0.95)),
                }
            }
            build_directory(&dir, &crashed, &store, acknowledged);
            let (storage, restored) = match Storage::open(&crashed, &identity(), SyncPolicy::Never) {
                Ok(opened) => opened,
                Err(error) => panic!("after {moment} of {} writes, loss {loss}: {error}", ops.len()),
            };
            let found = state(&storage, restored);
            let position = states[durable..=last_started].iter().position(|(_, _, state)| *state == found);
            let position = position.unwrap_or_else(|| {
                let earlier = states.iter().position(|(_, _, state)| *state == found);
                panic!("after {moment} writes, loss {loss}: none of the states {durable} to {last_started}, but {earlier:?}")
            });
            newer += u32::from(position > 0);
            opened += 1;
        }
    }
    println!("{} writes and syncs, {opened} disks opened, {newer} with more than the acknowledged state", ops.len());
    assert!(newer > 0, "some commits were complete before they were acknowledged");
    for dir in [dir, other, crashed] {
        let _ = fs::remove_dir_all(dir);
    }
}

/// Repeats a recorded operation, sector by sector, with only the sectors that arrive.
fn replay_op(store: &mut Vec<u8>, op: &Op, mut arrives: impl FnMut(usize) -> bool) {
    const SECTOR: usize = 512;
    match op {
        Op::Sync => {}
        Op::SetLen(len) => store.resize(*len as usize, 0),
        Op::Write(offset, data) => {
            for (number, sector) in data.chunks(SECTOR).enumerate() {
                let at = *offset as usize + number * SECTOR;
                if store.len() < at + sector.len() {
                    store.resize(at + sector.len(), 0);
                }
                if arrives(number) {
                    store[at..at + sector.len()].copy_from_slice(sector);
                }
            }
        }
    }
}

/// Builds a directory like `dir` with this store.
fn build_directory(dir: &Path, crashed: &Path, store: &[u8], acknowledged: u64) {
    fs::create_dir_all(crashed).unwrap();
    fs::copy(dir.join("IDENTITY"), crashed.join("IDENTITY")).unwrap();
    fs::write(crashed.join("STORE"), store).unwrap();
    AcknowledgedFile::create(crashed).unwrap().write(acknowledged).unwrap();
}

/// The engine falls back to the commit before the last one, which is right after a power failure. This must be refused
/// if the last commit was acknowledged.
#[test]
fn a_store_that_lost_its_last_acknowledged_commit_is_refused() {
    let (dir, crashed) = (test_directory("back"), test_directory("gone-back"));
    let (storage, _) = Storage::open(&dir, &identity(), SyncPolicy::Never).unwrap();
    let mut stores = BTreeMap::new();
    // Commit 1 created the store.
    for term in 2..6 {
        storage.save(Some(HardState { term: Term(term), voted_for: None }), None).unwrap();
        stores.insert(storage.shared.writer.lock().commit, fs::read(dir.join("STORE")).unwrap());
    }
    for (&commit, store) in &stores {
        for acknowledged in [commit - 1, commit] {
            build_directory(&dir, &crashed, store, acknowledged);
            let (_, restored) = Storage::open(&crashed, &identity(), SyncPolicy::Never).unwrap();
            assert_eq!(restored.hard_state.term, Term(commit));
        }
        build_directory(&dir, &crashed, store, commit + 1);
        let error = Storage::open(&crashed, &identity(), SyncPolicy::Never)
            .err()
            .expect("the directory is refused")
            .to_string();
        assert!(error.contains(&format!("number {} was acknowledged", commit + 1)), "{error}");
    }
    drop(storage);
    for dir in [dir, crashed] {
        let _ = fs::remove_dir_all(dir);
    }
}
