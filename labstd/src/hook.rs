//! The process-wide panic hook. A panic in a thread of a run is not printed where it happens: it becomes the run's
//! [`Failure`](crate::Failure) and is told once, by whoever waits for the run. Panics elsewhere go to the hook that was
//! there before.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::sync::Once;

use crate::sim;
use crate::state::with_me;

static INSTALL: Once = Once::new();

/// Puts our hook in front of the present one, once a process.
pub(crate) fn install() {
    INSTALL.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !keep(info) {
                before(info);
            }
        }));
    });
}

/// Keeps what the run's report needs; `false` if the thread belongs to no run.
fn keep(info: &PanicHookInfo<'_>) -> bool {
    with_me(|me| {
        let Some(me) = me.filter(|me| me.in_run()) else { return false };
        sim::begin_unwinding();
        let location = info.location().map_or_else(String::new, ToString::to_string);
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        *me.last_panic.lock() = Some((location, backtrace));
        true
    })
}
