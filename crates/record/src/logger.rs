//! Turns lines of the `log` crate into events of the logging thread's run.
//!
//! Every line becomes an event, independent of `LAB_LOG`: the hash of a run must not depend on the events that are
//! printed. A run without a record formats its lines as well and drops them, because formatting may run any code, which
//! may take a lock: the schedule of a run must not depend on recording.

use labstd::thread;

use crate::{Event, EventKind, Level, live, scope};

struct Logger;

static LOGGER: Logger = Logger;

/// Makes every line of the `log` crate an event of its run, with the server of its thread. A line of a thread outside
/// of any run is not recorded; it is printed if `LAB_LOG` matches it.
///
/// May be called more than once. Does nothing if the process already has another logger.
pub fn install_logger() {
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        live::is_enabled() || thread::in_run()
    }

    fn log(&self, line: &log::Record<'_>) {
        if !self.enabled(line.metadata()) {
            return;
        }
        // The text is formatted before any lock is taken, because formatting may run any code.
        let kind = EventKind::LogLine {
            level: Level::from(line.level()),
            target: line.target().to_owned(),
            message: line.args().to_string(),
        };
        match scope::scope() {
            Some(_) => scope::emit(kind),
            None => live::print(&Event { at: scope::now(), server: None, kind }),
        }
    }

    fn flush(&self) {}
}
