//! What goes on in the background of a story, and is expected to end in time, or not to end yet.

use std::fmt;

use labstd::channel::{self, Receiver};
use labstd::sync::Mutex;
use labstd::thread;
use labstd::time::Duration;

use crate::diagnosis::Rule;
use crate::violation::Violation;

/// Something that a thread of its own does.
pub struct Pending<T> {
    what: String,
    result_rx: Receiver<T>,
    result: Mutex<Option<T>>,
}

impl<T: Send + 'static> Pending<T> {
    /// Does `work` in the background; `what` is what it is called, such as `the Get of client 3`.
    pub fn start(what: impl Into<String>, work: impl FnOnce() -> T + Send + 'static) -> Pending<T> {
        let what = what.into();
        let (tx, result_rx) = channel::bounded(1);
        thread::spawn(what.clone(), move || {
            // Nobody may be waiting for it any more.
            let _ = tx.send(work());
        });
        Pending { what, result_rx, result: Mutex::new(None) }
    }

    /// Whether it is done at the latest after `time`.
    pub fn is_done_within(&self, time: Duration) -> bool {
        let mut result = self.result.lock();
        if result.is_none() {
            *result = self.result_rx.recv_timeout(time).ok();
        }
        result.is_some()
    }

    /// What came of it, which must be there at the latest after `limit`. Otherwise the run ends, with a sentence that goes
    /// on with `why`; the cause is likely to be one of the rules `likely`.
    pub fn expect_within(self, limit: Duration, why: &str, likely: &[Rule]) -> T {
        if !self.is_done_within(limit) {
            Violation::limit(likely, format!("{} had no answer after {:.1} s: {why}", self.what, limit.as_secs_f64()));
        }
        self.result.into_inner().expect("it is done")
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("what", &self.what).finish_non_exhaustive()
    }
}
