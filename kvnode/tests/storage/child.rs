//! Processes that end badly: killed while they write, and stopped by a disk that is full. A test runs itself as the
//! child, which prints the number of each batch that was acknowledged.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kvnode::storage::{Storage, Sync};
use raftapi::Index;

use crate::fixture::{BATCH, Place, apply, commands, entry, hard_state, identity, save};

/// Where the child writes. It does nothing without it.
const DIRECTORY: &str = "KVNODE_STORAGE_CHILD";
/// How often a child is killed.
const KILLS: u64 = 12;
/// The longest file of a child whose disk is full, in blocks of 512 or 1024 bytes, whichever the shell counts in.
const BLOCKS: u64 = 300;

/// The child: goes on where it finds itself, saves, applies and compacts, until it is stopped.
#[test]
#[ignore = "the other tests of this file run it as a process of its own"]
fn writes_until_it_is_stopped() {
    let Ok(dir) = env::var(DIRECTORY) else { return };
    let (storage, restored) = Storage::open(dir, &identity(), Sync::Always).unwrap_or_else(|error| {
        println!("refused: {error}");
        std::process::exit(3)
    });
    let saved = restored.log.last_index().0 / BATCH;
    for batch in restored.applied.0 / BATCH + 1..=saved {
        apply(&storage, batch);
    }
    for batch in saved + 1.. {
        if let Err(error) = save(&storage, batch) {
            println!("failed: {error}");
            std::process::exit(4);
        }
        println!("acknowledged {batch}");
        apply(&storage, batch);
        if batch.is_multiple_of(16) {
            storage.compact_log(Index((batch - 8) * BATCH)).unwrap();
        }
    }
}

/// Runs the child under a shell command that ends in `exec "$@"`.
fn child(dir: &Path, shell: &str) -> Child {
    let test = "child::writes_until_it_is_stopped";
    Command::new("sh")
        .args(["-c", shell, "sh"])
        .arg(env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell and this program")
}

fn acknowledged(line: &str) -> Option<u64> {
    line.strip_prefix("acknowledged ")?.parse().ok()
}

/// Everything up to batch `acknowledged` is there, and at most one more; each once.
fn look(dir: &Path, acknowledged: u64) -> u64 {
    let (storage, restored) = Storage::open(dir, &identity(), Sync::Always).expect("it opens");
    let last = restored.log.last_index().0;
    assert_eq!(last % BATCH, 0, "a batch is there or not: {last} entries");
    let batch = last / BATCH;
    assert!(batch == acknowledged || batch == acknowledged + 1, "{acknowledged} acknowledged, {batch} found");
    if batch == 0 {
        return 0;
    }
    assert_eq!(restored.hard_state, hard_state(batch));
    for index in restored.log.base_index().0 + 1..=last {
        let (batch, place) = ((index - 1) / BATCH + 1, (index - 1) % BATCH);
        let expected = entry(hard_state(batch).term.0, &commands(batch)[place as usize]);
        assert_eq!(restored.log.get(Index(index)), Some(&expected), "entry {index}");
    }
    // What was applied was applied once, and what was not is applied now.
    (restored.applied.0 / BATCH + 1..=batch).for_each(|batch| apply(&storage, batch));
    let mut values = std::collections::BTreeMap::<Vec<u8>, Vec<u8>>::new();
    for command in (1..=batch).flat_map(commands) {
        if let kvnode::storage::Operation::Append { key, value } = command.operation {
            values.entry(key.to_vec()).or_default().extend_from_slice(&value);
        }
    }
    for (key, value) in values {
        assert!(storage.get(&key).unwrap().unwrap() == value, "the value of {}", String::from_utf8_lossy(&key));
    }
    batch
}

#[test]
fn a_process_that_is_killed_has_everything_that_it_acknowledged() {
    let place = Place::new("killed");
    let dir = place.join("data");
    let mut found = 0;
    for round in 0..KILLS {
        let mut child = child(&dir, "exec \"$@\"");
        let mut last = found;
        // Killed after so many, at whatever it is doing then.
        let wanted = found + 5 + (round * 7) % 23;
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        for line in lines.by_ref() {
            let line = line.unwrap();
            assert!(!line.starts_with("refused") && !line.starts_with("failed"), "{line}");
            last = acknowledged(&line).unwrap_or(last);
            if last >= wanted {
                break;
            }
        }
        child.kill().expect("it is alive");
        // What it had printed before that counts as well.
        last = lines.filter_map(|line| acknowledged(&line.unwrap())).last().unwrap_or(last);
        child.wait().unwrap();
        assert!(last >= wanted, "it was killed at work");
        found = look(&dir, last);
    }
    println!("killed {KILLS} times, {found} batches");
}

#[test]
#[cfg(unix)]
fn a_full_disk_is_said_and_costs_nothing_that_was_acknowledged() {
    let place = Place::new("full");
    let dir = place.join("data");
    drop(Storage::open(&dir, &identity(), Sync::Always).unwrap());
    // Writing beyond the limit fails, as it does on a full disk, instead of ending the process.
    let child = child(&dir, &format!("trap '' XFSZ; ulimit -f {BLOCKS}; exec \"$@\""));
    let output = child.wait_with_output().unwrap();
    let output = String::from_utf8_lossy(&output.stdout);
    let failed =
        output.lines().find(|line| line.starts_with("failed: ")).unwrap_or_else(|| panic!("it fails: {output}"));
    assert!(failed.contains("STORE: ") && failed.contains("disk is full"), "{failed}");
    let last = output.lines().filter_map(acknowledged).next_back().unwrap_or(0);
    assert!(last > 10, "it had written before: {last} batches");
    let found = look(&dir, last);
    println!("{failed}\n{last} acknowledged, {found} found");
}
