//! The time of a check, without parsing: `cargo bench --manifest-path bench/Cargo.toml --bench histories`.
//!
//! The first group checks all files of the data folder. If the folder does not exist, a line says so. The second group
//! needs no files: it checks histories of a simulated store, each named by clients, keys and operations.

#[path = "../../crates/linearizability/tests/checker/synthetic.rs"]
#[expect(dead_code, reason = "not every mistake is measured")]
mod synthetic;

use std::{
    fmt::{self, Display, Formatter},
    fs,
    path::{Path, PathBuf},
};

use divan::{Bencher, black_box, counter::ItemsCount};
use linearizability::{jepsen, kv, register};
use synthetic::{Mistake, Store, history};

fn main() {
    if !Path::new(FOLDER).is_dir() {
        eprintln!("skipped: the folder {FOLDER} does not exist");
    }
    divan::main();
}

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/histories");

/// A budget that suffices for every file.
const BUDGET: u64 = 50_000_000;

/// A file of the data folder.
#[derive(Clone, Debug)]
struct File(PathBuf);

impl File {
    /// The files of a subfolder, sorted by name.
    fn all(subfolder: &str) -> Vec<File> {
        let entries = fs::read_dir(Path::new(FOLDER).join(subfolder)).into_iter().flatten().flatten();
        let mut files: Vec<File> = entries.map(|entry| File(entry.path())).collect();
        files.sort_by(|a, b| a.0.cmp(&b.0));
        files
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_else(|error| panic!("{}: {error}", self.0.display()))
    }

    fn register(&self) -> register::History {
        jepsen::parse(&self.text()).unwrap_or_else(|error| panic!("{self}: {error}"))
    }
}

impl Display for File {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.file_name().unwrap_or_default().to_string_lossy())
    }
}

#[divan::bench(args = File::all("kv"))]
fn kv_file(bencher: Bencher<'_, '_>, file: &File) {
    let history = kv::parse(&file.text()).unwrap_or_else(|error| panic!("{file}: {error}"));
    bencher.bench_local(|| black_box(history.check(BUDGET)));
}

#[divan::bench(args = File::all("jepsen"), sample_count = 10)]
fn jepsen_file(bencher: Bencher<'_, '_>, file: &File) {
    let history = file.register();
    bencher.bench_local(|| black_box(history.check(BUDGET)));
}

/// All files one after the other: compare this figure with that of other checkers.
#[divan::bench(sample_count = 10)]
fn all_jepsen_files(bencher: Bencher<'_, '_>) {
    let histories: Vec<register::History> = File::all("jepsen").iter().map(File::register).collect();
    bencher.counter(ItemsCount::new(histories.len())).bench_local(|| {
        for history in &histories {
            black_box(history.check(BUDGET));
        }
    });
}

const STORES: [(&str, Store); 6] = [
    ("20 clients, 1 key, 40,000", Store::ONE_KEY),
    ("the same, an append lost", Store { mistake: Some(Mistake::LostAppend), ..Store::ONE_KEY }),
    ("the same, a stale read", Store { mistake: Some(Mistake::StaleRead), ..Store::ONE_KEY }),
    ("15 clients, 15 keys, 30,000", Store::RANDOM_KEYS),
    ("15 clients, 15 keys, 199,980", Store { operations_per_client: 13_332, ..Store::RANDOM_KEYS }),
    ("20 clients, 1 key, 2 strings", Store { operations_per_client: 100, strings: Some(2), ..Store::ONE_KEY }),
];

#[divan::bench(args = STORES.map(|(name, _)| name), sample_count = 10)]
fn simulated(bencher: Bencher<'_, '_>, name: &str) {
    let store = STORES.iter().find(|(found, _)| *found == name).map(|&(_, store)| store);
    let history = history(store.expect("the name is one of the list"), 0);
    bencher.counter(ItemsCount::new(history.len())).bench_local(|| black_box(history.check(kv::BUDGET)));
}
