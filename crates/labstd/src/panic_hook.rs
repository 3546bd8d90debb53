//! The process-wide panic hook. A panic in a thread of a run is not printed at once: it becomes the run's
//! [`Failure`](crate::Failure), and the caller that waits for the run reports it once. Panics elsewhere go to the
//! previous hook.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::sync::Once;
use std::sync::atomic::Ordering::Relaxed;

use crate::current_thread::with_current_thread;
use crate::sim;

static INSTALL: Once = Once::new();

/// Installs the hook in front of the present one, once per process.
pub(crate) fn install() {
    INSTALL.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !capture(info) {
                before(info);
            }
        }));
    });
}

/// Stores the location and backtrace for the run's report; `false` if the thread belongs to no run.
fn capture(info: &PanicHookInfo<'_>) -> bool {
    with_current_thread(|me| {
        let Some(me) = me.filter(|me| me.in_run()) else { return false };
        sim::mark_unwinding();
        me.unwinds.store(!sim::active(), Relaxed);
        let location = info.location().map_or_else(String::new, ToString::to_string);
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        *me.last_panic.lock() = Some((location, backtrace));
        true
    })
}
