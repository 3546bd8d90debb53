//! The lock. It is a `parking_lot` mutex under both clocks; a simulation takes it with `try_lock` and does the waiting
//! itself. It records its holder and the line that took it, for the reports of deadlocks.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;

use crate::current_thread::{current_thread_id, with_current_thread};
use crate::failure::Failure;
use crate::foreign;
use crate::os_threads::{self, Blocked, unwind_if_stopping};
use crate::sim::{self, Sim};
use crate::state::{FOREIGN_THREAD, ThreadInfo};
use crate::wait::{LockState, WaitKind, describe_long_wait};

/// A lock that gives one thread at a time access to a value. Mirrors `parking_lot::Mutex`.
///
/// The lock is not fair: after a release, the first thread to try takes it. A thread that waits for longer than the
/// run's lock limit (5 s) fails the run. The report names the lock's holder and its activity.
pub struct Mutex<T: ?Sized> {
    state: LockState,
    inner: parking_lot::Mutex<T>,
}

/// Exclusive access to the value of a [`Mutex`], until the guard is dropped.
#[must_use = "the lock is released when the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// `None` only while a [`Condvar`](super::Condvar) waits with this guard.
    inner: Option<parking_lot::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    /// Creates a free lock around `value`. The calling line names the lock in reports.
    #[track_caller]
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { state: LockState::new(Location::caller()), inner: parking_lot::Mutex::new(value) }
    }

    /// Consumes the lock and returns the protected value.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until the lock is free and takes it.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let at = Location::caller();
        let inner = match sim::current() {
            Some(sim) => {
                self.state.home.set(sim.number());
                sim.preemption_point(at);
                self.lock_simulated(sim, at)
            }
            None => {
                self.check_home(at);
                self.inner.try_lock().unwrap_or_else(|| self.wait_on_threads(at))
            }
        };
        self.guard(inner, at)
    }

    /// Takes the lock if it is free.
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let at = Location::caller();
        match sim::current() {
            Some(sim) => {
                self.state.home.set(sim.number());
                sim.preemption_point(at);
            }
            None => self.check_home(at),
        }
        self.inner.try_lock().map(|inner| self.guard(inner, at))
    }

    /// Returns the protected value without locking: `&mut self` proves that no other thread holds the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    /// Returns whether a thread holds the lock.
    pub fn is_locked(&self) -> bool {
        self.inner.is_locked()
    }

    /// Fails the simulation whose threads take this lock; the calling thread is part of none.
    fn check_home(&self, at: &'static Location<'static>) {
        foreign::check_home(&self.state.home, || format!("the lock made at {}", self.state.created_at), at);
    }

    fn guard<'a>(&'a self, inner: parking_lot::MutexGuard<'a, T>, at: &'static Location<'static>) -> MutexGuard<'a, T> {
        self.state.set_owner(current_thread_id(), at);
        MutexGuard { mutex: self, inner: Some(inner) }
    }

    fn lock_simulated(&self, sim: &Sim, at: &'static Location<'static>) -> parking_lot::MutexGuard<'_, T> {
        if let Some(inner) = self.inner.try_lock() {
            return inner;
        }
        let deadline = sim.deadline(sim.lock_limit());
        loop {
            sim.wait_for_lock(self.key(), &self.state, at, deadline);
            if let Some(inner) = self.inner.try_lock() {
                return inner;
            }
        }
    }

    /// Waits for the lock on OS threads; fails the run when the lock limit is over.
    #[cold]
    fn wait_on_threads(&self, at: &'static Location<'static>) -> parking_lot::MutexGuard<'_, T> {
        with_current_thread(|me| {
            let Some(me) = me else { return self.inner.lock() };
            let _blocked = Blocked::new(me, WaitKind::Lock, at);
            let mut taken = None;
            let attempt = |slice| {
                me.wait.set_lock(&self.state);
                taken = self.inner.try_lock_for(slice);
                taken.is_some()
            };
            if !os_threads::wait_for_lock(me, me.run.lock_limit, attempt) {
                fail_lock_limit(me, &self.state, at);
                unwind_if_stopping(me);
                // A destructor that runs while its thread unwinds has to continue waiting.
                taken = Some(self.inner.lock());
            }
            taken.expect("the attempt succeeded")
        })
    }

    fn key(&self) -> usize {
        sim::key(&self.state)
    }
}

fn fail_lock_limit(me: &ThreadInfo, lock: &LockState, at: &'static Location<'static>) {
    let holder = me.run.thread(lock.owner());
    let holder = holder.map_or(FOREIGN_THREAD.to_string(), |holder| holder.status().to_string());
    let description = describe_long_wait(&me.name, lock, at, &holder);
    me.run.fail(Failure::LockHeldTooLong { description, threads: me.run.statuses(|_| true) });
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Releases the lock. The guard is empty until [`relock`](MutexGuard::relock).
    pub(super) fn release(&mut self) {
        self.mutex.state.clear_owner();
        self.inner = None;
        if let Some(sim) = sim::current()
            && self.mutex.state.has_waiters()
        {
            sim.unpark_one(self.mutex.key());
        }
    }

    /// Takes the lock again after a [`release`](MutexGuard::release) in a simulation.
    pub(super) fn relock(&mut self, sim: &Sim, at: &'static Location<'static>) {
        self.inner = Some(self.mutex.lock_simulated(sim, at));
        self.mutex.state.set_owner(current_thread_id(), at);
    }

    /// Lends the `parking_lot` guard to `wait`, which releases the lock and takes it again.
    pub(super) fn wait_with<R>(
        &mut self,
        at: &'static Location<'static>,
        wait: impl FnOnce(&mut parking_lot::MutexGuard<'a, T>) -> R,
    ) -> R {
        self.mutex.state.clear_owner();
        let result = wait(self.inner.as_mut().expect("the guard holds its lock"));
        self.mutex.state.set_owner(current_thread_id(), at);
        result
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.inner.is_none() {
            return;
        }
        self.mutex.state.clear_owner();
        self.inner = None;
        if let Some(sim) = sim::current() {
            sim.lock_released(self.mutex.key(), &self.mutex.state);
        }
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner.as_ref().expect("the guard holds its lock")
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("the guard holds its lock")
    }
}

impl<T: Default> Default for Mutex<T> {
    #[track_caller]
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
