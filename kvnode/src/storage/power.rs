//! The power fails, at every single write to the store. A tape notes each write and sync of a run in which everything
//! happens that a server does; then the disk is put together again as it may have been at any moment of it, also with
//! some of the writes lost that no sync had confirmed, and opened.
//!
//! What must be found is the state after one of the transactions: not before the last durable one that had returned, and
//! not after one that had not begun.

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

use super::disk::Disk;
use super::guard::Guard;
use super::{Command, Identity, Image, Operation, Record, Restored, Storage, Sync, Tail};

/// What was done to the store.
#[derive(Clone, Debug)]
enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

/// A disk whose writes are noted. Nothing is really synced.
#[derive(Debug)]
struct Tape {
    disk: Disk,
    ops: Arc<Mutex<Vec<Op>>>,
}

impl StorageBackend for Tape {
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

/// A state, as a reader finds it.
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

/// A run: the storage and, beside it, what it must hold.
struct Story {
    storage: Storage,
    now: Restored,
    ops: Arc<Mutex<Vec<Op>>>,
    /// After each transaction: the length of the tape when it had returned, whether it was durable, and the state.
    states: Vec<(usize, bool, State)>,
}

impl Story {
    fn note(&mut self, durable: bool) {
        let end = self.ops.lock().len();
        let state = state(&self.storage, self.now.clone());
        self.states.push((end, durable, state));
    }

    fn save(&mut self, term: u64, first: u64, commands: &[Command]) {
        let hard_state = HardState { term: Term(term), voted_for: Some(ServerId(term as usize % 3)) };
        let entries: Vec<Entry> =
            commands.iter().map(|command| Entry { term: Term(term), command: coded(command) }).collect();
        self.storage.save(Some(hard_state), Some(Tail { first: Index(first), entries: &entries })).unwrap();
        let (base, base_term) = (self.now.log.base_index(), self.now.log.base_term());
        let mut all = self.now.log.entries(base.next(), Index(first - 1)).to_vec();
        all.extend(entries);
        self.now.log = raft::core::Log::after(base, base_term, all);
        self.now.hard_state = hard_state;
        self.note(true);
    }

    fn apply(&mut self, commands: &[Command]) {
        let first = self.now.applied.next();
        let entries: Vec<(Term, Option<Command>)> = (first.0..)
            .zip(commands)
            .map(|(index, command)| (self.now.log.term(Index(index)).unwrap(), Some(command.clone())))
            .collect();
        self.storage.apply(first, &entries).unwrap();
        self.now.applied = Index(first.0 + commands.len() as u64 - 1);
        self.now.applied_term = entries.last().unwrap().0;
        self.note(false);
    }

    fn compact(&mut self, up_to: u64) {
        self.storage.compact_log(Index(up_to)).unwrap();
        let (log, up_to) = (&self.now.log, Index(up_to));
        let tail = log.entries(up_to.next(), log.last_index()).to_vec();
        self.now.log = raft::core::Log::after(up_to, log.term(up_to).unwrap(), tail);
        self.note(false);
    }

