//! The state that every call reads: the time, the number of calls since the time last moved, whether the thread can be
//! preempted, and whether the run is over. The scheduler writes it. It is separate from the scheduler, so that a call
//! that neither blocks nor wakes a thread reads nothing else.
//!
//! Only the simulation's thread uses it, except for [`interrupt`](HotState::interrupt). The fields are atomics for that
//! call alone; a relaxed load or store costs no more than that of a plain field.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use super::NEVER;

/// The hot state of a simulation.
pub(super) struct HotState {
    /// The present moment, in nanoseconds.
    now: AtomicU64,
    /// The number of calls that may still be made before the clock has to move.
    calls_left: AtomicU64,
    calls_limit: u64,
    /// Whether the run is over: every thread that wakes then unwinds.
    ending: AtomicBool,
    /// Whether the running thread can be preempted: another thread is runnable, and the policy preempts.
    preemptible: AtomicBool,
    /// The number of preemption points to pass before the next preemption.
    points_to_skip: AtomicU32,
    /// The moment at which the watchdog found that the clock stands still; [`NEVER`] if it did not.
    interrupted_at: AtomicU64,
}

impl HotState {
    /// Creates the state at the beginning of a run. `calls_limit` is the number of calls that may be made while the
    /// clock stands still; `points_to_skip` is the number of preemption points before the first preemption.
    pub(super) fn new(calls_limit: u64, points_to_skip: u32) -> HotState {
        HotState {
            now: AtomicU64::new(0),
            calls_left: AtomicU64::new(calls_limit),
            calls_limit,
            ending: AtomicBool::new(false),
            preemptible: AtomicBool::new(false),
            points_to_skip: AtomicU32::new(points_to_skip),
            interrupted_at: AtomicU64::new(NEVER),
        }
    }

    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    /// Moves the clock.
    pub(super) fn set_clock(&self, now: u64) {
        self.now.store(now, Relaxed);
        self.calls_left.store(self.calls_limit, Relaxed);
    }

    /// Counts a call of the running thread. Returns `false` if there were too many since the clock last moved, or if
    /// the watchdog has interrupted the run.
    #[inline]
    pub(super) fn count_call(&self) -> bool {
        match self.calls_left.load(Relaxed) {
            0 => false,
            left => {
                self.calls_left.store(left - 1, Relaxed);
                true
            }
        }
    }

    pub(super) fn calls_limit(&self) -> u64 {
        self.calls_limit
    }

    /// Makes [`count_call`](HotState::count_call) return `false` until the clock moves from `now`. The watchdog's
    /// thread calls it, again and again, because a call that counts itself at the same moment undoes it.
    pub(super) fn interrupt(&self, now: u64) {
        self.interrupted_at.store(now, Relaxed);
        self.calls_left.store(0, Relaxed);
    }

    /// Returns whether the watchdog has interrupted the run at the present moment.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted_at.load(Relaxed) == self.now()
    }

    /// Undoes an interruption that came when the clock had just moved. Returns whether there was one.
    pub(super) fn undo_late_interruption(&self) -> bool {
        let late = self.interrupted_at.swap(NEVER, Relaxed) != NEVER;
        if late {
            self.calls_left.store(self.calls_limit, Relaxed);
        }
        late
    }

    #[inline]
    pub(super) fn ending(&self) -> bool {
        self.ending.load(Relaxed)
    }

    /// Marks the run as over.
    pub(super) fn end(&self) {
        self.ending.store(true, Relaxed);
    }

    /// Returns whether to preempt the running thread at this preemption point (a call on a lock or a channel).
    #[inline]
    pub(super) fn preempts_here(&self) -> bool {
        if !self.preemptible.load(Relaxed) {
            return false;
        }
        match self.points_to_skip.load(Relaxed) {
            0 => true,
            left => {
                self.points_to_skip.store(left - 1, Relaxed);
                false
            }
        }
    }

    pub(super) fn set_preemptible(&self, preemptible: bool) {
        self.preemptible.store(preemptible, Relaxed);
    }

    pub(super) fn set_points_to_skip(&self, points: u32) {
        self.points_to_skip.store(points, Relaxed);
    }
}
