//! The limits and settings of a run, for the run itself and for the simulation.

use std::time::Duration;

use crate::thread_lag::ThreadLag;

/// The limits and settings of a run; see the methods of [`Run`](crate::Run).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) time: Option<Duration>,
    pub(crate) steps: u64,
    pub(crate) calls_per_instant: u64,
    pub(crate) stall: Duration,
    pub(crate) lock: Duration,
    pub(crate) thread_lag: ThreadLag,
}
