//! The latch: an event that happens once and that threads can wait for.

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};

use crate::current_thread::with_current_thread;
use crate::foreign;
use crate::home::Home;
use crate::os_threads::{Blocked, unwind_if_stopping};
use crate::sim;
use crate::time::{Duration, Instant};
use crate::wait::WaitKind;

/// A flag that is closed at first and stays open once a thread has opened it. It does what a [`Mutex`](super::Mutex)
/// over a `bool` and a [`Condvar`](super::Condvar) would do, but reading it and waiting for it take no lock.
pub struct Latch {
    open: AtomicBool,
    /// The simulation whose threads use it.
    home: Home,
    /// The lock and condition variable by which waiting OS threads sleep.
    lock: parking_lot::Mutex<()>,
    opened: parking_lot::Condvar,
}

impl Latch {
    /// Creates a closed latch.
    pub const fn new() -> Latch {
        Latch {
            open: AtomicBool::new(false),
            home: Home::none(),
            lock: parking_lot::Mutex::new(()),
            opened: parking_lot::Condvar::new(),
        }
    }

    /// Returns whether the latch is open. A thread that sees it open also sees everything that was done before it was
    /// opened.
    pub fn is_open(&self) -> bool {
        self.open.load(Acquire)
    }

    /// Opens the latch and wakes all waiting threads.
    #[track_caller]
    pub fn open(&self) {
        match sim::current() {
            Some(sim) => {
                self.home.set(sim.number());
                self.open.store(true, Release);
                sim.unpark_all(self.key());
                sim.preemption_point(Location::caller());
            }
            None => {
                self.check_home(Location::caller());
                {
                    // Under the lock, so that no thread misses it between its check and its wait.
                    let _held = self.lock.lock();
                    self.open.store(true, Release);
                }
                self.opened.notify_all();
            }
        }
    }

    /// Waits until the latch is open, but at most for `timeout`. Returns whether it is open.
    #[track_caller]
    pub fn wait_for(&self, timeout: Duration) -> bool {
        let at = Location::caller();
        if self.is_open() {
            return true;
        }
        match sim::current() {
            Some(sim) => {
                self.home.set(sim.number());
                sim.park(self.key(), WaitKind::Latch, at, sim.deadline(timeout));
            }
            None => self.wait_on_threads(at, timeout),
        }
        self.is_open()
    }

    fn wait_on_threads(&self, at: &'static Location<'static>, timeout: Duration) {
        self.check_home(at);
        let deadline = Instant::now().checked_add(timeout);
        with_current_thread(|me| {
            let blocked = me.map(|me| Blocked::new(me, WaitKind::Latch, at));
            let mut held = self.lock.lock();
            let shut = |_: &mut ()| !self.is_open();
            match deadline {
                None => self.opened.wait_while(&mut held, shut),
                Some(deadline) => drop(self.opened.wait_while_until(&mut held, shut, deadline.to_os())),
            }
            drop(held);
            drop(blocked);
            if let Some(me) = me {
                unwind_if_stopping(me);
            }
        });
    }

    /// Fails the simulation whose threads use this; the calling thread is part of none.
    fn check_home(&self, at: &'static Location<'static>) {
        foreign::check_home(&self.home, || "a latch".to_string(), at);
    }

    fn key(&self) -> usize {
        sim::key(&self.open)
    }
}

impl Default for Latch {
    fn default() -> Latch {
        Latch::new()
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latch").field("open", &self.is_open()).finish()
    }
}
