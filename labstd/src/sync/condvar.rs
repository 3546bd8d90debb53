//! The condition variable: `parking_lot`'s on threads; in a simulation a queue of the scheduler.

use std::fmt;
use std::panic::Location;

use crate::sim;
use crate::state::{leave_if_stopping, with_me};
use crate::sync::MutexGuard;
use crate::threads::Blocked;
use crate::time::{Duration, Instant};
use crate::wait::Kind;

/// Waiting for a condition under a lock. Mirrors `parking_lot::Condvar`.
///
/// Wait in a loop that tests the condition: another thread may come in between the notification and the waking.
pub struct Condvar {
    inner: parking_lot::Condvar,
}

/// Whether a timed wait ended by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was over before a notification came.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// A condition variable on which nobody waits.
    pub const fn new() -> Condvar {
        Condvar { inner: parking_lot::Condvar::new() }
    }

    /// Gives the lock back, waits for a notification, and takes the lock again.
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

    /// Waits for as long as `condition` holds.
    #[track_caller]
    pub fn wait_while<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, mut condition: impl FnMut(&mut T) -> bool) {
        let at = Location::caller();
        while condition(guard) {
            self.wait_inner(guard, None, at);
        }
    }

    /// Waits for as long as `condition` holds, but at most for `timeout`. It has timed out if the condition still holds.
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
                sim.unpark_one(self.key());
                sim.preemption_point(Location::caller());
            }
            None => drop(self.inner.notify_one()),
        }
    }

    /// Wakes all waiting threads.
    #[track_caller]
    pub fn notify_all(&self) {
        match sim::current() {
            Some(sim) => {
                sim.unpark_all(self.key());
                sim.preemption_point(Location::caller());
            }
            None => drop(self.inner.notify_all()),
        }
    }

    fn wait_inner<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Option<Instant>,
        at: &'static Location<'static>,
    ) -> WaitTimeoutResult {
        let kind = if deadline.is_some() { Kind::CondvarTimed } else { Kind::Condvar };
        if let Some(sim) = sim::current() {
            // Between the release and the parking no other thread runs: the two are one step.
            guard.release();
            let notified = sim.park_quietly(self.key(), kind, at, deadline.map_or(sim::NEVER, Instant::as_nanos));
            guard.relock(sim, at);
            sim.leave_if_killed();
            return WaitTimeoutResult(!notified);
        }
        with_me(|me| {
            let blocked = me.map(|me| Blocked::new(me, kind, at));
            let timed_out = guard.lend(at, |inner| match deadline {
                None => {
                    self.inner.wait(inner);
                    false
                }
                Some(deadline) => self.inner.wait_until(inner, deadline.to_os()).timed_out(),
            });
            drop(blocked);
            if let Some(me) = me {
                leave_if_stopping(me);
            }
            WaitTimeoutResult(timed_out)
        })
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
