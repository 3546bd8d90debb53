use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::Sender;
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use labstd::sync::{Arc, Mutex};
use labstd::thread;
use labstd::time::Duration;
use raftapi::{ApplyMsg, Index, Persister, Raft, ServerId, Started, Term};

use super::*;
use crate::{Subject, raft_scenarios};

/// What a Raft takes from outside of the simulation.
#[derive(Clone, Copy, Debug)]
enum Outside {
    Nothing,
    OrderOfAMap,
    Clock,
    Thread,
    ThreadThatLocks,
}

/// A Raft that asks its peers something every 20 ms, in an order and at times that may come from outside.
struct Asker;

impl Asker {
    fn with(outside: Outside) -> Subject<Asker> {
        Subject::with_factory(move |peers, me, _, _| {
            let peers = Arc::new(peers);
            let asks = Arc::clone(&peers);
            let lock = Arc::new(Mutex::new(0u64));
            if matches!(outside, Outside::ThreadThatLocks) {
                let (lock, locked) = (Arc::clone(&lock), Arc::new(AtomicBool::new(false)));
                let sign = Arc::clone(&locked);
                on_a_thread_of_std(move || {
                    std::mem::forget(lock.lock());
                    sign.store(true, SeqCst);
                });
                while !locked.load(SeqCst) {
                    std::hint::spin_loop();
                }
            }
            thread::spawn(format!("{me}/asker"), move || {
                loop {
                    thread::sleep(Duration::from_millis(20));
                    if matches!(outside, Outside::ThreadThatLocks) {
                        drop(lock.lock());
                    }
                    for peer in order(outside, asks.len()) {
                        let _ = asks[peer].call::<u64, u64>("Raft.Ask", &0);
                    }
                }
            });
            Asker
        })
    }
}

/// In which order the peers are asked, after what else comes from outside.
fn order(outside: Outside, peers: usize) -> Vec<usize> {
    match outside {
        #[expect(clippy::disallowed_types, reason = "what this is a test of")]
        Outside::OrderOfAMap => {
            let peers: std::collections::HashMap<usize, ()> = (0..peers).map(|peer| (peer, ())).collect();
            return peers.into_keys().collect();
        }
        #[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "what this is a test of")]
        Outside::Clock => {
            let begun = std::time::Instant::now();
            std::thread::sleep(std::time::Duration::from_micros(1));
            thread::sleep(begun.elapsed());
        }
        Outside::Thread => {
            // A number that is as large as the thread is slow to begin.
            let begun = Arc::new(AtomicBool::new(false));
            let sign = Arc::clone(&begun);
            on_a_thread_of_std(move || sign.store(true, SeqCst));
            let mut turns = 0;
            while !begun.load(SeqCst) {
                turns += 1;
                std::hint::spin_loop();
            }
            thread::sleep(Duration::from_nanos(turns));
        }
        _ => {}
    }
    (0..peers).collect()
}

#[expect(clippy::disallowed_methods, reason = "what this is a test of")]
fn on_a_thread_of_std(body: impl FnOnce() + Send + 'static) {
    std::thread::spawn(body);
}

impl Raft for Asker {
    fn make(_: Vec<ClientEnd>, _: ServerId, _: Arc<Persister>, _: Sender<ApplyMsg>) -> Asker {
        Asker
    }
    fn services(&self) -> Vec<Service> {
        vec![Service::new("Raft").method("Ask", |number: u64| number)]
    }
    fn start(&self, _: Bytes) -> Option<Started> {
        None
    }
    fn get_state(&self) -> (Term, bool) {
        (Term::ZERO, false)
    }
    fn snapshot(&self, _: Index, _: Bytes) {}
    fn persist_bytes(&self) -> usize {
        0
    }
    fn kill(&self) {}
}

fn twice(outside: Outside) -> (Report, Option<Divergence>) {
    let scenario = &raft_scenarios(&Asker::with(outside))[0];
    let report = runner::run(scenario, Clock::Simulated, 7);
    let divergence = rerun(scenario, &report);
    (report, divergence)
}

#[test]
fn what_takes_nothing_from_outside_is_the_same_run_twice() {
    let (report, divergence) = twice(Outside::Nothing);
    assert!(report.record.count(Topic::Rpc) > 100, "it asks");
    assert_eq!(divergence, None);
}

#[test]
fn the_order_of_a_map_the_clock_and_threads_of_the_os_are_found() {
    for outside in [Outside::OrderOfAMap, Outside::Clock, Outside::Thread] {
        let (_, divergence) = twice(outside);
        let divergence = divergence.unwrap_or_else(|| panic!("{outside:?} is not found"));
        let text = divergence.to_string();
        assert!(text.starts_with("NOT DETERMINISTIC: two runs of seed 7 differ from event "), "{outside:?}: {text}");
        assert!(divergence.point.number > 1 && divergence.point.first != divergence.point.second, "{text}");
    }
}

#[test]
fn a_lock_that_a_thread_of_std_holds_is_a_failure_that_says_so() {
    let (report, _) = twice(Outside::ThreadThatLocks);
    let text = &report.run_failure().expect("nobody else gets the lock").text;
    assert!(text.starts_with("a lock is held too long: "), "{text}");
    assert!(text.contains("its holder is a thread outside of any run (one of std::thread?)"), "{text}");
}

#[test]
fn what_differed_is_what_failed_and_a_run_that_passed_has_not() {
    let (report, divergence) = twice(Outside::OrderOfAMap);
    let before = report.run_failure().expect("nobody is elected").text.clone();
    let passed = Report { verdict: Verdict::Passed(Vec::new()), ..report.clone() };
    let failed = report.with(divergence.clone());
    let text = &failed.run_failure().expect("as before").text;
    assert!(text.starts_with("NOT DETERMINISTIC: ") && text.ends_with(&format!("the first run: {before}")), "{text}");
    let passed = passed.with(divergence.clone());
    assert!(!passed.passed() && passed.divergence == divergence);
    let closing = crate::harness::failure_footer(&passed, &crate::artifacts::Artifacts::default(), "starter");
    assert!(!closing.contains("replay") && closing.contains("again:   LAB_SEED=7 cargo test -p starter"), "{closing}");
}

#[test]
fn streams_part_where_one_of_them_ends() {
    let event = |at| Event { at, server: None, kind: EventKind::Failed { text: "it goes on".to_string() } };
    let stream = |length| (0..length).map(event);
    assert_eq!(first_divergence(stream(5), stream(5)), None);
    let shorter = first_divergence(stream(5), stream(4)).expect("one is longer");
    assert_eq!((shorter.number, &shorter.first, &shorter.second), (5, &Some(event(4)), &None));
    assert_eq!(shorter.before, [event(1), event(2), event(3)]);
    let longer = first_divergence(stream(0), stream(1)).expect("one is longer");
    assert_eq!((longer.number, longer.first, longer.second), (1, None, Some(event(0))));
}
