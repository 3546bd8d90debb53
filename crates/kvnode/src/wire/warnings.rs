//! Warnings about strangers, with a limit. A process that opens connections in a loop must not fill the disk with log
//! lines.

use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Most warnings at once, after a quiet time. It is above the number of connections that a server admits at once.
const BURST: u32 = 200;
/// The time in which one more warning is allowed.
const INTERVAL: Duration = Duration::from_millis(200);

/// The warnings of one listener.
#[derive(Debug)]
pub(crate) struct Warnings(Mutex<State>);

#[derive(Debug)]
struct State {
    allowed: u32,
    since: Instant,
    left_out: u64,
}

impl Warnings {
    pub(crate) fn new() -> Warnings {
        Warnings(Mutex::new(State { allowed: BURST, since: Instant::now(), left_out: 0 }))
    }

    /// Logs a warning, unless there were too many. The next one that is logged says how many were left out.
    pub(crate) fn warn(&self, warning: fmt::Arguments<'_>) {
        match self.0.lock().admit(Instant::now()) {
            None => {}
            Some(0) => log::warn!("{warning}"),
            Some(left_out) => log::warn!("{warning} ({left_out} warnings like this were left out)"),
        }
    }
}

impl State {
    /// Returns the number of warnings that were left out before this one; `None` if this one is left out.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let intervals = now.saturating_duration_since(self.since).as_millis() / INTERVAL.as_millis();
        if intervals > 0 {
            self.since = now;
            self.allowed = self.allowed.saturating_add(u32::try_from(intervals).unwrap_or(BURST)).min(BURST);
        }
        let Some(allowed) = self.allowed.checked_sub(1) else {
            self.left_out += 1;
            return None;
        };
        self.allowed = allowed;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_warnings_is_cut_and_counted() {
        let begun = Instant::now();
        let mut state = State { allowed: BURST, since: begun, left_out: 0 };
        let logged = (0..3_000).filter(|_| state.admit(begun).is_some()).count();
        assert_eq!(logged, BURST as usize);
        assert_eq!(state.admit(begun + INTERVAL), Some(2_800), "the next one tells of the others");
        assert_eq!(state.admit(begun + INTERVAL), None);
        let later = begun + 1_000 * INTERVAL;
        assert_eq!((0..3_000).filter(|_| state.admit(later).is_some()).count(), BURST as usize);
    }
}
