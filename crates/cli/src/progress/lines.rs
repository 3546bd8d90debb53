//! Progress without a terminal: one line every few seconds.

use std::time::{Duration, Instant};

use super::counts::BatchCounts;

/// Minimum time between two lines.
const PAUSE: Duration = Duration::from_secs(5);

/// Maximum number of scenarios that a line names.
const NAMED_MAX: usize = 4;

/// The state of line output: the start of the batch, and the time of the last line.
#[derive(Debug)]
pub(super) struct Lines {
    begun: Instant,
    last: Instant,
}

impl Lines {
    /// The first line comes after one pause, because most batches are over by then.
    pub(super) fn new() -> Lines {
        let now = Instant::now();
        Lines { begun: now, last: now }
    }

    /// Returns the line to write now, if one is due.
    pub(super) fn due(&mut self, batch: &BatchCounts) -> Option<String> {
        if self.last.elapsed() < PAUSE {
            return None;
        }
        self.last = Instant::now();
        Some(line(batch, self.begun.elapsed()))
    }
}

/// The progress line at the time `after`.
pub(super) fn line(batch: &BatchCounts, after: Duration) -> String {
    let seconds = after.as_secs_f64();
    let mut line = format!("{seconds:6.0} s: {}", batch.done());
    if let Some(total) = batch.total {
        line += &format!(" of {total}");
    }
    line += &format!(" runs, {} passed, {} failed", batch.passed, batch.not_passed);
    if let Some(total) = batch.total
        && batch.done() > 0
    {
        let left = seconds / batch.done() as f64 * total.saturating_sub(batch.done()) as f64;
        line += &format!(", about {left:.0} s left");
    }
    let running_scenarios: Vec<String> = batch.running_scenarios().map(ToString::to_string).collect();
    // In an endless batch all scenarios are always running.
    if !running_scenarios.is_empty() && batch.total.is_some() {
        line += &format!(": {}", running_scenarios[..running_scenarios.len().min(NAMED_MAX)].join(", "));
        if running_scenarios.len() > NAMED_MAX {
            line += &format!(" and {} more", running_scenarios.len() - NAMED_MAX);
        }
    }
    line + "\n"
}
