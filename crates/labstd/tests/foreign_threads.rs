//! Threads of `std` in a simulation. Each use of an object of the simulation fails the run, with a sentence that names
//! the object and the thread.

use labstd::sync::{Arc, Condvar, Latch, Mutex};
use labstd::thread::{self, Group};
use labstd::time::Duration;
use labstd::{HomeRun, Run, channel};

/// Runs `body` on an OS thread, which a simulation starts and waits for. Returns the failure of the simulation.
fn failure<T: Send + 'static>(set_up: fn() -> T, foreign: fn(T)) -> String {
    let outcome = Run::simulated(1).execute(move || {
        let object = set_up();
        let stray = std::thread::Builder::new().name("stray".to_string()).spawn(move || foreign(object)).unwrap();
        let _ = stray.join();
        thread::sleep(Duration::from_millis(1));
    });
    outcome.result.expect_err("the thread is found").to_string()
}

fn assert_told(text: &str, object: &str) {
    assert!(text.starts_with("a thread outside of any run (one of std::thread?), named 'stray', "), "{text}");
    assert!(text.contains(object) && text.contains("of this simulation at crates/labstd/tests/"), "{text}");
    assert!(
        text.ends_with("start threads with labstd::thread::spawn, so that the seed decides when they run"),
        "{text}"
    );
}

#[test]
fn a_lock() {
    let used = || {
        let lock = Arc::new(Mutex::new(0));
        *lock.lock() += 1;
        lock
    };
    assert_told(&failure(used, |lock| *lock.lock() += 1), "uses the lock made at crates/labstd/tests/");
    assert_told(&failure(used, |lock| drop(lock.try_lock())), "uses the lock made at crates/labstd/tests/");
}

#[test]
fn a_condition_variable() {
    let used = || {
        let condvar = Arc::new(Condvar::new());
        condvar.notify_all();
        condvar
    };
    assert_told(&failure(used, |condvar| condvar.notify_one()), "uses a condition variable");
    assert_told(&failure(used, |condvar| condvar.notify_all()), "uses a condition variable");
    assert_told(&failure(used, |condvar| condvar.wait(&mut Mutex::new(()).lock())), "uses a condition variable");
}

#[test]
fn a_latch() {
    let used = || {
        let latch = Arc::new(Latch::new());
        latch.wait_for(Duration::from_millis(1));
        latch
    };
    assert_told(&failure(used, |latch| latch.open()), "uses a latch");
    assert_told(&failure(used, |latch| assert!(latch.wait_for(Duration::ZERO))), "uses a latch");
}

#[test]
fn a_channel() {
    let receiver = || channel::unbounded::<u64>().1;
    assert_told(&failure(receiver, |rx| assert!(rx.try_recv().is_ok())), "uses a channel");
    assert_told(&failure(receiver, |rx| assert!(rx.recv().is_ok())), "uses a channel");
    let pair = || channel::bounded::<u64>(1);
    assert_told(&failure(pair, |(tx, _rx)| assert!(tx.try_send(1).is_ok())), "uses a channel");
    assert_told(&failure(pair, |(tx, _rx)| assert!(tx.send(1).is_ok())), "uses a channel");
}

#[test]
fn an_object_of_a_library() {
    let check =
        |home: HomeRun| home.check(|| "calls S.Ask over the network".to_string(), std::panic::Location::caller());
    assert_told(&failure(HomeRun::current, check), "calls S.Ask over the network");
}

/// A thread without a name inherits the name of the simulation's OS thread on Linux.
#[cfg(target_os = "linux")]
#[test]
fn a_thread_without_a_name_is_found_before_it_uses_an_object() {
    for foreign in [|| thread::sleep(Duration::from_millis(1)), || drop(thread::context())] {
        let outcome = Run::simulated(1).execute(move || {
            let _ = std::thread::spawn(foreign).join();
            thread::sleep(Duration::from_millis(1));
        });
        let text = outcome.result.expect_err("the thread is found").to_string();
        assert!(text.starts_with("a thread outside of any run (one of std::thread?) "), "{text}");
    }
}

/// A run that fails while such a thread is alive does not blame anything else.
#[cfg(target_os = "linux")]
#[test]
fn a_failure_beside_a_living_os_thread_names_the_thread_first() {
    let (end, ends) = std::sync::mpsc::channel::<()>();
    let ends = std::sync::Mutex::new(Some(ends));
    let outcome = Run::simulated(1).execute(move || {
        let ends = ends.lock().unwrap().take().unwrap();
        std::thread::spawn(move || ends.recv());
        panic!("no leader");
    });
    let text = outcome.result.map(|_: ()| ()).expect_err("it panics").to_string();
    drop(end);
    assert!(text.starts_with("the code under test started an OS thread"), "{text}");
    assert!(text.contains("no leader"), "{text}");
}

#[test]
fn objects_may_be_used_after_their_simulation_and_by_threads_of_another_kind_of_run() {
    let (lock, condvar) = labstd::simulate(1, || {
        let (lock, condvar) = (Arc::new(Mutex::new(0)), Arc::new(Condvar::new()));
        *lock.lock() += 1;
        condvar.notify_all();
        (lock, condvar)
    });
    labstd::run(move || {
        Group::new("others", None).enter(|| *lock.lock() += 1);
        condvar.notify_all();
        assert_eq!(*lock.lock(), 2);
    });
}
