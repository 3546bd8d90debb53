//! Waiting for a lock: cycles of waiting threads, and locks that are held too long or by a foreign thread.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::Sim;
use crate::failure::Failure;
use crate::state::{FOREIGN_THREAD, ThreadInfo};
use crate::wait::{LockState, WaitKind, describe_long_wait};

impl Sim {
    pub(crate) fn lock_limit(&self) -> Duration {
        self.run.lock_limit
    }

    /// Waits for a lock that another thread holds. Fails the run if this closes a cycle of threads that wait for each
    /// other, or if `deadline` passes.
    pub(crate) fn wait_for_lock(&self, key: usize, lock: &LockState, at: &'static Location<'static>, deadline: u64) {
        let me = Arc::clone(&self.scheduler.borrow_mut().running().info);
        me.wait.set_lock(lock);
        if lock.owner() == 0 {
            // Each thread of a simulation sets the owner before another thread runs.
            let taken = lock.taken_at().map_or(String::new(), |line| format!(", taken at {line}"));
            let description = format!("{FOREIGN_THREAD} holds the lock made at {}{taken}", lock.created_at);
            self.run.fail(Failure::ForeignThread { description });
            self.scheduler.borrow_mut().end();
        }
        if let Some(cycle) = self.deadlock_cycle(&me, lock, at) {
            self.run.fail(Failure::Deadlock { cycle, threads: self.run.statuses(|_| true) });
            self.scheduler.borrow_mut().end();
        }
        let woken = lock.while_waiting(|| self.park_without_unwinding(key, WaitKind::Lock, at, deadline));
        if !woken && !self.ending() {
            let holder = self.run.thread(lock.owner());
            let holder = holder.map_or(FOREIGN_THREAD.to_string(), |holder| holder.status().to_string());
            let description = describe_long_wait(&me.name, lock, at, &holder);
            self.run.fail(Failure::LockHeldTooLong { description, threads: self.run.statuses(|_| true) });
            self.scheduler.borrow_mut().end();
        }
        self.unwind_if_ending();
    }

    /// Returns the cycle of threads that wait for each other's locks, if `me` closes one by waiting for `lock`.
    fn deadlock_cycle(&self, me: &ThreadInfo, lock: &LockState, at: &'static Location<'static>) -> Option<Vec<String>> {
        let mut cycle = vec![describe_wait(&me.name, lock, at)];
        let mut holder = lock.owner();
        while holder != me.id {
            let next = self.run.thread(holder)?;
            let waiting = next.wait.snapshot();
            if waiting.kind != WaitKind::Lock || cycle.len() > self.coroutines.borrow().len() {
                return None;
            }
            // SAFETY: a thread that waits for a lock borrows it, and none of this simulation's threads runs now.
            let lock = unsafe { &*waiting.lock };
            cycle.push(describe_wait(&next.name, lock, waiting.at?));
            holder = lock.owner();
        }
        Some(cycle)
    }
}

/// Describes one step of a lock cycle.
fn describe_wait(thread: &str, lock: &LockState, at: &Location<'_>) -> String {
    let taken = lock.taken_at().map_or(String::new(), |line| format!(", which was taken at {line}"));
    format!("{thread} waits at {at} for the lock made at {}{taken}", lock.created_at)
}
