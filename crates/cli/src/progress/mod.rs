//! The progress of a batch, on standard error: bars in a terminal, otherwise a line every few seconds. The display does
//! not change standard output.

mod bars;
mod counts;
mod lines;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::ProgressDrawTarget;
use tester::harness;

use self::bars::Bars;
use self::counts::BatchCounts;
use self::lines::Lines;
use crate::args::ProgressMode;
use crate::plan::Plan;

/// A handle to the progress display. Clones share the display.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Mutex<DisplayState>>);

#[derive(Debug)]
struct DisplayState {
    batch: BatchCounts,
    display: Display,
}

#[derive(Debug)]
enum Display {
    None,
    Lines(Lines),
    Bars(Bars),
}

/// Resolves `auto` to a display mode.
fn choose(name: ProgressMode, many: bool, terminal: bool) -> ProgressMode {
    match name {
        // Events that are printed as they happen would tear the bars.
        ProgressMode::Auto if terminal && !harness::prints_events() => ProgressMode::Bar,
        ProgressMode::Auto if many && !terminal => ProgressMode::Lines,
        ProgressMode::Auto => ProgressMode::None,
        name => name,
    }
}

impl Progress {
    /// The display for the runs of a plan.
    pub(crate) fn new(name: ProgressMode, plan: &Plan) -> Progress {
        let terminal = io::stderr().is_terminal();
        let display = match choose(name, !plan.prints_each_run(), terminal) {
            ProgressMode::Bar => Display::Bars(Bars::new(ProgressDrawTarget::stderr())),
            ProgressMode::Lines => Display::Lines(Lines::new()),
            ProgressMode::Auto | ProgressMode::None => Display::None,
        };
        Progress::with(BatchCounts::new(plan), display)
    }

    fn with(batch: BatchCounts, display: Display) -> Progress {
        Progress(Arc::new(Mutex::new(DisplayState { batch, display })))
    }

    fn lock(&self) -> MutexGuard<'_, DisplayState> {
        // A panic while drawing leaves at worst a torn line.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything is displayed.
    pub(crate) fn is_visible(&self) -> bool {
        !matches!(self.lock().display, Display::None)
    }

    /// Counts the start of a run of the scenario with this index.
    pub(crate) fn run_started(&self, index: usize) {
        let DisplayState { batch, display } = &mut *self.lock();
        batch.scenarios[index].running += 1;
        if let Display::Bars(bars) = display {
            bars.draw(batch, index);
        }
    }

    /// Counts the end of a run.
    pub(crate) fn run_ended(&self, index: usize, passed: bool) {
        let DisplayState { batch, display } = &mut *self.lock();
        batch.ended(index, passed);
        match display {
            Display::None => {}
            Display::Lines(lines) => {
                if let Some(line) = lines.due(batch) {
                    harness::print(&line);
                }
            }
            Display::Bars(bars) => bars.draw(batch, index),
        }
    }

    /// Prints to standard error, above the bars.
    pub(crate) fn print_above(&self, text: &str) {
        match &self.lock().display {
            Display::Bars(bars) => bars.suspend(|| harness::print(text)),
            _ => harness::print(text),
        }
    }

    /// Writes the lines of the scenario with this index to standard output, above the bars. A terminal shows them in
    /// red or green, depending on the result.
    pub(crate) fn write(&self, index: usize, lines: &str, out: &mut impl Write) -> io::Result<()> {
        let DisplayState { batch, display } = &mut *self.lock();
        let mut put = || out.write_all(lines.as_bytes()).and_then(|()| out.flush());
        let Display::Bars(bars) = display else { return put() };
        bars.remove(batch, index);
        let paint =
            bars::paints_output().then(|| if batch.scenarios[index].not_passed > 0 { "\x1b[31m" } else { "\x1b[32m" });
        bars.suspend(|| {
            // The colour goes to the same terminal through standard error. Standard output itself stays unchanged.
            harness::print(paint.unwrap_or_default());
            let written = put();
            harness::print(if paint.is_some() { "\x1b[0m" } else { "" });
            written
        })
    }

    /// Ends the display and clears it from the screen.
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
