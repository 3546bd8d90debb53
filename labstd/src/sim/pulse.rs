//! What every call looks at: the time, how many calls were made since it last moved, whether another thread could go on,
//! whether the run is over. It stands beside the scheduler, who changes it, so that a call which neither blocks nor wakes
//! anybody need not look further.

use std::cell::Cell;

/// The pulse of a simulation.
pub(super) struct Pulse {
    /// The present moment, in nanoseconds.
    now: Cell<u64>,
    /// How many calls may yet be made before the clock has to move.
    calls_left: Cell<u64>,
    calls_limit: u64,
    /// Whether the run is over: every thread that wakes unwinds.
    ending: Cell<bool>,
    /// Whether the running thread might be interrupted: another can run, and it is a run with interruptions.
    interruptible: Cell<bool>,
    /// How many places will be passed, where a thread might be interrupted, before one is.
    places_left: Cell<u32>,
}

impl Pulse {
    /// At the beginning of a run in which so many calls may be made while the clock stands still, and so many places are
    /// passed before the first interruption.
    pub(super) fn new(calls_limit: u64, places_left: u32) -> Pulse {
        Pulse {
            now: Cell::new(0),
            calls_left: Cell::new(calls_limit),
            calls_limit,
            ending: Cell::new(false),
            interruptible: Cell::new(false),
            places_left: Cell::new(places_left),
        }
    }

    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.now.get()
    }

    /// The clock moves.
    pub(super) fn set_clock(&self, now: u64) {
        self.now.set(now);
        self.calls_left.set(self.calls_limit);
    }

    /// Counts a call of the running thread. `false` if there were too many since the clock last moved.
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

    /// The run is over.
    pub(super) fn end(&self) {
        self.ending.set(true);
    }

    /// Whether the running thread is to be interrupted here, where it touches a lock or a channel.
    #[inline]
    pub(super) fn interrupts_here(&self) -> bool {
        if !self.interruptible.get() {
            return false;
        }
        match self.places_left.get() {
            0 => true,
            left => {
                self.places_left.set(left - 1);
                false
            }
        }
    }

    pub(super) fn set_interruptible(&self, interruptible: bool) {
        self.interruptible.set(interruptible);
    }

    pub(super) fn set_places_left(&self, places: u32) {
        self.places_left.set(places);
    }
}
