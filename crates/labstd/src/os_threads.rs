//! Runs on OS threads: starting, blocking and unwinding a thread, waiting for the body, and the watchdog that names the
//! stuck threads when the time limit is over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant as OsInstant};

use crate::current_thread::set_current_thread;
use crate::failure::Failure;
use crate::state::{Killed, RunState, ThreadInfo};
use crate::wait::WaitKind;

/// The longest time that the body of a failed run may take to unwind before its thread is abandoned.
const UNWIND_GRACE: Duration = Duration::from_secs(5);

/// The interval at which the end of a run checks whether a thread still unwinds.
const UNWIND_POLL: Duration = Duration::from_millis(1);

/// Makes `info` the identity of the current OS thread for as long as this guard lives.
struct CurrentThreadGuard {
    info: Arc<ThreadInfo>,
}

impl CurrentThreadGuard {
    fn set(info: Arc<ThreadInfo>) -> CurrentThreadGuard {
        let _ = info.os.set(std::thread::current());
        info.wait.end();
        set_current_thread(Arc::as_ptr(&info));
        CurrentThreadGuard { info }
    }
}

impl Drop for CurrentThreadGuard {
    fn drop(&mut self) {
        set_current_thread(std::ptr::null());
        self.info.run.unregister(&self.info);
    }
}

/// Starts an OS thread with the identity `info` that runs `body`; a panic in it fails the run.
///
/// # Panics
///
/// If the OS cannot start a thread.
pub(crate) fn spawn(info: Arc<ThreadInfo>, body: Box<dyn FnOnce() + Send>) {
    let name = info.name.to_string();
    std::thread::Builder::new()
        .name(name.clone())
        .spawn(move || {
            let me = CurrentThreadGuard::set(info);
            run_body(&me.info, body);
        })
        .unwrap_or_else(|error| panic!("cannot start thread '{name}': {error}"));
}

/// Runs a thread's body to its end, or to the panic that fails the run. Both clocks use it.
pub(crate) fn run_body(info: &ThreadInfo, body: Box<dyn FnOnce() + Send>) {
    if let Err(thrown) = catch_unwind(AssertUnwindSafe(body))
        && !thrown.is::<Killed>()
    {
        info.run.fail(Failure::Panic(info.panic_report(thrown)));
    }
}

/// Sleeps until `until`, or until the run fails. Measures the delay of the wakeup.
pub(crate) fn sleep_until(info: &ThreadInfo, until: OsInstant) {
    loop {
        let now = OsInstant::now();
        if now >= until {
            info.run.lateness.fetch_max((now - until).as_nanos() as u64, Relaxed);
            return;
        }
        if info.run.is_stopping() && !std::thread::panicking() {
            return;
        }
        std::thread::park_timeout(until - now);
    }
}

/// Repeats `attempt`, a wait that ends after the given slice, until it succeeds. Returns `false` after `limit`, or if
/// the run has failed.
pub(crate) fn wait_for_lock(info: &ThreadInfo, limit: Duration, mut attempt: impl FnMut(Duration) -> bool) -> bool {
    const SLICE: Duration = Duration::from_millis(100);
    let start = OsInstant::now();
    while !attempt(SLICE) {
        if start.elapsed() >= limit || info.run.is_stopping() {
            return false;
        }
    }
    true
}

/// Waits until the body has ended, the run has failed, or the time limit is over, whichever comes first.
pub(crate) fn wait_for_end(run: &Arc<RunState>, time_limit: Option<Duration>) {
    let deadline = time_limit.map(|limit| run.start + limit);
    let mut done = run.body_done.lock();
    while !*done && !run.has_failed() {
        match deadline {
            None => run.changed.wait(&mut done),
            Some(deadline) => {
                if run.changed.wait_until(&mut done, deadline).timed_out() && !*done {
                    drop(done);
                    let threads = run.statuses(|_| true);
                    run.fail(Failure::TimeLimit { limit: deadline - run.start, threads });
                    done = run.body_done.lock();
                }
            }
        }
    }
    if !*done {
        run.changed.wait_while_for(&mut done, |done| !*done, UNWIND_GRACE);
    }
    // A thread that panics may let the body end with the first thing that it drops, before it reports the panic.
    let unwinding_until = OsInstant::now() + UNWIND_GRACE;
    while !run.has_failed() && run.unwinds() && OsInstant::now() < unwinding_until {
        run.changed.wait_for(&mut done, UNWIND_POLL);
    }
}

/// Records that the body has returned or has been unwound.
pub(crate) fn body_ended(run: &RunState) {
    *run.body_done.lock() = true;
    run.changed.notify_all();
}

/// Unwinds the calling OS thread, without a panic message, if its run is over. Each blocking call does this before it
/// returns. In a simulation, `Sim::unwind_if_ending` does the same.
///
/// A thread that already unwinds continues, so that destructors may block.
pub(crate) fn unwind_if_stopping(info: &ThreadInfo) {
    if info.run.is_stopping() && !std::thread::panicking() {
        std::panic::resume_unwind(Box::new(Killed));
    }
}

/// Marks the calling thread as blocked for as long as it lives.
pub(crate) struct Blocked<'a>(&'a ThreadInfo);

impl<'a> Blocked<'a> {
    pub(crate) fn new(info: &'a ThreadInfo, kind: WaitKind, at: &'static std::panic::Location<'static>) -> Blocked<'a> {
        info.wait.begin(kind, at, info.run.now());
        if info.unwinds.load(Relaxed) && !std::thread::panicking() {
            // The thread has caught its own panic and goes on.
            info.unwinds.store(false, Relaxed);
        }
        Blocked(info)
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.0.wait.end();
    }
}
