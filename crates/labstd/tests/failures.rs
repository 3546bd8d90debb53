//! The reports of runs that fail: panics, deadlocks, locks held too long, spins, time limits, and threads that do not
//! end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use labstd::channel;
use labstd::sync::{Condvar, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant};
use labstd::{Clock, Failure, Run};

const MS: Duration = Duration::from_millis(1);
const BOTH: [Clock; 2] = [Clock::Simulated, Clock::Threads];

fn failure(run: Run, body: impl FnOnce() + Send + 'static) -> Failure {
    run.execute(body).result.expect_err("the run should fail")
}

fn assert_says(failure: &Failure, parts: &[&str]) {
    let text = failure.to_string();
    for part in parts {
        assert!(text.contains(part), "'{part}' is missing in:\n{text}");
    }
}

#[test]
fn a_panic_in_any_thread_fails_the_run_and_names_the_thread() {
    for clock in BOTH {
        let failure = failure(Run::new(clock, 1), || {
            thread::spawn("server-2/applier", || {
                thread::sleep(2 * MS);
                panic!("index {} was applied twice", 7)
            });
            thread::sleep(Duration::from_secs(3600));
        });
        let Failure::Panic(report) = &failure else { panic!("{failure}") };
        assert_eq!((report.thread.as_str(), report.at >= 2 * MS), ("server-2/applier", true));
        assert_eq!(report.message, "index 7 was applied twice");
        assert!(report.location.as_ref().unwrap().starts_with("crates/labstd/tests/failures.rs:"));
    }
}

#[test]
fn a_failure_holds_the_panic_payload() {
    for clock in BOTH {
        let failure = failure(Run::new(clock, 1), || std::panic::panic_any(17_u32));
        let Failure::Panic(report) = failure else { panic!("{failure}") };
        assert_eq!(report.payload.downcast_ref(), Some(&17_u32));
    }
}

#[test]
fn joining_a_panicked_thread_returns_an_error_with_its_name() {
    let failure = failure(Run::simulated(1), || {
        let joined = thread::spawn("loser", || panic!("no")).join();
        let error = joined.expect_err("it panicked");
        assert_eq!(error.downcast_ref::<String>().unwrap(), "thread 'loser' panicked");
    });
    assert_says(&failure, &["thread 'loser' panicked", ": no"]);
}

/// Two threads that take two locks in opposite orders, while others sleep and wake.
fn two_locks_in_opposite_orders() {
    let (a, b) = (Arc::new(Mutex::new("a")), Arc::new(Mutex::new("b")));
    let holding = Arc::new(AtomicUsize::new(0));
    thread::spawn("clockwork", || {
        // This thread sleeps whenever the others wake.
        thread::sleep(MS / 2);
        loop {
            thread::sleep(MS);
        }
    });
    for (name, first, second) in [("alice", &a, &b), ("bob", &b, &a)] {
        let (first, second, holding) = (Arc::clone(first), Arc::clone(second), Arc::clone(&holding));
        thread::spawn(name, move || {
            let _first = first.lock();
            holding.fetch_add(1, SeqCst);
            while holding.load(SeqCst) < 2 {
                thread::sleep(MS);
            }
            let _second = second.lock();
        });
    }
    thread::sleep(Duration::from_secs(3600));
}

#[test]
fn a_lock_cycle_ends_a_simulation_at_once() {
    let outcome = Run::simulated(1).execute(two_locks_in_opposite_orders);
    assert!(outcome.stats.elapsed <= 2 * MS, "found when the cycle closed, before any timeout: {:?}", outcome.stats);
    let failure = outcome.result.unwrap_err();
    assert_says(
        &failure,
        &[
            "these threads wait for each other's locks",
            "alice waits at crates/labstd/tests/failures.rs:",
            "bob waits at crates/labstd/tests/failures.rs:",
            "for the lock made at crates/labstd/tests/failures.rs:",
            "which was taken at crates/labstd/tests/failures.rs:",
            "clockwork: in thread::sleep",
        ],
    );
    let Failure::Deadlock { cycle, .. } = failure else { panic!("{failure}") };
    assert_eq!(cycle.len(), 2);
}