    fn install(&mut self, image: &Image, term: u64) {
        let hard_state = HardState { term: Term(term), voted_for: None };
        self.storage.install(image, Some(hard_state), false).unwrap();
        let (index, image_term) = (image.last_included_index(), image.last_included_term());
        self.now = Restored {
            hard_state,
            log: raft::core::Log::after(index, image_term, Vec::new()),
            applied: index,
            applied_term: image_term,
        };
        self.note(true);
    }
}

fn coded(command: &Command) -> Bytes {
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

fn fresh(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("kvnode-power-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    dir
}

/// An image of another server that has got further.
fn image_of_another(dir: &Path) -> Image {
    let (storage, _) = Storage::open(dir, &identity(), Sync::Never).unwrap();
    let commands: Vec<Command> = (500..530).map(command).collect();
    let entries: Vec<Entry> = commands.iter().map(|c| Entry { term: Term(4), command: coded(c) }).collect();
    storage.save(None, Some(Tail { first: Index(1), entries: &entries })).unwrap();
    let entries: Vec<_> = commands.into_iter().map(|command| (Term(4), Some(command))).collect();
    storage.apply(Index(1), &entries).unwrap();
    storage.view().unwrap().write_image(&dir.join("image")).unwrap()
}

#[test]
fn whenever_the_power_fails_a_transaction_is_there_or_not_and_what_was_acknowledged_is_there() {
    let (dir, other, broken) = (fresh("story"), fresh("other"), fresh("broken"));
    let image = image_of_another(&other);
    drop(Storage::open(&dir, &identity(), Sync::Never).unwrap());
    let begun = fs::read(dir.join("STORE")).unwrap();
    let ops = Arc::default();
    let watch = |disk| Tape { disk, ops: Arc::clone(&ops) };
    let (storage, now) = Storage::open_on(&dir, &identity(), Sync::Never, watch).unwrap();
    let commit = storage.shared.ledger.lock().commit;
    let mut story = Story { storage, now, ops: Arc::clone(&ops), states: Vec::new() };
    story.note(true);
    for round in 0..8 {
        let commands: Vec<Command> = (3 * round + 1..=3 * round + 3).map(command).collect();
        story.save(1 + round / 3, 3 * round + 1, &commands);
        story.apply(&commands);
    }
    story.compact(12);
    // Entries that are replaced by another leader's, and fewer of them.
    story.save(3, 25, &[command(90), command(91), command(92)]);
    story.save(4, 26, &[command(25)]);
    story.install(&image, 5);
    story.save(5, 31, &[command(31), command(32)]);
    story.apply(&[command(31), command(32)]);
    story.save(5, 33, &[command(33)]);
    let Story { storage, states, .. } = story;
    drop(storage);

    let ops = ops.lock().clone();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut opened, mut newer) = (0, 0);
    for moment in 0..=ops.len() {
        let synced = ops[..moment].iter().rposition(|op| matches!(op, Op::Sync)).map_or(0, |sync| sync + 1);
        let durable = states.iter().rposition(|(end, durable, _)| *durable && *end <= moment).unwrap_or(0);
        let begun_last = states.iter().position(|(end, _, _)| *end > moment).unwrap_or(states.len() - 1);
        let acknowledged = commit + states[1..=durable].iter().filter(|(_, durable, _)| *durable).count() as u64;
        for loss in 0..3 {
            let mut store = begun.clone();
            for (place, op) in ops[..moment].iter().enumerate() {
                match loss {
                    // The process is killed: everything that was written is there.
                    0 => carry_out(&mut store, op, |_| true),
                    // The power fails: what was not synced is there or not, by sectors.
                    _ if place < synced => carry_out(&mut store, op, |_| true),
                    1 => carry_out(&mut store, op, |_| rng.random_bool(0.5)),
                    _ => carry_out(&mut store, op, |_| rng.random_bool(0.95)),
                }
            }
            put_together(&dir, &broken, &store, acknowledged);
            let (storage, restored) = match Storage::open(&broken, &identity(), Sync::Never) {
                Ok(opened) => opened,
                Err(error) => panic!("after {moment} of {} writes, loss {loss}: {error}", ops.len()),
            };
            let found = state(&storage, restored);
            let place = states[durable..=begun_last].iter().position(|(_, _, state)| *state == found);
            let place = place.unwrap_or_else(|| {
                let earlier = states.iter().position(|(_, _, state)| *state == found);
                panic!("after {moment} writes, loss {loss}: not one of states {durable} to {begun_last}: {earlier:?}")
            });
            newer += u32::from(place > 0);
            opened += 1;
        }
    }
    println!("{} writes and syncs, {opened} disks opened, {newer} with more than what was acknowledged", ops.len());
    assert!(newer > 0, "some commits were complete before they were acknowledged");
    for dir in [dir, other, broken] {
        let _ = fs::remove_dir_all(dir);
    }
}

/// Does what the tape says, sector by sector, with those sectors that arrive.
fn carry_out(store: &mut Vec<u8>, op: &Op, mut arrives: impl FnMut(usize) -> bool) {
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

/// A directory as `dir`, with this store.
fn put_together(dir: &Path, broken: &Path, store: &[u8], acknowledged: u64) {
    fs::create_dir_all(broken).unwrap();
    fs::copy(dir.join("IDENTITY"), broken.join("IDENTITY")).unwrap();
    fs::write(broken.join("STORE"), store).unwrap();
    Guard::create(broken).unwrap().write(acknowledged).unwrap();
}

/// The engine's fall back to the commit before the last, which is right after a power failure, must not pass when the
/// last commit was acknowledged.
#[test]
fn a_store_that_has_gone_back_by_one_commit_is_refused() {
    let (dir, broken) = (fresh("back"), fresh("gone-back"));
    let (storage, _) = Storage::open(&dir, &identity(), Sync::Never).unwrap();
    let mut stores = BTreeMap::new();
    // The store itself was commit 1.
    for term in 2..6 {
        storage.save(Some(HardState { term: Term(term), voted_for: None }), None).unwrap();
        stores.insert(storage.shared.ledger.lock().commit, fs::read(dir.join("STORE")).unwrap());
    }
    for (&commit, store) in &stores {
        for acknowledged in [commit - 1, commit] {
            put_together(&dir, &broken, store, acknowledged);
            let (_, restored) = Storage::open(&broken, &identity(), Sync::Never).unwrap();
            assert_eq!(restored.hard_state.term, Term(commit));
        }
        put_together(&dir, &broken, store, commit + 1);
        let error = Storage::open(&broken, &identity(), Sync::Never).err().expect("it is refused").to_string();
        assert!(error.contains(&format!("number {} was acknowledged", commit + 1)), "{error}");
    }
    drop(storage);
    for dir in [dir, broken] {
        let _ = fs::remove_dir_all(dir);
    }
}
