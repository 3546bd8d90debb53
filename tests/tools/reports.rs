//! Tests of the failure report for a faulty thread in a running cluster. The cluster has five servers of the reference
//! Raft, and one of them has an additional, faulty thread.

use labrpc::ClientEnd;
use labstd::channel::Sender;
use labstd::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use labstd::sync::{Arc, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Persister, Raft as _, ServerId};
use tester::{Clock, Report, Subject, raft_scenarios, runner};

/// The fault of server 2.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ServerFault {
    TwoLocksInOppositeOrders,
    PollsWithoutBlocking,
    Panics,
    SurvivesKill,
}

/// Whether the spinning thread was found.
static FOUND: AtomicBool = AtomicBool::new(false);

/// The reference Raft with a faulty thread beside it.
struct FaultyRaft {
    raft: raft::Raft,
    killed: Arc<AtomicBool>,
}

impl FaultyRaft {
    fn with(fault: ServerFault) -> Subject {
        Subject::with_factory(move |peers, me, persister, apply_ch| {
            let raft = raft::Raft::make(peers, me, persister, apply_ch);
            let killed = Arc::new(AtomicBool::new(false));
            if me == ServerId(2) {
                start_faulty_thread(fault, Arc::clone(&killed));
            }
            FaultyRaft { raft, killed }
        })
    }
}

fn start_faulty_thread(fault: ServerFault, killed: Arc<AtomicBool>) {
    let a_while = Duration::from_millis(1200);
    match fault {
        ServerFault::TwoLocksInOppositeOrders => {
            let (log, peers) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
            let holding = Arc::new(AtomicUsize::new(0));
            for (name, first, second) in [("S2/alice", &log, &peers), ("S2/bob", &peers, &log)] {
                let (first, second, holding) = (Arc::clone(first), Arc::clone(second), Arc::clone(&holding));
                thread::spawn(name, move || {
                    thread::sleep(a_while);
                    let _first = first.lock();
                    holding.fetch_add(1, SeqCst);
                    while holding.load(SeqCst) < 2 {
                        thread::sleep(Duration::from_millis(1));
                    }
                    let _second = second.lock();
                });
            }
        }
        ServerFault::PollsWithoutBlocking => {
            thread::spawn("S2/poller", move || {
                thread::sleep(a_while);
                // On threads the loop ends when it was found.
                let begun = Instant::now();
                let on_threads = labstd::clock() == Clock::Threads;
                while !(on_threads && FOUND.load(SeqCst)) {
                    let _ = begun.elapsed();
                }
            });
        }
        ServerFault::Panics => {
            thread::spawn("S2/applier-2", move || {
                thread::sleep(a_while);
                panic!("commit index {} is beyond the log", 9)
            });
        }
        ServerFault::SurvivesKill => {
            thread::spawn("S2/heartbeats", move || {
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_secs(60) {
                    // The mistake: the loop does not look at `killed`.
                    let _ = &killed;
                    thread::sleep(Duration::from_millis(50));
                }
            });
        }
    }
}

impl raftapi::Raft for FaultyRaft {
    fn make(_: Vec<ClientEnd>, _: ServerId, _: Arc<Persister>, _: Sender<ApplyMsg>) -> FaultyRaft {
        unreachable!("these servers are made by `FaultyRaft::with`")
    }

    fn kill(&self) {
        self.killed.store(true, SeqCst);
        self.raft.kill();
    }

    raftapi::forward_raft!(raft: [services, start, get_state, snapshot, persist_bytes]);
}

/// Runs a scenario of five servers with this fault; the run must fail. It is long enough for a lock to be waited for 5
/// s.
fn report(fault: ServerFault, clock: Clock) -> (Report, String) {
    let scenarios = raft_scenarios(&FaultyRaft::with(fault));
    let scenario = scenarios.iter().find(|scenario| scenario.info.name == "backup_3B").unwrap();
    assert_eq!(scenario.info.servers, 5);
    let report = runner::run(scenario, clock, 1);
    // On a busy machine, a lock that is held too long counts as a disturbance, but the report says it all the same.
    let broken = report.run_failure().unwrap_or_else(|| panic!("{fault:?} was not found: {:?}", report.verdict));
    let text = broken.text.clone();
    (report, text)
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is missing in:\n{text}");
    }
}

#[test]
fn a_simulated_deadlock_ends_the_run_with_threads_and_locks() {
    let (report, text) = report(ServerFault::TwoLocksInOppositeOrders, Clock::Simulated);
    assert_says(
        &text,
        &[
            "deadlock: these threads wait for each other's locks",
            "S2/alice waits at tests/tools/reports.rs:",
            "S2/bob waits at tests/tools/reports.rs:",
            "for the lock made at tests/tools/reports.rs:",
            "which was taken at tests/tools/reports.rs:",
            "S0/ticker: in thread::sleep at raft/src/ticker.rs:",
        ],
    );
    let at = report.run_failure().unwrap().at;
    assert!(
        at < Duration::from_millis(1250),
        "the other servers' timers go on for ever, but it was found only at {at:?}"
    );
}

#[test]
fn a_deadlock_on_threads_is_reported_after_five_seconds() {
    let (report, text) = report(ServerFault::TwoLocksInOppositeOrders, Clock::Threads);
    assert_says(
        &text,
        &[
            "a lock is held too long",
            "for the lock made at tests/tools/reports.rs:",
            "in Mutex::lock at tests/tools/reports.rs:",
            "S0/ticker: in thread::sleep at raft/src/ticker.rs:",
        ],
    );
    let both_ways = ["S2/alice: in Mutex::lock", "held by S2/bob", "S2/bob: in Mutex::lock", "held by S2/alice"];
    assert_says(&text, &both_ways);
    assert!(report.run_failure().unwrap().at >= Duration::from_secs(6));
}

#[test]
fn a_spinning_simulated_thread_is_found_and_named() {
    let (_, text) = report(ServerFault::PollsWithoutBlocking, Clock::Simulated);
    assert_says(
        &text,
        &["spin: thread 'S2/poller' keeps calling from tests/tools/reports.rs:", "the clock never moved"],
    );
}

#[test]
fn a_spinning_os_thread_is_named_when_its_server_is_killed() {
    let (_, text) = report(ServerFault::PollsWithoutBlocking, Clock::Threads);
    FOUND.store(true, SeqCst);
    assert_says(&text, &["S2#1 was killed, but 2 s later", "S2/poller: running (it has not blocked)"]);
}

#[test]
fn a_panicking_thread_fails_its_run_with_its_name_and_line() {
    for clock in [Clock::Simulated, Clock::Threads] {
        let (report, text) = report(ServerFault::Panics, clock);
        assert_says(&text, &["thread 'S2/applier-2' panicked at ", "commit index 9 is beyond the log"]);
        assert_says(&text, &["at tests/tools/reports.rs:"]);
        assert!(report.run_failure().unwrap().at >= Duration::from_millis(1200));
    }
}

#[test]
fn a_thread_that_survives_kill_is_named_with_its_wait() {
    for clock in [Clock::Simulated, Clock::Threads] {
        let (_, text) = report(ServerFault::SurvivesKill, clock);
        assert_says(
            &text,
            &["S2#1 was killed, but 2 s later", "S2/heartbeats: in thread::sleep at tests/tools/reports.rs:"],
        );
    }
}
