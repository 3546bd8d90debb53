//! The limits and settings of a run, for the run itself and for the simulation.

use std::time::Duration;

use crate::thread_lag::ThreadLag;

/// The environment variable with the default of [`Limits::stall`] in seconds; 0 for no limit.
const STALL_VARIABLE: &str = "LAB_STALL";

/// The default of [`Limits::stall`] without the variable. No correct run computes for so long at one moment.
const STALL: Duration = Duration::from_secs(20);

/// Checks the environment variables that change the limits of runs, for a program that wants to refuse a wrong one
/// before its first run.
///
/// # Errors
///
/// If one is not what it must be, in a sentence.
pub fn check_environment() -> Result<(), String> {
    stall_limit().map(|_| ())
}

/// Returns the default of [`Limits::stall`].
///
/// # Panics
///
/// If the variable is not a number of seconds.
pub(crate) fn default_stall() -> Option<Duration> {
    stall_limit().unwrap_or_else(|error| panic!("{error}"))
}

fn stall_limit() -> Result<Option<Duration>, String> {
    let Ok(text) = std::env::var(STALL_VARIABLE) else { return Ok(Some(STALL)) };
    let limit = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let limit = limit.ok_or_else(|| {
        format!("{STALL_VARIABLE}={text:?} is not a number of seconds: give one, or 0 for no limit, or unset it")
    })?;
    Ok((!limit.is_zero()).then_some(limit))
}

/// The limits and settings of a run; see the methods of [`Run`](crate::Run).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) time: Option<Duration>,
    pub(crate) steps: u64,
    pub(crate) calls_per_instant: u64,
    /// The longest real time in which the virtual clock may stand still; `None` for any.
    pub(crate) stall: Option<Duration>,
    pub(crate) lock: Duration,
    pub(crate) thread_lag: ThreadLag,
}
