//! Crashes of a process: it is killed while it writes, or stopped by a full disk. Each test runs itself as the child
//! process, which prints the number of each acknowledged batch.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kvnode::storage::{Storage, SyncPolicy};
use raftapi::Index;

use crate::fixture::{BATCH, TempDir, apply, commands, entry, hard_state, identity, save};

/// The variable with the child's directory. Without it the child does nothing.
const DIRECTORY_VARIABLE: &str = "KVNODE_STORAGE_CHILD";
/// The number of killed children.
const KILLS: u64 = 12;
/// The limit on the length of the child's files, which simulates a full disk. It is in blocks of 512 or 1024 bytes,
/// depending on the shell.
const FILE_LIMIT_BLOCKS: u64 = 300;

/// The child: continues from the saved state; saves, applies and compacts until it is stopped.
#[test]
#[ignore = "the other tests of this file run it as a child process"]
fn the_child_writes_until_it_is_stopped() {
    let Ok(dir) = env::var(DIRECTORY_VARIABLE) else { return };
    let (storage, restored) = Storage::open(dir, &identity(), SyncPolicy::Always).unwrap_or_else(|error| {
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
    let test = "crashes::the_child_writes_until_it_is_stopped";
    Command::new("sh")
        .args(["-c", shell, "sh"])
        .arg(env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY_VARIABLE, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell and this program")
}

fn acknowledged(line: &str) -> Option<u64> {
    line.strip_prefix("acknowledged ")?.parse().ok()
}

/// Checks that every batch up to `acknowledged` is there exactly once, and at most one more. Returns the number of
/// batches.
fn check_contents(dir: &Path, acknowledged: u64) -> u64 {
    let (storage, restored) = Storage::open(dir, &identity(), SyncPolicy::Always).expect("the directory opens");
    let last = restored.log.last_index().0;
    assert_eq!(last % BATCH, 0, "every batch is complete: {last} entries");
    let batch = last / BATCH;
    assert!(batch == acknowledged || batch == acknowledged + 1, "{acknowledged} acknowledged, {batch} found");
    if batch == 0 {
        return 0;
    }
    assert_eq!(restored.hard_state, hard_state(batch));
    for index in restored.log.base_index().0 + 1..=last {
        let (batch, position) = ((index - 1) / BATCH + 1, (index - 1) % BATCH);
        let expected = entry(hard_state(batch).term.0, &commands(batch)[position as usize]);
        assert_eq!(restored.log.get(Index(index)), Some(&expected), "entry {index}");
    }
    // Applied entries were applied once; the others are applied now.
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
fn a_killed_process_keeps_every_acknowledged_batch() {
    let temp = TempDir::new("killed");
    let dir = temp.join("data");
    let mut found = 0;
    for round in 0..KILLS {
        let mut child = child(&dir, "exec \"$@\"");
        let mut last = found;
        // The child is killed after this many batches, at a random point of its work.
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
        child.kill().expect("the child is alive");
        // Lines that the child printed before it was killed count too.
        last = lines.filter_map(|line| acknowledged(&line.unwrap())).last().unwrap_or(last);
        child.wait().unwrap();
        assert!(last >= wanted, "the child was killed while it worked");
        found = check_contents(&dir, last);
    }
    println!("killed {KILLS} times, {found} batches");
}

#[test]
#[cfg(unix)]
fn a_full_disk_is_reported_and_loses_no_acknowledged_batch() {
    let temp = TempDir::new("full");
    let dir = temp.join("data");
    drop(Storage::open(&dir, &identity(), SyncPolicy::Always).unwrap());
    // With the signal ignored, a write beyond the limit fails, as on a full disk, and does not end the process.
    let child = child(&dir, &format!("trap '' XFSZ; ulimit -f {FILE_LIMIT_BLOCKS}; exec \"$@\""));
    let output = child.wait_with_output().unwrap();
    let output = String::from_utf8_lossy(&output.stdout);
    let failed = output
        .lines()
        .find(|line| line.starts_with("failed: "))
        .unwrap_or_else(|| panic!("the child reports no failure: {output}"));
    assert!(failed.contains("STORE: ") && failed.contains("disk is full"), "{failed}");
    let last = output.lines().filter_map(acknowledged).next_back().unwrap_or(0);
    assert!(last > 10, "the child had written before: {last} batches");
    let found = check_contents(&dir, last);
    println!("{failed}\n{last} acknowledged, {found} found");
}
