//! Runs on OS threads: how a thread is started, how the caller waits for the body, and the watchdog that names who is
//! stuck when the time limit is over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant as OsInstant};

use crate::failure::Failure;
use crate::state::{Killed, RunState, ThreadInfo, set_me};
use crate::wait::Kind;

/// How long the body of a failed run may take to unwind before its thread is left behind.
const UNWIND_GRACE: Duration = Duration::from_secs(5);

/// Makes the OS thread it is on be `info`, for as long as it lives.
struct Identity {
    info: Arc<ThreadInfo>,
}

impl Identity {
    fn assume(info: Arc<ThreadInfo>) -> Identity {
        let _ = info.os.set(std::thread::current());
        info.wait.end();
        set_me(Arc::as_ptr(&info));
        Identity { info }
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        set_me(std::ptr::null());
        self.info.run.unregister(&self.info);
    }
}

/// Starts an OS thread that is `info` and runs `body`; a panic in it fails the run.
///
/// # Panics
///
/// If the OS refuses to start a thread.
pub(crate) fn spawn(info: Arc<ThreadInfo>, body: Box<dyn FnOnce() + Send>) {
    let name = info.name.to_string();
    std::thread::Builder::new()
        .name(name.clone())
        .spawn(move || {
            let me = Identity::assume(info);
            run_body(&me.info, body);
        })
        .unwrap_or_else(|error| panic!("cannot start thread '{name}': {error}"));
}

/// Runs a thread's body to its end, or to the panic that fails the run. Used under both clocks.
pub(crate) fn run_body(info: &ThreadInfo, body: Box<dyn FnOnce() + Send>) {
    if let Err(thrown) = catch_unwind(AssertUnwindSafe(body))
        && !thrown.is::<Killed>()
    {
        info.run.fail(Failure::Panic(info.panicked(thrown)));
    }
}

/// Sleeps until `until`, or until the run fails. Measures how late it wakes.
pub(crate) fn sleep_until(info: &ThreadInfo, until: OsInstant) {
    loop {
        let now = OsInstant::now();
        if now >= until {
            info.run.lateness.fetch_max((now - until).as_nanos() as u64, Relaxed);
            return;
        }
        if info.run.stopping() && !std::thread::panicking() {
            return;
        }
        std::thread::park_timeout(until - now);
    }
}

/// Blocks in `attempt`, a wait that ends after the given slice, until it succeeds; after `limit` the run fails.
pub(crate) fn wait_for_lock(info: &ThreadInfo, limit: Duration, mut attempt: impl FnMut(Duration) -> bool) -> bool {
    const SLICE: Duration = Duration::from_millis(100);
    let begun = OsInstant::now();
    while !attempt(SLICE) {
        if begun.elapsed() >= limit || info.run.stopping() {
            return false;
        }
    }
    true
}

/// Waits until the body has ended, the run has failed, or its time is over, whichever comes first.
pub(crate) fn supervise(run: &Arc<RunState>, time_limit: Option<Duration>) {
    let deadline = time_limit.map(|limit| run.begun + limit);
    let mut done = run.body_done.lock();
    while !*done && !run.failed() {
        match deadline {
            None => run.changed.wait(&mut done),
            Some(deadline) => {
                if run.changed.wait_until(&mut done, deadline).timed_out() && !*done {
                    drop(done);
                    let threads = run.statuses(|_| true);
                    run.fail(Failure::TimeLimit { limit: deadline - run.begun, threads });
                    done = run.body_done.lock();
                }
            }
        }
    }
    if !*done {
        run.changed.wait_while_for(&mut done, |done| !*done, UNWIND_GRACE);
    }
}

/// The body has returned or has been unwound.
pub(crate) fn body_ended(run: &RunState) {
    *run.body_done.lock() = true;
    run.changed.notify_all();
}

/// Marks the calling thread as blocked for as long as it lives.
pub(crate) struct Blocked<'a>(&'a ThreadInfo);

impl<'a> Blocked<'a> {
    pub(crate) fn new(info: &'a ThreadInfo, kind: Kind, at: &'static std::panic::Location<'static>) -> Blocked<'a> {
        info.wait.begin(kind, at, info.run.now());
        Blocked(info)
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.0.wait.end();
    }
}