#[test]
fn a_lock_cycle_on_threads_is_reported_with_the_holders_wait() {
    let failure = failure(Run::threads(1).lock_limit(300 * MS), two_locks_in_opposite_orders);
    assert_says(
        &failure,
        &["a lock is held too long", "its holder is", "in Mutex::lock at", "clockwork: in thread::sleep"],
    );
    let text = failure.to_string();
    assert!(text.contains("alice: in Mutex::lock") && text.contains("held by bob"), "{text}");
    assert!(text.contains("bob: in Mutex::lock") && text.contains("held by alice"), "{text}");
}

#[test]
fn a_lock_taken_twice_by_one_thread_is_a_cycle_of_one() {
    let failure = failure(Run::simulated(1), || {
        let lock = Mutex::new(0);
        let _once = lock.lock();
        let _twice = lock.lock();
    });
    let Failure::Deadlock { cycle, .. } = &failure else { panic!("{failure}") };
    assert_eq!(cycle.len(), 1);
    assert_says(&failure, &["main waits at"]);
}

#[test]
fn a_lock_held_during_a_blocking_call_is_reported_with_the_call() {
    for clock in BOTH {
        let failure = failure(Run::new(clock, 1).lock_limit(300 * MS), || {
            let lock = Arc::new(Mutex::new(0));
            let (tx, _rx) = channel::bounded(1);
            thread::spawn("deliverer", {
                let lock = Arc::clone(&lock);
                move || {
                    let _held = lock.lock();
                    tx.send(1).unwrap();
                    tx.send(2).unwrap();
                }
            });
            while !lock.is_locked() {
                thread::sleep(MS);
            }
            drop(lock.lock());
        });
        assert!(failure.is_time_limit());
        assert_says(
            &failure,
            &["main waits at", "its holder is deliverer: in Sender::send at crates/labstd/tests/failures.rs:"],
        );
    }
}

/// Stands for a library that blocks on its caller's behalf.
#[track_caller]
fn library_call() {
    thread::called_from(std::panic::Location::caller(), || thread::sleep(Duration::from_secs(60)));
}

#[test]
fn a_wait_in_a_library_is_reported_with_the_calling_line() {
    for clock in BOTH {
        let mine = line!() + 4;
        let failure = failure(Run::new(clock, 1).time_limit(1000 * MS), move || {
            thread::called_from(std::panic::Location::caller(), || ());
            thread::spawn("caller", || {
                library_call();
            });
            thread::sleep(Duration::from_secs(60));
        });
        assert_says(&failure, &[&format!("(called from crates/labstd/tests/failures.rs:{mine}:")]);
        let text = failure.to_string();
        assert_eq!(text.matches("called from").count(), 1, "a finished call is not reported: {text}");
    }
}

#[test]
fn a_run_without_a_runnable_thread_is_a_deadlock() {
    let failure = failure(Run::simulated(1), || {
        let (_tx, rx) = channel::bounded::<()>(1);
        let never = Arc::new((Mutex::new(()), Condvar::new()));
        thread::spawn("waiter", move || never.1.wait(&mut never.0.lock()));
        let _ = rx.recv();
    });
    assert_says(
        &failure,
        &["no thread can run and no timer is set", "main: in Receiver::recv", "waiter: in Condvar::wait"],
    );
}

#[test]
fn a_thread_that_polls_without_blocking_is_named() {
    let polls: [fn(); 3] = [
        || {
            let start = Instant::now();
            while start.elapsed() < MS {}
        },
        || {
            let (_tx, rx) = channel::bounded::<()>(1);
            while rx.try_recv().is_err() {}
        },
        || {
            loop {
                thread::yield_now();
            }
        },
    ];
    for poll in polls {
        let failure = failure(Run::simulated(1).spin_limit(10_000), move || {
            thread::spawn("poller", poll).join().unwrap();
        });
        assert_says(&failure, &["thread 'poller' keeps calling from crates/labstd/tests/failures.rs:", "10000 calls"]);
    }
}

#[test]
fn a_thread_that_computes_without_end_is_abandoned_and_named() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let failure = failure(Run::simulated(1).stall_limit(300 * MS), || {
        thread::spawn("thinker", || {
            while !STOP.load(SeqCst) {
                std::hint::spin_loop();
            }
        });
        thread::sleep(MS);
    });
    STOP.store(true, SeqCst);
    assert!(matches!(failure, Failure::Aborted { .. }));
    assert_says(&failure, &["aborted", "thread 'thinker' computes without end"]);
}

