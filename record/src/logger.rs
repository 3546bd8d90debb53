//! Lines of the `log` crate become events of the run of the thread that logs them.
//!
//! All of them do, whatever `LAB_LOG` says: the hash of a run must not depend on what somebody wants to see of it.

use crate::{Event, EventKind, Level, live, scope};

struct Logger;

static LOGGER: Logger = Logger;

/// Makes every line of the `log` crate an event of its run, with the server of its thread. A line of a thread outside of
/// any run is only printed, if `LAB_LOG` asks for it.
///
/// May be called more than once. Does nothing if the process has another logger already.
pub fn install_logger() {
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        live::prints() || crate::enabled()
    }

    fn log(&self, line: &log::Record<'_>) {
        if !self.enabled(line.metadata()) {
            return;
        }
        // The text is made before anything is locked: making it may run any code.
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
