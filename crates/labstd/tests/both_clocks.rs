//! The behaviour of locks, condition variables, channels, threads and groups under both clocks.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use labstd::channel::{self, RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};
use labstd::sync::{Condvar, Latch, Mutex};
use labstd::thread::{self, Group};
use labstd::time::{Duration, Instant, run_elapsed};
use labstd::{rng, rng::RngExt};

const MS: Duration = Duration::from_millis(1);

labstd::under_both_clocks! {
    seeds 0..=199;
    a_lock_admits_one_thread_at_a_time,
    try_lock_fails_while_the_lock_is_held,
    a_notification_wakes_a_waiting_thread,
    notify_all_wakes_all_waiting_threads,
    a_timed_wait_ends_at_its_timeout,
    wait_while_for_tells_a_timeout_from_its_condition,
    opening_a_latch_wakes_all_waiting_threads,
    a_wait_for_a_closed_latch_ends_at_its_timeout,
    a_bounded_channel_makes_its_sender_wait,
    messages_arrive_in_order,
    dropping_the_last_sender_disconnects,
    dropping_the_last_receiver_disconnects,
    timed_channel_calls_end_at_their_timeout,
    every_message_is_received_once,
    a_sleep_takes_its_time,
    a_thread_inherits_its_group_and_context,
    a_thread_leaves_an_entered_group_when_the_call_returns,
    other_threads_see_the_group_that_a_thread_has_entered,
    a_group_lists_its_members_and_their_waits,
    join_returns_the_threads_return_value,
    a_stream_depends_on_its_name_alone,
}

