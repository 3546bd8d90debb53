//! The cost of a server's storage: batches saved and applied, reads, long values, large states.
//!
//! ```sh
//! cargo bench --manifest-path bench/Cargo.toml --bench storage
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvnode::storage::{Command, Identity, Operation, Storage, SyncPolicy, Tail};
use raft::core::{Entry, HardState};
use raftapi::{Index, ServerId, Term};

const MEASURED: Duration = Duration::from_secs(2);
const VALUE_BYTES: usize = 100;
const KEYS: u64 = 20_000;
/// The size of the log, in bytes, above which it is compacted.
const LOG_BYTES: u64 = 1 << 20;
/// The number of values in the large state. Each has 1,000 bytes.
const LARGE: u64 = 100_000;

fn main() {
    println!("{:<44} {:>12} {:>14}", "batches: saved, applied, compacted at 1 MiB", "batches/s", "commands/s");
    for sync in [SyncPolicy::Always, SyncPolicy::Never] {
        for commands in [1, 32, 256] {
            batches(sync, commands);
        }
    }
    reads();
    long_values();
    large_state();
}

fn batches(sync: SyncPolicy, commands: u64) {
    let dir = bench_directory();
    let mut run = Run::open(&dir, sync);
    let started = Instant::now();
    let mut batches = 0;
    while started.elapsed() < MEASURED {
        let first = run.last;
        run.batch((first..first + commands).map(|n| put(n, VALUE_BYTES)));
        batches += 1;
        if run.storage.log_bytes() > LOG_BYTES {
            run.storage.compact_log(Index(run.last)).expect("compacts");
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let name = format!("{commands} commands, {}", if sync == SyncPolicy::Always { "synced" } else { "not synced" });
    println!("{name:<44} {:>12.0} {:>14.0}", f64::from(batches) / seconds, run.last as f64 / seconds);
}

fn reads() {
    let dir = bench_directory();
    let mut run = Run::open(&dir, SyncPolicy::Never);
    for first in (0..KEYS).step_by(500) {
        run.batch((first..first + 500).map(|n| command(n, format!("key-{n:08}"), vec![7; VALUE_BYTES], false)));
    }
    let count = 100_000;
    let started = Instant::now();
    for n in 0..count {
        let key = format!("key-{:08}", draw(n) % KEYS);
        assert!(run.storage.get(key.as_bytes()).expect("reads").is_some());
    }
    line("a Get of 100 bytes", started.elapsed() / count as u32);
}

fn long_values() {
    for length in [1_000, 100_000, 1_000_000] {
        let dir = bench_directory();
        let mut run = Run::open(&dir, SyncPolicy::Never);
        run.batch([command(0, "long".to_string(), vec![1; length], false)].into_iter());
        let count = 1_000;
        let started = Instant::now();
        for n in 1..=count {
            run.batch([command(n, "long".to_string(), vec![2; 10], true)].into_iter());
        }
        line(&format!("an Append of 10 bytes to {length}, not synced"), started.elapsed() / count as u32);
        let started = Instant::now();
        for _ in 0..100 {
            assert!(run.storage.get(b"long").expect("reads").is_some());
        }
        line(&format!("a Get of {length} bytes"), started.elapsed() / 100);
    }
}

fn large_state() {
    let dir = bench_directory();
    let mut run = Run::open(&dir, SyncPolicy::Always);
    let started = Instant::now();
    for first in (0..LARGE).step_by(500) {
        run.batch((first..first + 500).map(|n| command(n, format!("key-{n:08}"), vec![n as u8; 1000], false)));
        run.storage.compact_log(Index(run.last)).expect("compacts");
    }
    line("100 MB written in batches of 500, synced", started.elapsed());
    let started = Instant::now();
    let view = run.storage.view().expect("a view");
    line("a view of 100 MB", started.elapsed());
    let started = Instant::now();
    let path = dir.join("image");
    let image = view.write_image(&path).expect("writes");
    line(&format!("its image of {:.0} MB written, synced", image.bytes() as f64 / 1e6), started.elapsed());
    drop(view);
    let started = Instant::now();
    run.storage.install(&image, None, true).expect("installs");
    line("the image installed, synced", started.elapsed());
    let started = Instant::now();
    drop(run);
    line("closed", started.elapsed());
    let started = Instant::now();
    let run = Run::open(&dir.join("data"), SyncPolicy::Always);
    line("opened again, all of it checked", started.elapsed());
    let copy = dir.join("killed");
    fs::create_dir_all(&copy).expect("creates");
    for file in ["STORE", "IDENTITY", "ACKNOWLEDGED"] {
        fs::copy(dir.join("data").join(file), copy.join(file)).expect("copies");
    }
    drop(run);
    let started = Instant::now();
    drop(Run::open(&copy, SyncPolicy::Always));
    line("the same after the process was killed", started.elapsed());
}

struct Run {
    storage: Storage,
    last: u64,
}

impl Run {
    fn open(dir: &Path, sync: SyncPolicy) -> Run {
        let identity = Identity { cluster: "bench".to_string(), server: ServerId(0), servers: 3 };
        let dir = if dir.ends_with("data") || dir.ends_with("killed") { dir.to_path_buf() } else { dir.join("data") };
        let (storage, restored) = Storage::open(dir, &identity, sync).expect("opens");
        Run { storage, last: restored.log.last_index().0 }
    }

    /// Saves and applies one batch.
    fn batch(&mut self, commands: impl Iterator<Item = Command>) {
        let commands: Vec<(Term, Option<Command>)> = commands.map(|command| (Term(1), Some(command))).collect();
        let entry = |(term, command): &(Term, Option<Command>)| Entry { term: *term, command: encoded(command) };
        let entries: Vec<Entry> = commands.iter().map(entry).collect();
        let first = Index(self.last + 1);
        let hard_state = HardState { term: Term(1), voted_for: None };
        self.storage.save(Some(hard_state), Some(Tail { first, entries: &entries })).expect("saves");
        self.storage.apply(first, &commands).expect("applies");
        self.last += entries.len() as u64;
    }
}

/// Returns bytes of about the length of an encoded command.
fn encoded(command: &Option<Command>) -> Bytes {
    match command.as_ref().map(|command| &command.operation) {
        Some(Operation::Put { key, value } | Operation::Append { key, value }) => {
            [&key[..], &value[..], b"12345678"].concat().into()
        }
        _ => Bytes::new(),
    }
}

fn put(n: u64, length: usize) -> Command {
    command(n, format!("key-{:08}", draw(n) % KEYS), vec![n as u8; length], false)
}

fn command(n: u64, key: String, value: Vec<u8>, append: bool) -> Command {
    let (key, value) = (Bytes::from(key), Bytes::from(value));
    let operation = if append { Operation::Append { key, value } } else { Operation::Put { key, value } };
    Command { client: n % 100, seq: n / 100 + n + 1, operation }
}

fn draw(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

fn line(what: &str, took: Duration) {
    println!("{what:<44} {took:>12.1?}");
}

/// Creates an empty directory on the disk of the build directory, because a temporary one may be in memory.
fn bench_directory() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("storage-bench");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a directory");
    dir
}