/// A thread that sleeps on the OS's clock and never waits in the simulation: the virtual clock stands still, although
/// other threads run.
#[test]
fn a_thread_that_sleeps_in_real_time_is_named_with_its_next_call() {
    for seed in 1..=8 {
        let begun = std::time::Instant::now();
        let failure = failure(Run::simulated(seed).stall_limit(300 * MS), || {
            let lock = Arc::new(Mutex::new(0_u64));
            let shared = Arc::clone(&lock);
            thread::spawn("S0/ticker", move || {
                loop {
                    std::thread::sleep(10 * MS);
                    *shared.lock() += 1; // the line of the call
                }
            });
            thread::spawn("S1/ticker", move || {
                loop {
                    *lock.lock() += 1;
                    thread::yield_now();
                }
            });
            thread::sleep(60_000 * MS);
        });
        assert!(begun.elapsed() < 5000 * MS, "{failure}");
        let line =
            include_str!("failures.rs").lines().position(|line| line.ends_with("// the line of the call")).unwrap();
        let call = format!(
            "thread 'S0/ticker' computes or waits before its call at crates/labstd/tests/failures.rs:{}:",
            line + 1
        );
        assert_says(&failure, &["aborted: the virtual clock stood still for 0.3 s of real time", &call]);
        assert_says(&failure, &["sleep and wait only with labstd::thread, labstd::sync and labstd::channel"]);
    }
}

/// The clock moves between the sleeps, so the run is only slow.
#[test]
fn a_slow_run_whose_clock_moves_is_not_ended() {
    let run = Run::simulated(1).stall_limit(100 * MS);
    let outcome = run.execute(|| {
        for _ in 0..30 {
            std::thread::sleep(10 * MS);
            thread::sleep(MS);
        }
    });
    assert!(outcome.result.is_ok(), "{:?}", outcome.result);
}

#[test]
fn a_spinning_os_thread_is_named_when_the_time_limit_is_over() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let failure = failure(Run::threads(1).time_limit(1000 * MS), || {
        thread::spawn("spinner", || {
            while !STOP.load(SeqCst) {
                std::hint::spin_loop();
            }
        });
        thread::sleep(Duration::from_secs(3600));
    });
    STOP.store(true, SeqCst);
    assert_says(
        &failure,
        &["not finished after 1 s", "spinner: running (it has not blocked)", "main: in thread::sleep"],
    );
}

#[test]
fn the_time_limit_uses_the_runs_clock_and_names_stuck_threads() {
    for clock in BOTH {
        let outcome = Run::new(clock, 1).time_limit(1000 * MS).execute(|| {
            let (_tx, rx) = channel::bounded::<()>(1);
            thread::spawn("stuck", move || rx.recv());
            loop {
                thread::sleep(10 * MS);
            }
        });
        let failure = outcome.result.unwrap_err();
        assert!(failure.is_time_limit());
        assert_says(&failure, &["not finished after 1 s", "stuck: in Receiver::recv", "main: in thread::sleep"]);
        assert!(outcome.stats.elapsed >= 1000 * MS);
    }
}

#[test]
fn a_livelock_ends_at_the_step_limit() {
    let failure = failure(Run::simulated(1).step_limit(10_000), || {
        loop {
            thread::sleep(MS);
        }
    });
    assert_says(&failure, &["livelock: not finished after 10000 scheduler steps"]);
}

/// Counts how often it is dropped, and blocks in its destructor.
struct BlocksWhenDropped(Arc<AtomicUsize>, Arc<Mutex<u32>>);

