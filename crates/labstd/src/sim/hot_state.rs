//! The state that every call reads: the time, the number of calls since the time last moved, whether the thread can be
//! preempted, and whether the run is over. The scheduler writes it. It is separate from the scheduler, so that a call
//! that neither blocks nor wakes a thread reads nothing else.

use std::cell::Cell;

/// The hot state of a simulation.
pub(super) struct HotState {
    /// The present moment, in nanoseconds.
    now: Cell<u64>,
    /// The number of calls that may still be made before the clock has to move.
    calls_left: Cell<u64>,
    calls_limit: u64,
    /// Whether the run is over: every thread that wakes then unwinds.
    ending: Cell<bool>,
    /// Whether the running thread can be preempted: another thread is runnable, and the policy preempts.
    preemptible: Cell<bool>,
    /// The number of preemption points to pass before the next preemption.
    points_to_skip: Cell<u32>,
}

impl HotState {
    /// Creates the state at the beginning of a run. `calls_limit` is the number of calls that may be made while the
    /// clock stands still; `points_to_skip` is the number of preemption points before the first preemption.
    pub(super) fn new(calls_limit: u64, points_to_skip: u32) -> HotState {
        HotState {
            now: Cell::new(0),
            calls_left: Cell::new(calls_limit),
            calls_limit,
            ending: Cell::new(false),
            preemptible: Cell::new(false),
            points_to_skip: Cell::new(points_to_skip),
        }
    }

    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.now.get()
    }

    /// Moves the clock.
    pub(super) fn set_clock(&self, now: u64) {
        self.now.set(now);
        self.calls_left.set(self.calls_limit);
    }

    /// Counts a call of the running thread. Returns `false` if there were too many since the clock last moved.
    #[inline]
    pub(super) fn count_call(&self) -> bool {
        match self.calls_left.get() {
            0 => false,
            left => {
                self.calls_left.set(left - 1);
                true
            }
        }
    }

    pub(super) fn calls_limit(&self) -> u64 {
        self.calls_limit
    }

    #[inline]
    pub(super) fn ending(&self) -> bool {
        self.ending.get()
    }

    /// Marks the run as over.
    pub(super) fn end(&self) {
        self.ending.set(true);
    }

    /// Returns whether to preempt the running thread at this preemption point (a call on a lock or a channel).
    #[inline]
    pub(super) fn preempts_here(&self) -> bool {
        if !self.preemptible.get() {
            return false;
        }
        match self.points_to_skip.get() {
            0 => true,
            left => {
                self.points_to_skip.set(left - 1);
                false
            }
        }
    }

    pub(super) fn set_preemptible(&self, preemptible: bool) {
        self.preemptible.set(preemptible);
    }

    pub(super) fn set_points_to_skip(&self, points: u32) {
        self.points_to_skip.set(points);
    }
}
