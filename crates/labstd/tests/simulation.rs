//! The guarantees of the simulation beyond those of threads: virtual time, replay, and schedules that find bugs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use labstd::channel;
use labstd::rng::{self, RngExt};
use labstd::sync::{Condvar, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant};
use labstd::{Run, Stats, simulate};

const MS: Duration = Duration::from_millis(1);

#[test]
fn sleeping_costs_no_real_time() {
    let start = std::time::Instant::now();
    let slept = simulate(1, || {
        let start = Instant::now();
        for _ in 0..24 {
            thread::sleep(Duration::from_secs(3600));
        }
        start.elapsed()
    });
    assert_eq!(slept, Duration::from_secs(86_400));
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn time_stands_still_while_threads_run() {
    simulate(1, || {
        let start = Instant::now();
        let (tx, rx) = channel::unbounded();
        thread::spawn("sender", move || (0..1000).for_each(|n| tx.send(n).unwrap()));
        assert_eq!(rx.into_iter().count(), 1000);
        assert_eq!(start.elapsed(), Duration::ZERO);
    });
}

#[test]
fn timers_fire_in_the_order_of_their_times() {
    simulate(1, || {
        let woken = Arc::new(Mutex::new(Vec::new()));
        let sleepers: Vec<_> = [30, 10, 20]
            .into_iter()
            .map(|n| {
                let woken = Arc::clone(&woken);
                thread::spawn(format!("sleeper-{n}"), move || {
                    thread::sleep(n * MS);
                    woken.lock().push(n);
                })
            })
            .collect();
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        assert_eq!(*woken.lock(), [10, 20, 30]);
    });
}

#[test]
fn a_wait_that_ended_early_does_not_move_the_clock() {
    simulate(1, || {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let waiter = thread::spawn("waiter", {
            let shared = Arc::clone(&shared);
            move || shared.1.wait_while_for(&mut shared.0.lock(), |set| !*set, Duration::from_secs(100))
        });
        thread::sleep(MS);
        *shared.0.lock() = true;
        shared.1.notify_all();
        assert!(!waiter.join().unwrap().timed_out());
        thread::sleep(MS);
        assert_eq!(labstd::time::run_elapsed(), 2 * MS);
    });
}

/// A workload with locks, condition variables, channels and timers. All its results depend on the schedule.
fn busy(seed: u64) -> (Vec<(u64, usize)>, Stats) {
    let outcome = Run::simulated(seed).execute(|| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let (tx, rx) = channel::bounded::<usize>(2);
        let threads: Vec<_> = (0..6)
            .map(|n| {
                let (log, tx, rx) = (Arc::clone(&log), tx.clone(), rx.clone());
                let mut rng = rng::stream(&format!("worker/{n}"));
                thread::spawn(format!("worker-{n}"), move || {
                    for _ in 0..40 {
                        thread::sleep(Duration::from_micros(rng.random_range(0..50)));
                        if n % 2 == 0 {
                            tx.send(n).unwrap();
                        } else {
                            let from = rx.recv_timeout(MS).unwrap_or(99);
                            log.lock().push((labstd::time::run_elapsed().as_nanos() as u64, n * 100 + from));
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        std::mem::take(&mut *log.lock())
    });
    let stats = Stats { wall_time: Duration::ZERO, ..outcome.stats };
    (outcome.result.unwrap(), stats)
}

#[test]
fn equal_seeds_give_equal_runs() {
    let alone: Vec<_> = (0..40).map(busy).collect();
    let four_at_once: Vec<_> = (0..4)
        .map(|job| std::thread::spawn(move || (0..40).skip(job).step_by(4).map(busy).collect::<Vec<_>>()))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|job| job.join().unwrap())
        .collect();
    for (seed, expected) in alone.iter().enumerate() {
        assert_eq!(&four_at_once[seed % 4][seed / 4], expected, "seed {seed}");
    }
}

#[test]
fn different_seeds_give_different_runs() {
    let hashes: std::collections::BTreeSet<u64> = (0..40).map(|seed| busy(seed).1.schedule_hash).collect();
    assert_eq!(hashes.len(), 40);
}

/// The schedule's hash is part of the meaning of a seed: if it changes, every recorded seed stands for another run.
#[test]
fn the_schedule_of_a_seed_is_the_same_on_every_machine() {
    assert_eq!(busy(7).1.schedule_hash, 0xdd7c_60ee_5aaf_deab, "{:#x}", busy(7).1.schedule_hash);
}

/// The number of seeds, of 400, for which `finds` returns true.
fn seeds_found(finds: fn() -> bool) -> usize {
    (0..400).filter(|&seed| simulate(seed, finds)).count()
}

#[test]
fn schedules_find_a_lost_update() {
    let found = seeds_found(|| {
        let counter = Arc::new(Mutex::new(0));
        let add = |counter: Arc<Mutex<i32>>| {
            move || {
                let seen = *counter.lock();
                *counter.lock() = seen + 1;
            }
        };
        let one = thread::spawn("one", add(Arc::clone(&counter)));
        let two = thread::spawn("two", add(Arc::clone(&counter)));
        one.join().unwrap();
        two.join().unwrap();
        *counter.lock() != 2
    });
    assert!(found > 40, "found in {found} of 400 seeds");
}

#[test]
fn schedules_find_an_if_where_a_while_should_be() {
    let found = seeds_found(|| {
        let queue = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let empty_handed = Arc::new(AtomicUsize::new(0));
        let takers: Vec<_> = (0..2)
            .map(|n| {
                let (queue, empty_handed) = (Arc::clone(&queue), Arc::clone(&empty_handed));
                thread::spawn(format!("taker-{n}"), move || {
                    let mut items = queue.0.lock();
                    if items.is_empty() {
                        queue.1.wait_for(&mut items, MS);
                    }
                    if items.pop().is_none() {
                        empty_handed.fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        for n in 0..2 {
            queue.0.lock().push(n);
            queue.1.notify_all();
        }
        takers.into_iter().for_each(|taker| taker.join().unwrap());
        empty_handed.load(SeqCst) > 0
    });
    assert!(found > 8, "found in {found} of 400 seeds");
}

#[test]
fn schedules_find_a_stale_check_before_an_action() {
    let found = seeds_found(|| {
        let seats = Arc::new(Mutex::new(1));
        let take = |seats: Arc<Mutex<i32>>| {
            move || {
                let free = *seats.lock() > 0;
                if free {
                    *seats.lock() -= 1;
                }
            }
        };
        let one = thread::spawn("one", take(Arc::clone(&seats)));
        let two = thread::spawn("two", take(Arc::clone(&seats)));
        one.join().unwrap();
        two.join().unwrap();
        *seats.lock() < 0
    });
    assert!(found > 40, "found in {found} of 400 seeds");
}

#[test]
fn schedules_try_every_order_of_threads_with_equal_deadlines() {
    let orders: std::collections::BTreeSet<Vec<usize>> = (0..400)
        .map(|seed| {
            simulate(seed, || {
                let woken = Arc::new(Mutex::new(Vec::new()));
                let threads: Vec<_> = (0..3)
                    .map(|n| {
                        let woken = Arc::clone(&woken);
                        thread::spawn(format!("sleeper-{n}"), move || {
                            thread::sleep(MS);
                            woken.lock().push(n);
                        })
                    })
                    .collect();
                threads.into_iter().for_each(|thread| thread.join().unwrap());
                woken.lock().clone()
            })
        })
        .collect();
    assert_eq!(orders.len(), 6, "{orders:?}");
}

#[test]
fn threads_that_run_one_after_the_other_reuse_stacks() {
    simulate(1, || {
        for n in 0..60_000_u32 {
            assert_eq!(thread::spawn("short", move || n).join().unwrap(), n);
        }
    });
}

#[test]
fn a_step_counter_shows_the_steps_of_a_run_to_other_threads() {
    let steps = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let outcome = Run::simulated(7).step_counter(Arc::clone(&steps)).execute(|| {
        (0..10).for_each(|_| thread::sleep(Duration::from_millis(1)));
    });
    assert!(outcome.stats.steps > 10);
    assert_eq!(steps.load(std::sync::atomic::Ordering::SeqCst), outcome.stats.steps);
}
