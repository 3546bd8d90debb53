//! The latch: something that happens once, and may be waited for.

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};

use crate::sim;
use crate::state::{leave_if_stopping, with_me};
use crate::threads::Blocked;
use crate::time::{Duration, Instant};
use crate::wait::Kind;

/// Shut at first, and open for good once somebody has opened it. What a [`Mutex`](super::Mutex) over a `bool` and a
/// [`Condvar`](super::Condvar) would do, without a lock to be taken by those who look or wait.
pub struct Latch {
    open: AtomicBool,
    /// What those who wait on OS threads sleep by.
    lock: parking_lot::Mutex<()>,
    opened: parking_lot::Condvar,
}

impl Latch {
    /// A shut latch.
    pub const fn new() -> Latch {
        Latch { open: AtomicBool::new(false), lock: parking_lot::Mutex::new(()), opened: parking_lot::Condvar::new() }
    }

    /// Whether it is open. What was done before it was opened is seen by whoever sees it open.
    pub fn is_open(&self) -> bool {
        self.open.load(Acquire)
    }

    /// Opens it and wakes all who wait.
    #[track_caller]
    pub fn open(&self) {
        match sim::current() {
            Some(sim) => {
                self.open.store(true, Release);
                sim.unpark_all(self.key());
                sim.preemption_point(Location::caller());
            }
            None => {
                {
                    // Under the lock, so that nobody misses it between a look and the wait.
                    let _held = self.lock.lock();
                    self.open.store(true, Release);
                }
                self.opened.notify_all();
            }
        }
    }

    /// Waits until it is open, but at most for `timeout`. Says whether it is.
    #[track_caller]
    pub fn wait_for(&self, timeout: Duration) -> bool {
        let at = Location::caller();
        if self.is_open() {
            return true;
        }
        match sim::current() {
            Some(sim) => {
                sim.park(self.key(), Kind::Latch, at, sim.deadline(timeout));
            }
            None => self.wait_on_threads(at, timeout),
        }
        self.is_open()
    }

    fn wait_on_threads(&self, at: &'static Location<'static>, timeout: Duration) {
        let deadline = Instant::now().checked_add(timeout);
        with_me(|me| {
            let blocked = me.map(|me| Blocked::new(me, Kind::Latch, at));
            let mut held = self.lock.lock();
            let shut = |_: &mut ()| !self.is_open();
            match deadline {
                None => self.opened.wait_while(&mut held, shut),
                Some(deadline) => drop(self.opened.wait_while_until(&mut held, shut, deadline.to_os())),
            }
            drop(held);
            drop(blocked);
            if let Some(me) = me {
                leave_if_stopping(me);
            }
        });
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
