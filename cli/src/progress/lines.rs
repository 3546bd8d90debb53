//! Where there is no terminal: a line every few seconds.

use std::time::{Duration, Instant};

use super::board::Board;

/// How long it is at least from one line to the next.
const PAUSE: Duration = Duration::from_secs(5);

/// How many scenarios a line names at most.
const NAMED_MAX: usize = 4;

/// Lines, and when the last was written.
#[derive(Debug)]
pub(super) struct Lines {
    begun: Instant,
    last: Instant,
}

impl Lines {
    /// The first line comes after a pause: most batches are over by then.
    pub(super) fn new() -> Lines {
        let now = Instant::now();
        Lines { begun: now, last: now }
    }

    /// The line to write now, if it is time for one.
    pub(super) fn due(&mut self, board: &Board) -> Option<String> {
        if self.last.elapsed() < PAUSE {
            return None;
        }
        self.last = Instant::now();
        Some(line(board, self.begun.elapsed()))
    }
}

/// How far it is after so long.
pub(super) fn line(board: &Board, after: Duration) -> String {
    let seconds = after.as_secs_f64();
    let mut line = format!("{seconds:6.0} s: {}", board.done());
    if let Some(total) = board.total {
        line += &format!(" of {total}");
    }
    line += &format!(" runs, {} passed, {} failed", board.passed, board.not_passed);
    if let Some(total) = board.total
        && board.done() > 0
    {
        let left = seconds / board.done() as f64 * total.saturating_sub(board.done()) as f64;
        line += &format!(", about {left:.0} s left");
    }
    let under_way: Vec<String> = board.under_way().map(ToString::to_string).collect();
    // Without an end all of them always are.
    if !under_way.is_empty() && board.total.is_some() {
        line += &format!(": {}", under_way[..under_way.len().min(NAMED_MAX)].join(", "));
        if under_way.len() > NAMED_MAX {
            line += &format!(" and {} more", under_way.len() - NAMED_MAX);
        }
    }
    line + "\n"
}
