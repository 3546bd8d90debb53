//! The watchdog of a simulation: it ends a run whose virtual clock stands still for a long real time. Then a thread
//! computes without end, or waits for something outside of the simulation, such as a sleep of `std`.
//!
//! The watchdog runs on the thread that waits for the simulation, and never touches a run whose clock moves.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as OsInstant};

use parking_lot::MutexGuard;

use super::hot_state::HotState;
use super::overflow;
use crate::os_task;
use crate::state::RunState;
use crate::stats::Stats;

/// The measured real time of a simulation while its virtual clock stands still. It counts the time that the
/// simulation's thread computes or waits, but not the time that it waits for a processor, that a debugger holds it, or
/// that the process is stopped.
struct StillTime {
    clock: u64,
    spent: Duration,
    measured_at: OsInstant,
    /// The time that the thread has waited for a processor.
    queued: Duration,
}

impl StillTime {
    fn new(run: &RunState) -> StillTime {
        StillTime {
            clock: run.virtual_now.load(Relaxed),
            spent: Duration::ZERO,
            measured_at: OsInstant::now(),
            queued: queued(run),
        }
    }

    /// Adds the time since the last measurement, which was to take `slice`, unless the clock has moved.
    fn measure(&mut self, run: &RunState, slice: Duration) {
        /// A much longer slice means that the whole process was stopped.
        const SLICES_MAX: u32 = 4;
        let (clock, queued, now) = (run.virtual_now.load(Relaxed), queued(run), OsInstant::now());
        if clock != self.clock {
            self.clock = clock;
            self.spent = Duration::ZERO;
        } else if !os_task::is_traced() {
            let elapsed = (now - self.measured_at).min(slice * SLICES_MAX);
            self.spent += elapsed.saturating_sub(queued.saturating_sub(self.queued));
        }
        self.measured_at = now;
        self.queued = queued;
    }
}

fn queued(run: &RunState) -> Duration {
    os_task::time_in_run_queue(run.os_task.load(Relaxed))
}

/// Waits for the simulation's end. Returns `false` if its clock stands still for `limit` and its threads do not end
/// when they are told. `hot_state` is set once the simulation has begun.
pub(super) fn wait_for_end(
    run: &RunState,
    simulation: &JoinHandle<Stats>,
    limit: Option<Duration>,
    hot_state: &OnceLock<Arc<HotState>>,
) -> bool {
    let Some(limit) = limit else { return wait_without_limit(run, simulation) };
    let slice = (limit / 50).clamp(Duration::from_millis(1), Duration::from_millis(200));
    let mut still = StillTime::new(run);
    let mut done = run.body_done.lock();
    while !*done && !simulation.is_finished() {
        wait(run, &mut done, slice);
        still.measure(run, slice);
        if still.spent < limit || *done {
            continue;
        }
        // Each call of a thread now finds out how much real time has passed since the call before.
        let grace = (limit / 4).clamp(Duration::from_millis(100), Duration::from_secs(4));
        let asked = OsInstant::now();
        let stands_still = || run.virtual_now.load(Relaxed) == still.clock;
        while !*done && !simulation.is_finished() && asked.elapsed() < grace && stands_still() {
            if let Some(hot_state) = hot_state.get() {
                hot_state.interrupt(still.clock);
            }
            wait(run, &mut done, slice);
        }
        still.measure(run, slice);
        if !*done && !simulation.is_finished() && still.spent >= limit {
            return false;
        }
    }
    true
}

fn wait_without_limit(run: &RunState, simulation: &JoinHandle<Stats>) -> bool {
    const SLICE: Duration = Duration::from_millis(200);
    let mut done = run.body_done.lock();
    while !*done && !simulation.is_finished() {
        wait(run, &mut done, SLICE);
    }
    true
}

/// Waits for a change of the run. A stack overflow meanwhile ends the process.
fn wait(run: &RunState, done: &mut MutexGuard<'_, bool>, slice: Duration) {
    run.changed.wait_for(done, slice);
    if overflow::has_happened() {
        MutexGuard::unlocked(done, overflow::handle);
    }
}

/// The search for the call before which a run spends its real time, while its clock stands still.
pub(super) struct StallSearch {
    begun: OsInstant,
    last_call: OsInstant,
    /// The longest time between two calls, and a description of the later call.
    longest: Option<(Duration, String)>,
}

impl StallSearch {
    /// Begins with the call that noticed the interruption.
    pub(super) fn begin() -> StallSearch {
        let now = OsInstant::now();
        StallSearch { begun: now, last_call: now, longest: None }
    }

    /// Adds a call. Returns the longest pause and the call after it when enough calls were seen.
    pub(super) fn add(&mut self, limit: Duration, call: impl FnOnce() -> String) -> Option<(Duration, String)> {
        let pause = self.last_call.elapsed();
        if self.longest.as_ref().is_none_or(|(longest, _)| pause > *longest) {
            self.longest = Some((pause, call()));
        }
        self.last_call = OsInstant::now();
        let enough = (limit / 20).min(Duration::from_millis(500));
        if self.begun.elapsed() < enough { None } else { self.longest.take() }
    }
}
