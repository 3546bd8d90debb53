//! The figures of a run. Each clock fills in those that it measures.

use std::time::Duration;

/// The figures of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The duration of the run on its own clock.
    pub elapsed: Duration,
    /// The duration of the run in real time.
    pub wall_time: Duration,
    /// Scheduler steps (simulated only).
    pub steps: u64,
    /// A hash over the schedule (simulated only): the same seed gives the same hash.
    pub schedule_hash: u64,
    /// The longest delay of a wakeup from a sleep (threads only).
    pub lateness: Duration,
}
