//! A stack overflow in one run of many: the process ends, and a new one makes the remaining runs.
#![cfg(unix)]

use std::fs;
use std::process::{Command, Output, Stdio};

use labrpc::ClientEnd;
use labstd::channel::Sender;
use labstd::sync::Arc;
use labstd::{rng, thread};
use mistakes::KvServer;
use raftapi::{ApplyMsg, Persister, ServerId};

/// The environment variable with the arguments of [`child_process`], separated by blanks.
const ARGUMENTS: &str = "RAFTLAB_ARGUMENTS";

/// The seeds of the runs that overflow a stack.
const OVERFLOWING: [u64; 2] = [3, 5];

/// The plain Raft, with a recursion without end in the runs of some seeds.
struct Raft(mistakes::Raft);

impl raftapi::Raft for Raft {
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> Raft {
        if me == ServerId(1) && OVERFLOWING.contains(&rng::seed()) {
            thread::spawn("S1/recursive", || recurse(0));
        }
        Raft(mistakes::Raft::factory(None)(peers, me, persister, apply_ch))
    }

    raftapi::forward_raft!(0);
}

fn recurse(level: u64) -> u64 {
    let ballast = std::hint::black_box([level; 64]);
    if level == u64::MAX { 0 } else { recurse(level + 1) + ballast[7] }
}

#[test]
#[ignore = "the other tests run it as a child process"]
fn child_process() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let arguments = ["raftlab"].into_iter().chain(arguments.split(' ')).map(Into::into);
    std::process::exit(cli::run_with_args::<Raft, KvServer<mistakes::Raft>>("raftlab", arguments).into());
}

/// Runs the command line in another process. Returns its status, its output, its errors, and its results files.
fn run(test: &str, arguments: &str) -> (Option<i32>, String, String, Vec<String>) {
    let folder = std::env::temp_dir().join(format!("raftlab-overflow-{}-{test}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for temporary files");
    let mut command = Command::new(std::env::current_exe().expect("this test is a program"));
    command.args(["--exact", "child_process", "--ignored", "--nocapture"]).env("CARGO_TARGET_DIR", &folder);
    command.env(ARGUMENTS, arguments).stdin(Stdio::null());
    for variable in ["VIS_ENABLE", "VIS_FILE", "LAB_LOG"] {
        command.env_remove(variable);
    }
    let Output { status, stdout, stderr } = command.output().expect("the child process runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut files: Vec<_> = fs::read_dir(folder.join("lab")).map_or(Vec::new(), |files| {
        files
            .map(|file| file.expect("a file").path())
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .collect()
    });
    files.sort();
    let results = files.iter().map(|file| fs::read_to_string(file).expect("text")).collect();
    let _ = fs::remove_dir_all(&folder);
    (status.code(), text(&stdout), text(&stderr), results)
}

#[test]
fn the_runs_after_an_overflow_are_made_in_a_new_process() {
    let (status, out, errors, results) = run("many", "run initial_election_3A -n 8 --jobs 2 --progress none");
    assert_eq!(status, Some(1), "{out}{errors}");
    for seed in OVERFLOWING {
        let told =
            format!("thread 'S1/recursive' of initial_election_3A, seed {seed}, has overflowed its stack of 2048 KiB");
        assert!(errors.contains(&told), "{errors}");
        let listed = format!("initial_election_3A with seed {seed}: thread 'S1/recursive' overflowed its stack");
        assert!(out.contains(&listed), "{out}");
        let saved = format!("\"scenario\":\"initial_election_3A\",\"seed\":{seed},\"verdict\":\"failed\"");
        assert!(results.iter().any(|file| file.contains(&saved)), "{results:?}");
    }
    // Seeds 1 and 2 may be made in the first process or, if they were not reported yet, in the next.
    let count = |lines: &str, what: &str| -> usize {
        let found = lines.lines().find(|line| line.contains(" runs: ") && line.contains(what)).unwrap_or_default();
        let (_, after) = found.split_once(" runs: ").unwrap_or_default();
        after.split(' ').next().and_then(|passed| passed.parse().ok()).unwrap_or(0)
    };
    let passed = count(&out, "scenarios, ") + count(&out, "before a stack overflow");
    assert_eq!(passed, 6, "all other runs passed, each once: {out}{errors}");
    assert!(results.iter().any(|file| file.contains("\"how\":\"stack_overflow\"")), "{results:?}");
    assert!(results.iter().any(|file| file.contains("\"how\":\"complete\"")), "{results:?}");
}

#[test]
fn a_batch_that_stops_at_a_failure_stops_at_an_overflow() {
    let (status, out, errors, _) = run("first", "run initial_election_3A -n 8 --jobs 1 --fail-fast --progress none");
    assert_eq!(status, Some(1), "{out}{errors}");
    assert!(errors.contains("initial_election_3A, seed 3,") && !errors.contains("seed 5"), "{errors}");
    assert!(errors.contains("so far 2 more runs: 2 passed, 0 failed"), "{errors}");
}