fn a_lock_admits_one_thread_at_a_time() {
    let counter = Arc::new(Mutex::new(0));
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let counter = Arc::clone(&counter);
            thread::spawn(format!("adder-{n}"), move || {
                for _ in 0..50 {
                    let mut counter = counter.lock();
                    let seen = *counter;
                    thread::yield_now();
                    *counter = seen + 1;
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*counter.lock(), 200);
}

fn try_lock_fails_while_the_lock_is_held() {
    let lock = Mutex::new(1);
    let held = lock.lock();
    assert!(lock.try_lock().is_none());
    assert!(lock.is_locked());
    drop(held);
    assert_eq!(lock.try_lock().map(|value| *value), Some(1));
    assert_eq!(lock.into_inner(), 1);
}

/// A flag under a lock, and its condition variable.
type Flag = Arc<(Mutex<bool>, Condvar)>;

fn a_notification_wakes_a_waiting_thread() {
    let flag = Flag::default();
    let waiter = thread::spawn("waiter", {
        let flag = Arc::clone(&flag);
        move || {
            let mut set = flag.0.lock();
            while !*set {
                flag.1.wait(&mut set);
            }
        }
    });
    thread::sleep(5 * MS);
    *flag.0.lock() = true;
    flag.1.notify_one();
    waiter.join().unwrap();
}

fn notify_all_wakes_all_waiting_threads() {
    let flag = Flag::default();
    let waiters: Vec<_> = (0..5)
        .map(|n| {
            let flag = Arc::clone(&flag);
            thread::spawn(format!("waiter-{n}"), move || flag.1.wait_while(&mut flag.0.lock(), |set| !*set))
        })
        .collect();
    thread::sleep(5 * MS);
    *flag.0.lock() = true;
    flag.1.notify_all();
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
}

fn a_timed_wait_ends_at_its_timeout() {
    let flag = Flag::default();
    let start = Instant::now();
    let mut set = flag.0.lock();
    assert!(flag.1.wait_for(&mut set, 10 * MS).timed_out());
    assert!(start.elapsed() >= 10 * MS);
    assert!(flag.1.wait_until(&mut set, start + 5 * MS).timed_out());
    assert!(!*set);
}

fn wait_while_for_tells_a_timeout_from_its_condition() {
    let flag = Flag::default();
    assert!(flag.1.wait_while_for(&mut flag.0.lock(), |set| !*set, 5 * MS).timed_out());
    let setter = thread::spawn("setter", {
        let flag = Arc::clone(&flag);
        move || {
            thread::sleep(5 * MS);
            *flag.0.lock() = true;
            flag.1.notify_all();
        }
    });
    assert!(!flag.1.wait_while_for(&mut flag.0.lock(), |set| !*set, 10_000 * MS).timed_out());
    setter.join().unwrap();
}

fn opening_a_latch_wakes_all_waiting_threads() {
    let latch = Arc::new(Latch::new());
    let waiting: Vec<_> = (0..3)
        .map(|n| {
            let latch = Arc::clone(&latch);
            thread::spawn(format!("waiter-{n}"), move || latch.wait_for(Duration::from_secs(60)))
        })
        .collect();
    thread::sleep(5 * MS);
    assert!(!latch.is_open());
    let start = Instant::now();
    latch.open();
    assert!(latch.is_open());
    assert!(waiting.into_iter().all(|thread| thread.join().unwrap()));
    assert!(latch.wait_for(Duration::from_secs(60)), "a later wait returns at once");
    assert!(start.elapsed() < Duration::from_secs(30));
}

fn a_wait_for_a_closed_latch_ends_at_its_timeout() {
    let latch = Latch::new();
    let start = Instant::now();
    assert!(!latch.wait_for(5 * MS));
    assert!(start.elapsed() >= 5 * MS);
}

fn a_bounded_channel_makes_its_sender_wait() {
    let (tx, rx) = channel::bounded(1);
    let sender = thread::spawn("sender", move || {
        let start = Instant::now();
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        start.elapsed()
    });
    while rx.is_empty() {
        thread::sleep(MS);
    }
    thread::sleep(10 * MS);
    assert_eq!(rx.len(), 1);
    assert_eq!(rx.recv(), Ok(1));
    assert_eq!(rx.recv(), Ok(2));
    assert!(sender.join().unwrap() >= 5 * MS, "the second send waits while the channel is full");
}

fn messages_arrive_in_order() {
    let (tx, rx) = channel::bounded(3);
    let sender = thread::spawn("sender", move || (0..100).for_each(|n| tx.send(n).unwrap()));
    assert!(rx.iter().eq(0..100));
    sender.join().unwrap();
}

fn dropping_the_last_sender_disconnects() {
    let (tx, rx) = channel::unbounded::<u8>();
    let other = tx.clone();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    drop(tx);
    let receiver = thread::spawn("receiver", move || rx.recv().is_err());
    thread::sleep(5 * MS);
    assert!(!receiver.is_finished());
    drop(other);
    assert!(receiver.join().unwrap());
}

fn dropping_the_last_receiver_disconnects() {
    let (tx, rx) = channel::bounded(1);
    tx.send(1).unwrap();
    let sender = thread::spawn("sender", move || (tx.send(2).is_err(), tx));
    thread::sleep(5 * MS);
    drop(rx);
    let (refused, tx) = sender.join().unwrap();
    assert!(refused, "a waiting send ends when all receivers are gone");
    assert!(matches!(tx.try_send(3), Err(TrySendError::Disconnected(3))));
}

fn timed_channel_calls_end_at_their_timeout() {
    let (tx, rx) = channel::bounded(1);
    assert_eq!(rx.recv_timeout(5 * MS), Err(RecvTimeoutError::Timeout));
    tx.send(1).unwrap();
    assert!(matches!(tx.send_timeout(2, 5 * MS), Err(SendTimeoutError::Timeout(2))));
    assert_eq!(rx.recv_deadline(Instant::now() + 5 * MS), Ok(1));
    drop(tx);
    assert_eq!(rx.recv_timeout(5 * MS), Err(RecvTimeoutError::Disconnected));
}

fn every_message_is_received_once() {
    let (tx, rx) = channel::bounded(2);
    let receivers: Vec<_> = (0..3)
        .map(|n| {
            let rx = rx.clone();
            thread::spawn(format!("receiver-{n}"), move || rx.into_iter().sum::<u64>())
        })
        .collect();
    drop(rx);
    let senders: Vec<_> = (0..3)
        .map(|n| {
            let tx = tx.clone();
            thread::spawn(format!("sender-{n}"), move || (1..=20).for_each(|n| tx.send(n).unwrap()))
        })
        .collect();
    drop(tx);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    assert_eq!(receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum::<u64>(), 3 * 210);
}

fn a_sleep_takes_its_time() {
    let (start, since) = (Instant::now(), run_elapsed());
    thread::sleep(10 * MS);
    assert!(start.elapsed() >= 10 * MS);
    assert!(run_elapsed() - since >= 10 * MS);
    assert_eq!(start.duration_since(Instant::now()), Duration::ZERO);
}

fn a_thread_inherits_its_group_and_context() {
    assert!(thread::context().is_none());
    let group = Group::new("server-1", Some(Arc::new(17_u32)));
    let child = group.enter(|| thread::spawn("child", || thread::spawn("grandchild", seen_context).join().unwrap()));
    assert_eq!(child.join().unwrap(), Some(("server-1".to_string(), 17)));
    assert_eq!(seen_context(), None);
}

fn seen_context() -> Option<(String, u32)> {
    let number = *thread::context()?.downcast::<u32>().ok()?;
    Some((Group::current()?.name().to_string(), number))
}

fn a_thread_leaves_an_entered_group_when_the_call_returns() {
    let outer = Group::current().expect("a run has a group").name().to_string();
    let inside = Group::new("inside", None).enter(|| Group::current().unwrap().name().to_string());
    assert_eq!((inside.as_str(), Group::current().unwrap().name()), ("inside", outer.as_str()));
}

fn other_threads_see_the_group_that_a_thread_has_entered() {
    let groups = ["outer", "inner"].map(|name| Group::new(name, Some(Arc::new(name))));
    let (tx, rx) = channel::bounded::<()>(1);
    let visitor = thread::spawn("visitor", {
        let [outer, inner] = groups.clone();
        let stop = move || {
            let context = thread::context().map(|context| *context.downcast::<&str>().unwrap());
            assert_eq!(context, Group::current().map(|group| group.name().to_string()).as_deref());
            rx.recv().unwrap();
        };
        move || {
            outer.enter(|| {
                stop();
                let unwound = catch_unwind(AssertUnwindSafe(|| {
                    inner.enter(|| {
                        stop();
                        resume_unwind(Box::new("out of the inner group"));
                    })
                }));
                assert!(unwound.is_err());
                stop();
            });
        }
    });
    let [outer, inner] = &groups;
    for (group, other) in [(outer, inner), (inner, outer), (outer, inner)] {
        while group.threads().iter().all(|member| member.name != "visitor") {
            thread::sleep(MS);
        }
        assert!(other.threads().is_empty());
        tx.send(()).unwrap();
    }
    visitor.join().unwrap();
    assert!(groups.iter().all(|group| group.threads().is_empty()));
}

fn a_group_lists_its_members_and_their_waits() {
    let group = Group::new("server-1", None);
    let (tx, rx) = channel::bounded::<()>(1);
    let member = group.enter(|| thread::spawn("server-1/applier", move || rx.recv()));
    while group.threads().iter().all(|member| !member.activity.starts_with("in ")) {
        thread::sleep(MS);
    }
    let members = group.threads();
    assert_eq!(members.len(), 1, "{members:?}");
    assert_eq!((members[0].name.as_str(), members[0].group.as_str()), ("server-1/applier", "server-1"));
    assert!(
        members[0].activity.starts_with("in Receiver::recv at crates/labstd/tests/both_clocks.rs:"),
        "{}",
        members[0]
    );
    drop(tx);
    assert!(member.join().unwrap().is_err());
    while !group.threads().is_empty() {
        thread::sleep(MS);
    }
}

fn join_returns_the_threads_return_value() {
    let ran = Arc::new(AtomicUsize::new(0));
    let thread = thread::spawn("thread", {
        let ran = Arc::clone(&ran);
        move || ran.fetch_add(1, SeqCst) + 41
    });
    assert_eq!(thread.join().unwrap(), 41);
    assert_eq!(ran.load(SeqCst), 1);
}

fn a_stream_depends_on_its_name_alone() {
    let draw = |name| rng::stream(name).random::<u64>();
    assert_eq!(draw("net/0->1"), draw("net/0->1"));
    assert_ne!(draw("net/0->1"), draw("net/1->0"));
}
