//! Work in the background of a scenario, which must end in time, or must not have ended yet.

use std::fmt;

use labstd::channel::{self, Receiver};
use labstd::sync::Mutex;
use labstd::thread;
use labstd::time::Duration;

use crate::violation::Violation;
use diagnosis::Rule;

/// Work that runs on its own thread.
pub struct Pending<T> {
    what: String,
    result_rx: Receiver<T>,
    result: Mutex<Option<T>>,
}

impl<T: Send + 'static> Pending<T> {
    /// Starts `work` in the background; `what` names it, such as `the Get of client 3`.
    pub fn start(what: impl Into<String>, work: impl FnOnce() -> T + Send + 'static) -> Pending<T> {
        let what = what.into();
        let (tx, result_rx) = channel::bounded(1);
        thread::spawn(what.clone(), move || {
            // The receiver may already be gone.
            let _ = tx.send(work());
        });
        Pending { what, result_rx, result: Mutex::new(None) }
    }

    /// Waits up to `time` and returns whether the work is done.
    pub fn is_done_within(&self, time: Duration) -> bool {
        let mut result = self.result.lock();
        if result.is_none() {
            *result = self.result_rx.recv_timeout(time).ok();
        }
        result.is_some()
    }

    /// Returns the result of the work, which must be there within `limit`. Otherwise the run fails with a sentence that
    /// ends with `why`; `likely` contains the likely broken rules.
    pub fn expect_within(self, limit: Duration, why: &str, likely: &[Rule]) -> T {
        if !self.is_done_within(limit) {
            Violation::limit(likely, format!("{} had no answer after {:.1} s: {why}", self.what, limit.as_secs_f64()));
        }
        self.result.into_inner().expect("the work is done")
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("what", &self.what).finish_non_exhaustive()
    }
}
