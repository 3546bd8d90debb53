//! A comparison of two embedded engines from crates.io for the storage of a server process: `fjall` (log-structured)
//! and `redb` (a B-tree). A *batch* is the work of a follower for one AppendEntries. One transaction, with one sync,
//! saves its entries and the hard state. A second transaction, which needs no sync, applies them: values, duplicate
//! table, applied index. It also deletes the entries that are 10,000 older.
//!
//! ```sh
//! cargo run --release --manifest-path bench/Cargo.toml --example engines             # how fast
//! cargo run --release --manifest-path bench/Cargo.toml --example engines -- faults   # flipped bits, torn tails
//! ```

mod faults;
mod on_fjall;
mod on_redb;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One command: a Put of `VALUE_BYTES` to one of `KEYS` keys.
pub(crate) struct Put {
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
    pub(crate) client: u64,
    pub(crate) seq: u64,
}

const VALUE_BYTES: usize = 100;
const KEYS: u64 = 20_000;
const CLIENTS: u64 = 100;
/// Number of entries that stay in the log.
pub(crate) const LOG_KEPT: u64 = 10_000;
/// Duration of each measurement.
const MEASURED: Duration = Duration::from_secs(2);

/// The operations of an engine. Errors are strings, because the benchmark only prints them.
pub(crate) trait Engine: Sized {
    const NAME: &'static str;
    /// Opens or creates a database. Without `sync`, it is never synced.
    fn open(dir: &Path, sync: bool) -> Result<Self, String>;
    /// Saves the entries from `first` on and the hard state. With `sync`, they are durable on return.
    fn save(&mut self, first: u64, entries: &[Vec<u8>]) -> Result<(), String>;
    /// Applies the effects of the entries up to `applied`.
    fn apply(&mut self, applied: u64, puts: &[Put]) -> Result<(), String>;
    /// Reads the whole database: the last entry, the applied index, the numbers of entries and keys, and a sum over all
    /// values.
    fn contents(&self) -> Result<Contents, String>;
}

/// The digest of a database state, by which states are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) last: u64,
    pub(crate) applied: u64,
    pub(crate) entries: u64,
    pub(crate) keys: u64,
    pub(crate) sum: u64,
}

impl Contents {
    /// Adds one record to the sum. The order of records does not matter.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for &byte in key.iter().chain(value) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.sum = self.sum.wrapping_add(hash);
    }
}

/// Returns the `index`th command of every run.
fn put(index: u64) -> Put {
    let draw = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    Put {
        key: format!("key-{:08}", draw % KEYS),
        value: (0..VALUE_BYTES as u64).map(|i| (index >> (8 * (i % 8))) as u8 ^ i as u8).collect(),
        client: index % CLIENTS,
        seq: index / CLIENTS,
    }
}

/// Returns the `count` commands after `last`, and the entries that contain them.
pub(crate) fn commands(last: u64, count: u64) -> (Vec<Put>, Vec<Vec<u8>>) {
    let puts: Vec<Put> = (last + 1..=last + count).map(put).collect();
    let entries = puts.iter().map(|put| [put.key.as_bytes(), &put.value].concat()).collect();
    (puts, entries)
}

/// Saves and applies one batch after `last`. Returns the new last index.
fn batch<E: Engine>(engine: &mut E, last: u64, count: u64) -> Result<u64, String> {
    let (puts, entries) = commands(last, count);
    engine.save(last + 1, &entries)?;
    engine.apply(last + count, &puts)?;
    Ok(last + count)
}

fn main() {
    let faults = std::env::args().nth(1).is_some_and(|word| word == "faults");
    if faults {
        faults::measure_faults::<on_fjall::Fjall>();
        faults::measure_faults::<on_redb::Redb>();
        return;
    }
    println!(
        "{:>8} {:>6} {:>8} {:>12} {:>14} {:>12} {:>14}",
        "engine", "sync", "commands", "batches/s", "commands/s", "reopened in", "bytes written"
    );
    for sync in [true, false] {
        for commands in [1, 32, 256] {
            // Twice in turns, because figures of a shared machine are comparable only when they are measured together.
            for _ in 0..2 {
                measure::<on_fjall::Fjall>(sync, commands);
                measure::<on_redb::Redb>(sync, commands);
            }
        }
    }
}

fn measure<E: Engine>(sync: bool, commands: u64) {
    let dir = fresh(E::NAME);
    let mut engine = E::open(&dir, sync).expect("opens");
    let (began, wrote) = (Instant::now(), written());
    let (mut last, mut batches) = (0, 0);
    while began.elapsed() < MEASURED {
        last = batch(&mut engine, last, commands).expect("writes");
        batches += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    let bytes = (written() - wrote) / last;
    let before = engine.contents().expect("reads");
    drop(engine);
    let reopening = Instant::now();
    let engine = E::open(&dir, sync).expect("opens again");
    let reopened = reopening.elapsed();
    assert_eq!(engine.contents().expect("reads"), before, "nothing is lost by closing");
    drop(engine);
    let _ = std::fs::remove_dir_all(&dir);
    println!(
        "{:>8} {:>6} {:>8} {:>12.0} {:>14.0} {:>9.1} ms {:>8} a command",
        E::NAME,
        if sync { "yes" } else { "no" },
        commands,
        f64::from(batches) / seconds,
        last as f64 / seconds,
        reopened.as_secs_f64() * 1e3,
        bytes
    );
}

/// Makes an empty directory under `target/`. It is on a disk, which a temporary directory may not be.
pub(crate) fn fresh(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/engines").join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory for the engine");
    dir
}

/// Returns the bytes that this process has passed to `write` so far; 0 if the OS does not report them.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok()).unwrap_or(0)
}
