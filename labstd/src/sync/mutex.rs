//! The lock. It is a `parking_lot` mutex under both clocks; a simulation takes it with `try_lock` and does the waiting
//! itself. It knows who holds it and since which line, which is what the reports of deadlocks are made of.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;

use crate::failure::Failure;
use crate::sim::{self, Sim};
use crate::state::{self, ThreadInfo, leave_if_stopping, with_me};
use crate::threads::{self, Blocked};
use crate::wait::{Kind, LockState, held_too_long};

/// Mutual exclusion. Mirrors `parking_lot::Mutex`.
///
/// Not fair: whoever comes first after a release may take it. A thread that waits for longer than the run's lock limit
/// (5 s) fails the run with a report of who holds the lock and what that thread is doing.
pub struct Mutex<T: ?Sized> {
    state: LockState,
    inner: parking_lot::Mutex<T>,
}

/// The right to use what a [`Mutex`] protects, until it is dropped.
#[must_use = "the lock is released when the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// `None` only while a [`Condvar`](super::Condvar) has taken it to wait.
    inner: Option<parking_lot::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    /// A free lock around `value`. The calling line names the lock in reports.
    #[track_caller]
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { state: LockState::new(Location::caller()), inner: parking_lot::Mutex::new(value) }
    }

    /// The protected value, the lock being given up.
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
                sim.preemption_point(at);
                self.lock_simulated(sim, at)
            }
            None => self.inner.try_lock().unwrap_or_else(|| self.wait_on_threads(at)),
        };
        self.taken(inner, at)
    }

    /// Takes the lock if it is free.
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let at = Location::caller();
        if let Some(sim) = sim::current() {
            sim.preemption_point(at);
        }
        self.inner.try_lock().map(|inner| self.taken(inner, at))
    }

    /// The protected value, without locking: nobody else can hold the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    /// Whether somebody holds the lock.
    pub fn is_locked(&self) -> bool {
        self.inner.is_locked()
    }

    fn taken<'a>(&'a self, inner: parking_lot::MutexGuard<'a, T>, at: &'static Location<'static>) -> MutexGuard<'a, T> {
        self.state.taken(state::my_id(), at);
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
        with_me(|me| {
            let Some(me) = me else { return self.inner.lock() };
            let _blocked = Blocked::new(me, Kind::Lock, at);
            let mut taken = None;
            let attempt = |slice| {
                me.wait.on_lock(&self.state);
                taken = self.inner.try_lock_for(slice);
                taken.is_some()
            };
            if !threads::wait_for_lock(me, me.run.lock_limit, attempt) {
                self.fail_on_threads(me, at);
                leave_if_stopping(me);
                // A destructor that runs while its thread unwinds has to wait on.
                taken = Some(self.inner.lock());
            }
            taken.expect("the attempt succeeded")
        })
    }

    fn fail_on_threads(&self, me: &ThreadInfo, at: &'static Location<'static>) {
        let holder = me.run.thread(self.state.owner());
        let holder = holder.map_or(crate::state::OUTSIDER.to_string(), |holder| holder.status().to_string());
        let what = held_too_long(&me.name, &self.state, at, &holder);
        me.run.fail(Failure::LockHeldTooLong { what, threads: me.run.statuses(|_| true) });
    }

    fn key(&self) -> usize {
        sim::key(&self.state)
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Gives the lock back; the guard is empty until [`relock`](MutexGuard::relock).
    pub(super) fn release(&mut self) {
        self.mutex.state.released();
        self.inner = None;
        if let Some(sim) = sim::current()
            && self.mutex.state.somebody_waits()
        {
            sim.unpark_one(self.mutex.key());
        }
    }

    /// Takes the lock again after a [`release`](MutexGuard::release) in a simulation.
    pub(super) fn relock(&mut self, sim: &Sim, at: &'static Location<'static>) {
        self.inner = Some(self.mutex.lock_simulated(sim, at));
        self.mutex.state.taken(state::my_id(), at);
    }

    /// Lends the library's guard to `wait`, which gives the lock back and takes it again.
    pub(super) fn lend<R>(
        &mut self,
        at: &'static Location<'static>,
        wait: impl FnOnce(&mut parking_lot::MutexGuard<'a, T>) -> R,
    ) -> R {
        self.mutex.state.released();
        let result = wait(self.inner.as_mut().expect("the guard holds its lock"));
        self.mutex.state.taken(state::my_id(), at);
        result
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.inner.is_none() {
            return;
        }
        self.mutex.state.released();
        self.inner = None;
        if let Some(sim) = sim::current() {
            sim.released(self.mutex.key(), &self.mutex.state);
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
