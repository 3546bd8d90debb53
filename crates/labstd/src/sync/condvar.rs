//! The condition variable: `parking_lot`'s on threads, a queue of the scheduler in a simulation.

use std::fmt;
use std::panic::Location;

use crate::current_thread::with_current_thread;
use crate::foreign;
use crate::home::Home;
use crate::os_threads::{Blocked, unwind_if_stopping};
use crate::sim;
use crate::sync::MutexGuard;
use crate::time::{Duration, Instant};
use crate::wait::WaitKind;

/// A condition variable. Mirrors `parking_lot::Condvar`.
///
/// Wait in a loop that tests the condition: another thread may run between the notification and the wakeup.
pub struct Condvar {
    inner: parking_lot::Condvar,
    /// The simulation whose threads use it.
    home: Home,
}

/// The result of a timed wait: whether the timeout ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Returns whether the time was over before a notification came.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// Creates a condition variable without waiting threads.
    pub const fn new() -> Condvar {
        Condvar { inner: parking_lot::Condvar::new(), home: Home::none() }
    }

    /// Releases the lock, waits for a notification, and takes the lock again.
    #[track_caller]
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        self.wait_inner(guard, None, Location::caller());
    }

    /// As [`wait`](Condvar::wait), for at most `timeout`.
    #[track_caller]
    pub fn wait_for<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, timeout: Duration) -> WaitTimeoutResult {
        let at = Location::caller();
        self.wait_inner(guard, Instant::now().checked_add(timeout), at)
    }

    /// As [`wait`](Condvar::wait), until `deadline` at the latest.
    #[track_caller]
    pub fn wait_until<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> WaitTimeoutResult {
        self.wait_inner(guard, Some(deadline), Location::caller())
    }

    /// Waits while `condition` holds.
    #[track_caller]
    pub fn wait_while<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, mut condition: impl FnMut(&mut T) -> bool) {
        let at = Location::caller();
        while condition(guard) {
            self.wait_inner(guard, None, at);
        }
    }

    /// Waits while `condition` holds, but at most for `timeout`. The result is "timed out" if the condition still
    /// holds.
    #[track_caller]
    pub fn wait_while_for<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        let at = Location::caller();
        let deadline = Instant::now().checked_add(timeout);
        while condition(guard) {
            if self.wait_inner(guard, deadline, at).timed_out() {
                return WaitTimeoutResult(condition(guard));
            }
        }
        WaitTimeoutResult(false)
    }

    /// Wakes one waiting thread, if there is one.
    #[track_caller]
    pub fn notify_one(&self) {
        match sim::current() {
            Some(sim) => {
                self.home.set(sim.number());
                sim.unpark_one(self.key());
                sim.preemption_point(Location::caller());
            }
            None => {
                self.check_home(Location::caller());
                self.inner.notify_one();
            }
        }
    }

    /// Wakes all waiting threads.
    #[track_caller]
    pub fn notify_all(&self) {
        match sim::current() {
            Some(sim) => {
                self.home.set(sim.number());
                sim.unpark_all(self.key());
                sim.preemption_point(Location::caller());
            }
            None => {
                self.check_home(Location::caller());
                self.inner.notify_all();
            }
        }
    }

    fn wait_inner<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Option<Instant>,
        at: &'static Location<'static>,
    ) -> WaitTimeoutResult {
        let kind = if deadline.is_some() { WaitKind::CondvarTimed } else { WaitKind::Condvar };
        if let Some(sim) = sim::current() {
            self.home.set(sim.number());
            // No other thread runs between the release and the parking: the two are one step.
            guard.release();
            let notified =
                sim.park_without_unwinding(self.key(), kind, at, deadline.map_or(sim::NEVER, Instant::as_nanos));
            guard.relock(sim, at);
            sim.unwind_if_ending();
            return WaitTimeoutResult(!notified);
        }
        self.check_home(at);
        with_current_thread(|me| {
            let blocked = me.map(|me| Blocked::new(me, kind, at));
            let timed_out = guard.wait_with(at, |inner| match deadline {
                None => {
                    self.inner.wait(inner);
                    false
                }
                Some(deadline) => self.inner.wait_until(inner, deadline.to_os()).timed_out(),
            });
            drop(blocked);
            if let Some(me) = me {
                unwind_if_stopping(me);
            }
            WaitTimeoutResult(timed_out)
        })
    }

    /// Fails the simulation whose threads use this; the calling thread is part of none.
    fn check_home(&self, at: &'static Location<'static>) {
        foreign::check_home(&self.home, || "a condition variable".to_string(), at);
    }

    fn key(&self) -> usize {
        sim::key(&self.inner)
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar { .. }")
    }
}
