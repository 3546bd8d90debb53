use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::Sender;
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use labstd::sync::{Arc, Mutex};
use labstd::thread;
use labstd::time::Duration;
use raftapi::{ApplyMsg, Index, Persister, Raft, ServerId, Started, Term};

use super::*;
use crate::{Subject, Verdict, raft_scenarios};

/// Source of nondeterminism that a Raft uses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Nothing,
    MapOrder,
    Clock,
    Thread,
    LockingThread,
    /// A ticker on an OS thread, with or without a name.
    Ticker {
        named: bool,
    },
}

/// A Raft that calls its peers every 20 ms, in an order and at times that may depend on something outside the
/// simulation.
pub(crate) struct Caller;

impl Caller {
    pub(crate) fn with(source: Source) -> Subject {
        Subject::with_factory(move |peers, me, _, _| {
            let peers = Arc::new(peers);
            let asks = Arc::clone(&peers);
            let lock = Arc::new(Mutex::new(0u64));
            if matches!(source, Source::LockingThread) {
                let (lock, locked) = (Arc::clone(&lock), Arc::new(AtomicBool::new(false)));
                let sign = Arc::clone(&locked);
                spawn_on_std_thread(move || {
                    std::mem::forget(lock.lock());
                    sign.store(true, SeqCst);
                });
                while !locked.load(SeqCst) {
                    std::hint::spin_loop();
                }
            }
            if let Source::Ticker { named } = source {
                let lock = Arc::clone(&lock);
                let tick = move || {
                    loop {
                        if !named {
                            thread::sleep(Duration::from_millis(10));
                        }
                        *lock.lock() += 1;
                    }
                };
                match named {
                    true => drop(std::thread::Builder::new().name(format!("ticker-{me}")).spawn(tick)),
                    false => spawn_on_std_thread(tick),
                }
            }
            thread::spawn(format!("{me}/asker"), move || {
                loop {
                    thread::sleep(Duration::from_millis(20));
                    if matches!(source, Source::LockingThread | Source::Ticker { .. }) {
                        drop(lock.lock());
                    }
                    for peer in call_order(source, asks.len()) {
                        let _ = asks[peer].call::<u64, u64>("Raft.Ask", &0);
                    }
                }
            });
            Caller
        })
    }
}

/// Returns the order in which the peers are called, and uses the other sources of nondeterminism.
fn call_order(source: Source, peers: usize) -> Vec<usize> {
    match source {
        #[expect(clippy::disallowed_types, reason = "the test checks that this is detected")]
        Source::MapOrder => {
            let peers: std::collections::HashMap<usize, ()> = (0..peers).map(|peer| (peer, ())).collect();
            return peers.into_keys().collect();
        }
        #[expect(
            clippy::disallowed_methods,
            clippy::disallowed_types,
            reason = "the test checks that this is detected"
        )]
        Source::Clock => {
            let begun = std::time::Instant::now();
            std::thread::sleep(std::time::Duration::from_micros(1));
            thread::sleep(begun.elapsed());
        }
        Source::Thread => {
            // A number that grows with the time that the thread takes to start.
            let begun = Arc::new(AtomicBool::new(false));
            let sign = Arc::clone(&begun);
            spawn_on_std_thread(move || sign.store(true, SeqCst));
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

#[expect(clippy::disallowed_methods, reason = "the test checks that this is detected")]
fn spawn_on_std_thread(body: impl FnOnce() + Send + 'static) {
    std::thread::spawn(body);
}

impl Raft for Caller {
    fn make(_: Vec<ClientEnd>, _: ServerId, _: Arc<Persister>, _: Sender<ApplyMsg>) -> Caller {
        Caller
    }
    fn services(&self) -> Vec<Service> {
        let methods = ["Ask", "RequestVote", "AppendEntries"];
        vec![methods.into_iter().fold(Service::new("Raft"), |raft, name| raft.method(name, |number: u64| number))]
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

fn run_twice(source: Source) -> (Report, Option<Divergence>) {
    let scenario = &raft_scenarios(&Caller::with(source))[0];
    let report = runner::run(scenario, Clock::Simulated, 7);
    let divergence = rerun(scenario, &report);
    (report, divergence)
}

#[test]
fn a_deterministic_raft_gives_the_same_run_twice() {
    let (report, divergence) = run_twice(Source::Nothing);
    assert!(report.record.count(Topic::Rpc) > 100, "the servers call each other");
    assert_eq!(divergence, None);
}

#[test]
fn map_order_os_clock_and_os_threads_are_detected() {
    for source in [Source::MapOrder, Source::Clock, Source::Thread] {
        let (_, divergence) = run_twice(source);
        let divergence = divergence.unwrap_or_else(|| panic!("{source:?} is not detected"));
        let text = divergence.to_string();
        assert!(text.starts_with("NOT DETERMINISTIC: two runs of seed 7 differ from event "), "{source:?}: {text}");
        assert!(divergence.point.number > 1 && divergence.point.first != divergence.point.second, "{text}");
    }
}

#[test]
fn a_lock_held_by_a_std_thread_is_reported() {
    let (report, _) = run_twice(Source::LockingThread);
    let text = &report.run_failure().expect("no other thread gets the lock").text;
    let told = "a thread outside of any run (one of std::thread?) holds the lock made at ";
    assert!(text.starts_with(told) && text.contains("start threads with labstd::thread::spawn"), "{text}");
}

/// Without its ticker no server is elected, but this is not the fault of a rule of Raft.
#[test]
fn a_ticker_on_an_os_thread_is_told_and_no_rule_is_blamed() {
    for named in [false, true] {
        let (report, _) = run_twice(Source::Ticker { named });
        let run_failure = report.run_failure().expect("the ticker is no part of the simulation");
        let text = &run_failure.text;
        assert!(text.starts_with("a thread outside of any run (one of std::thread?)"), "{text}");
        assert!(text.contains("start threads with labstd::thread::spawn"), "{text}");
        assert!(named == text.contains("'ticker-S"), "{text}");
        assert!(run_failure.foreign_thread && run_failure.diagnosis.first().is_none(), "{text}");
    }
}

#[test]
fn a_divergence_fails_the_run_even_if_it_passed() {
    let (report, divergence) = run_twice(Source::MapOrder);
    let before = report.run_failure().expect("no server is elected").text.clone();
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
fn streams_diverge_where_one_of_them_ends() {
    let event = |at| Event { at, server: None, kind: EventKind::Failed { text: "it continues".to_string() } };
    let stream = |length| (0..length).map(event);
    assert_eq!(first_divergence(stream(5), stream(5)), None);
    let shorter = first_divergence(stream(5), stream(4)).expect("one is longer");
    assert_eq!((shorter.number, &shorter.first, &shorter.second), (5, &Some(event(4)), &None));
    assert_eq!(shorter.before, [event(1), event(2), event(3)]);
    let longer = first_divergence(stream(0), stream(1)).expect("one is longer");
    assert_eq!((longer.number, longer.first, longer.second), (1, None, Some(event(0))));
}
