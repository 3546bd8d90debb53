//! How far a batch is, on standard error: bars in a terminal, a line now and then elsewhere. Nothing here has any influence
//! on what goes to the standard output.

mod bars;
mod board;
mod lines;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::ProgressDrawTarget;
use tester::harness;

use self::bars::Bars;
use self::board::Board;
use self::lines::Lines;
use crate::args::ProgressName;
use crate::plan::Plan;

/// What shows how far a batch is. Clones show the same.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Mutex<Shown>>);

#[derive(Debug)]
struct Shown {
    board: Board,
    display: Display,
}

#[derive(Debug)]
enum Display {
    None,
    Lines(Lines),
    Bars(Bars),
}

/// How to show it, for a user who asked for this.
fn choose(name: ProgressName, many: bool, terminal: bool) -> ProgressName {
    match name {
        // Bars would be torn by the events that are printed as they happen.
        ProgressName::Auto if terminal && !harness::prints_events() => ProgressName::Bar,
        ProgressName::Auto if many && !terminal => ProgressName::Lines,
        ProgressName::Auto => ProgressName::None,
        name => name,
    }
}

impl Progress {
    /// Of the runs of a plan.
    pub(crate) fn new(name: ProgressName, plan: &Plan) -> Progress {
        let terminal = io::stderr().is_terminal();
        let display = match choose(name, !plan.tells_each(), terminal) {
            ProgressName::Bar => Display::Bars(Bars::new(ProgressDrawTarget::stderr())),
            ProgressName::Lines => Display::Lines(Lines::new()),
            ProgressName::Auto | ProgressName::None => Display::None,
        };
        Progress::with(Board::new(plan), display)
    }

    fn with(board: Board, display: Display) -> Progress {
        Progress(Arc::new(Mutex::new(Shown { board, display })))
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        // Who panicked while drawing leaves nothing that is worse than a torn line.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything is shown.
    pub(crate) fn shows(&self) -> bool {
        !matches!(self.lock().display, Display::None)
    }

    /// A run of the scenario at a place begins.
    pub(crate) fn begun(&self, place: usize) {
        let Shown { board, display } = &mut *self.lock();
        board.scenarios[place].running += 1;
        if let Display::Bars(bars) = display {
            bars.draw(board, place);
        }
    }

    /// A run is over.
    pub(crate) fn ended(&self, place: usize, passed: bool) {
        let Shown { board, display } = &mut *self.lock();
        board.ended(place, passed);
        match display {
            Display::None => {}
            Display::Lines(lines) => {
                if let Some(line) = lines.due(board) {
                    harness::print(&line);
                }
            }
            Display::Bars(bars) => bars.draw(board, place),
        }
    }

    /// Prints to standard error, above what is shown.
    pub(crate) fn say(&self, text: &str) {
        match &self.lock().display {
            Display::Bars(bars) => bars.aside(|| harness::print(text)),
            _ => harness::print(text),
        }
    }

    /// Writes the lines of the scenario at a place to the standard output, above what is shown; in a terminal in the colour
    /// of what came of it.
    pub(crate) fn write(&self, place: usize, lines: &str, out: &mut impl Write) -> io::Result<()> {
        let Shown { board, display } = &mut *self.lock();
        let mut put = || out.write_all(lines.as_bytes()).and_then(|()| out.flush());
        let Display::Bars(bars) = display else { return put() };
        bars.remove(board, place);
        let paint =
            bars::paints_output().then(|| if board.scenarios[place].not_passed > 0 { "\x1b[31m" } else { "\x1b[32m" });
        bars.aside(|| {
            // Both go to the same terminal; the standard output itself stays as it is.
            harness::print(paint.unwrap_or_default());
            let written = put();
            harness::print(if paint.is_some() { "\x1b[0m" } else { "" });
            written
        })
    }

    /// Shows nothing from now on, and leaves nothing on the screen.
    pub(crate) fn close(&self) {
        let shown = &mut *self.lock();
        if let Display::Bars(bars) = &shown.display {
            bars.clear();
        }
        shown.display = Display::None;
    }
}

#[cfg(test)]
mod tests;
