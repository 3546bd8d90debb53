//! Thread lag: a ready thread of a lagging group can lose a race against a message, and is on time in other groups.

use labstd::channel;
use labstd::thread::{self, Group};
use labstd::time::{Duration, Instant};
use labstd::{Run, ThreadLag};

/// The time after which a message arrives that competes with a ready thread.
const MESSAGE: Duration = Duration::from_millis(1);

/// Returns how late the threads of a group woke from sleeps of 50 ms, and how many of the threads that they started
/// ran after a message that arrived [`MESSAGE`] later.
fn run(seed: u64, lag: ThreadLag, lagging: bool) -> (Duration, u32, u64) {
    const SLEEP: Duration = Duration::from_millis(50);
    const ROUNDS: u32 = 40;
    let outcome = Run::simulated(seed).thread_lag(lag).execute(move || {
        let group = Group::new("S0#1", None);
        let group = if lagging { group.lagging() } else { group };
        let (tx, rx) = channel::unbounded();
        let threads = group.enter(|| {
            thread::spawn("S0/ticker", move || {
                let (mut late, mut lost) = (Duration::ZERO, 0);
                for _ in 0..ROUNDS {
                    let before = Instant::now();
                    thread::sleep(SLEEP);
                    late += before.elapsed() - SLEEP;
                    let (begun, tx) = (Instant::now(), tx.clone());
                    let started = thread::spawn("S0/deliverer", move || tx.send(()).map(|()| begun.elapsed()));
                    let delivered_after = started.join().unwrap().unwrap();
                    lost += u32::from(delivered_after > MESSAGE);
                }
                (late, lost)
            })
        });
        let result = threads.join().unwrap();
        assert_eq!(rx.try_iter().count() as u32, ROUNDS);
        result
    });
    let (late, lost) = outcome.result.unwrap();
    (late, lost, outcome.stats.schedule_hash)
}

#[test]
fn a_ready_thread_of_a_lagging_group_loses_races() {
    let races: u32 = (1..=20).map(|seed| run(seed, ThreadLag::Often, true).1).sum();
    assert!(races >= 20, "{races} of 800 started threads ran late");
    let seeds = (1..=40).filter(|&seed| run(seed, ThreadLag::Drawn, true).0 > Duration::ZERO).count();
    assert!((10..=35).contains(&seeds), "{seeds} of 40 seeds held threads");
}

#[test]
fn threads_of_other_groups_and_of_runs_without_lag_are_on_time() {
    for seed in 1..=20 {
        for (lag, lagging) in [(ThreadLag::Often, false), (ThreadLag::Never, true)] {
            let (late, lost, _) = run(seed, lag, lagging);
            assert_eq!((late, lost), (Duration::ZERO, 0), "seed {seed}");
        }
    }
}

#[test]
fn holds_are_the_same_in_every_run_of_a_seed() {
    for seed in 1..=20 {
        assert_eq!(run(seed, ThreadLag::Often, true), run(seed, ThreadLag::Often, true), "seed {seed}");
    }
}

/// A thread that waits with a deadline, and is notified before it, was not timed out, even if it is held beyond the
/// deadline.
#[test]
fn a_hold_changes_no_outcome_of_a_wait() {
    for seed in 1..=50 {
        let outcome = Run::simulated(seed).thread_lag(ThreadLag::Often).execute(|| {
            let (tx, rx) = channel::bounded(1);
            let receiving = Group::new("S0#1", None).lagging().enter(|| {
                thread::spawn("S0/receiver", move || {
                    (0..100).all(|n| rx.recv_timeout(Duration::from_millis(21)) == Ok(n))
                })
            });
            for n in 0..100 {
                thread::sleep(Duration::from_millis(20));
                tx.send(n).unwrap();
            }
            receiving.join().unwrap()
        });
        assert!(outcome.result.unwrap(), "seed {seed}");
    }
}