impl Drop for BlocksWhenDropped {
    fn drop(&mut self) {
        thread::sleep(MS);
        *self.1.lock() += 1;
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn threads_left_at_the_end_unwind_and_may_block_in_destructors() {
    let left = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&left);
    labstd::simulate(1, move || {
        let lock = Arc::new(Mutex::new(0));
        for n in 0..20 {
            let guard = BlocksWhenDropped(Arc::clone(&counted), Arc::clone(&lock));
            let waits: fn() = [|| thread::sleep(Duration::from_secs(9)), wait_for_ever][n % 2];
            thread::spawn(format!("left-{n}"), move || {
                let _guard = guard;
                waits();
            });
        }
        thread::sleep(MS);
    });
    assert_eq!(left.load(SeqCst), 20);
}

fn wait_for_ever() {
    let (_tx, rx) = channel::bounded::<()>(1);
    let _ = rx.recv();
}

#[test]
fn a_panic_counts_even_if_it_lets_the_body_end() {
    /// Lets the body end, and then takes its time: the panic is reported after that.
    struct EndsTheBody(channel::Sender<()>);
    impl Drop for EndsTheBody {
        fn drop(&mut self) {
            let _ = self.0.send(());
            thread::sleep(50 * MS);
        }
    }
    for clock in BOTH {
        let outcome = Run::new(clock, 1).execute(|| {
            let (ended, wait) = channel::bounded(1);
            thread::spawn("panics", move || {
                let _ends = EndsTheBody(ended);
                panic!("the reason");
            });
            let _ = wait.recv();
        });
        match outcome.result {
            Err(Failure::Panic(panicked)) => assert_eq!(panicked.message, "the reason"),
            other => panic!("{clock:?}: {other:?}"),
        }
    }
}

#[test]
fn a_caught_panic_fails_no_run() {
    for clock in BOTH {
        let outcome = Run::new(clock, 1).execute(|| {
            thread::spawn("catches", || {
                let _ = catch_unwind(|| panic!("caught"));
                thread::sleep(5 * MS);
                wait_for_ever();
            });
            thread::sleep(20 * MS);
        });
        assert!(outcome.result.is_ok(), "{clock:?}: {:?}", outcome.result);
        assert!(outcome.stats.elapsed < 1000 * MS, "{clock:?}: the run waited for the caught panic");
    }
}

#[test]
fn a_thread_that_never_begins_may_own_blocking_destructors() {
    struct LocksWhenDropped(Arc<Mutex<()>>);
    impl Drop for LocksWhenDropped {
        fn drop(&mut self) {
            drop(self.0.lock());
        }
    }
    for seed in 1..=20 {
        labstd::simulate(seed, || {
            let owned = LocksWhenDropped(Arc::default());
            drop(thread::spawn("late", move || drop(owned)));
        });
    }
}

#[test]
fn a_thread_cannot_outlive_its_run_by_catching_the_unwind() {
    labstd::simulate(1, || {
        thread::spawn("clinging", || {
            loop {
                let _ = catch_unwind(AssertUnwindSafe(|| thread::sleep(MS)));
            }
        });
        thread::sleep(10 * MS);
    });
}

#[test]
fn locks_of_an_unwound_thread_are_free() {
    let lock = Arc::new(Mutex::new(1));
    let held = Arc::clone(&lock);
    labstd::simulate(1, move || {
        thread::spawn("holder", move || {
            let _held = held.lock();
            wait_for_ever();
        });
        thread::sleep(MS);
    });
    assert_eq!(lock.try_lock().map(|value| *value), Some(1));
}

#[test]
fn simultaneous_simulations_do_not_affect_each_other() {
    let jobs: Vec<_> = (0..4)
        .map(|job| {
            std::thread::spawn(move || {
                for seed in 0..20 {
                    let outcome = Run::simulated(seed).execute(move || {
                        thread::sleep(MS);
                        assert!(job % 2 == 0, "odd");
                    });
                    assert_eq!(outcome.result.is_ok(), job % 2 == 0);
                }
            })
        })
        .collect();
    jobs.into_iter().for_each(|job| job.join().unwrap());
}

#[test]
fn a_std_thread_that_uses_a_simulations_channel_fails_the_run() {
    let failure = failure(Run::simulated(1), || {
        let (tx, rx) = channel::unbounded();
        let sent = std::thread::Builder::new().name("stray".to_string()).spawn(move || tx.send(1)).expect("a thread");
        assert!(sent.join().is_err(), "it is unwound");
        while rx.recv().is_ok() {}
        thread::sleep(MS);
    });
    assert_says(
        &failure,
        &["a thread outside of any run", "'stray'", "uses a channel of this simulation at crates/labstd/tests"],
    );
    assert_says(&failure, &["labstd::thread::spawn"]);
}

#[test]
fn a_channel_may_be_used_after_its_simulation() {
    let (tx, rx) = labstd::simulate(1, channel::unbounded);
    tx.send(1).expect("there is a receiver");
    assert_eq!(rx.recv(), Ok(1));
}
