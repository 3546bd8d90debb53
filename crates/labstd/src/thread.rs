//! Threads: `std::thread`, with names that reports use. Threads that belong together form a [`Group`].

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Instant as OsInstant;

use parking_lot::{Condvar, Mutex};

use crate::current_thread::{self, current_run, with_current_thread};
use crate::failure::ThreadStatus;
use crate::os_threads::{self, Blocked, unwind_if_stopping};
use crate::state::ThreadInfo;
use crate::time::Duration;
use crate::wait::WaitKind;
use crate::{foreign, panic_hook, sim};

pub use crate::group::Group;

/// The result of a thread: its return value, or the payload of its panic.
pub type Result<T> = std::thread::Result<T>;

/// Starts a thread. It inherits the group of the calling thread.
///
/// A panic in it fails the run, whether it is joined or not.
///
/// # Panics
///
/// If the OS cannot start a thread, or, in a simulation, has no memory for a stack.
#[track_caller]
pub fn spawn<T, F>(name: impl Into<String>, body: F) -> JoinHandle<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let name = name.into();
    let slot = Arc::new(ResultSlot {
        result: Mutex::new(ThreadResult { ended: false, value: None }),
        changed: Condvar::new(),
    });
    // Dropped on every way out of the body, and also if the body never begins, so that a joining thread wakes.
    let end = MarkEnded(Arc::clone(&slot));
    let body = move || {
        let end = end;
        let value = body();
        end.0.result.lock().value = Some(value);
    };
    spawn_body(&name, Box::new(body));
    JoinHandle { slot, name }
}

/// Does the work of [`spawn`] for a body of any type, so that it is compiled once.
fn spawn_body(name: &str, body: Box<dyn FnOnce() + Send>) {
    panic_hook::install();
    let info = current_run().register(name, Group::current());
    match sim::current() {
        Some(sim) => sim.spawn(info, body),
        None => {
            let thread = Arc::clone(&info);
            os_threads::spawn(info, Box::new(move || os_threads::run_body(&thread, body)));
        }
    }
}

/// The place where a thread stores its return value for the thread that joins it.
struct ResultSlot<T> {
    result: Mutex<ThreadResult<T>>,
    changed: Condvar,
}

struct ThreadResult<T> {
    ended: bool,
    /// `None` after the end means that the thread was unwound.
    value: Option<T>,
}

/// Marks the thread as ended when it is dropped.
struct MarkEnded<T>(Arc<ResultSlot<T>>);

impl<T> Drop for MarkEnded<T> {
    fn drop(&mut self) {
        self.0.result.lock().ended = true;
        self.0.changed.notify_all();
        if let Some(sim) = sim::current() {
            sim.unpark_all(sim::key(&self.0.changed));
        }
    }
}

/// A handle that waits for a thread's end. If it is dropped, the thread continues by itself.
pub struct JoinHandle<T> {
    slot: Arc<ResultSlot<T>>,
    name: String,
}

impl<T> JoinHandle<T> {
    /// Waits for the thread's end and returns the thread's return value.
    ///
    /// # Errors
    ///
    /// If the thread panicked (its run has then failed). The error is a sentence with the thread's name.
    #[track_caller]
    pub fn join(self) -> Result<T> {
        let at = Location::caller();
        if let Some(sim) = sim::current() {
            while !self.is_finished() {
                sim.park(sim::key(&self.slot.changed), WaitKind::Join, at, sim::NEVER);
            }
        } else {
            with_current_thread(|me| {
                let blocked = me.map(|me| Blocked::new(me, WaitKind::Join, at));
                self.slot.changed.wait_while(&mut self.slot.result.lock(), |result| !result.ended);
                drop(blocked);
                if let Some(me) = me {
                    unwind_if_stopping(me);
                }
            });
        }
        let value = self.slot.result.lock().value.take();
        value.ok_or_else(|| -> Box<dyn Any + Send> { Box::new(format!("thread '{}' panicked", self.name)) })
    }

    /// Returns whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.slot.result.lock().ended
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Sleeps for this long on the run's clock. If the run fails, the sleep ends early and the thread unwinds.
#[track_caller]
pub fn sleep(duration: Duration) {
    let at = Location::caller();
    if let Some(sim) = sim::current() {
        sim.sleep(duration, at);
        return;
    }
    with_current_thread(|me| match me {
        None => {
            foreign::check_starter("sleeps in labstd::thread::sleep as a thread", Some(at));
            std::thread::sleep(duration);
        }
        Some(me) => {
            {
                let _blocked = Blocked::new(me, WaitKind::Sleep, at);
                os_threads::sleep_until(me, OsInstant::now() + duration);
            }
            unwind_if_stopping(me);
        }
    });
}

/// Lets other runnable threads run.
#[track_caller]
pub fn yield_now() {
    match sim::current() {
        Some(sim) => sim.yield_now(),
        None => std::thread::yield_now(),
    }
}

/// Calls `body` as part of a library that the line `from` called. While the thread waits in `body`, reports also name
/// `from`, which helps the author of that line more than a line in the library.
pub fn called_from<T>(from: &'static Location<'static>, body: impl FnOnce() -> T) -> T {
    struct RestoreCaller(Option<&'static Location<'static>>);
    impl Drop for RestoreCaller {
        fn drop(&mut self) {
            with_current_thread(|me| me.map(|me| me.wait.set_caller(self.0)));
        }
    }
    let _restore = RestoreCaller(with_current_thread(|me| me.and_then(|me| me.wait.set_caller(Some(from)))));
    body()
}

/// Returns whether the calling thread is unwinding from a panic, or because its run has ended.
pub fn panicking() -> bool {
    sim::unwinding()
}

/// Returns the calling thread's name; empty if the thread belongs to no run and the OS knows no name.
pub fn name() -> String {
    with_current_thread(|me| match me {
        Some(me) => me.name.to_string(),
        None => std::thread::current().name().unwrap_or_default().to_string(),
    })
}

/// Returns whether the calling thread belongs to a [`Run`](crate::Run).
pub fn in_run() -> bool {
    with_current_thread(|me| me.is_some_and(ThreadInfo::in_run))
}

/// Returns the activity of each thread of the calling thread's run, in the order in which they were started: the line
/// of each wait, and the thread that it waits for.
pub fn statuses() -> Vec<ThreadStatus> {
    current_run().statuses(|_| true)
}

/// Returns the context of the calling thread's group, if it has one.
pub fn context() -> Option<Arc<dyn Any + Send + Sync>> {
    with_context(|context| context.cloned())
}

/// Calls `f` with the context of the calling thread's group, if it has one. Takes no lock.
pub fn with_context<T>(f: impl FnOnce(Option<&Arc<dyn Any + Send + Sync>>) -> T) -> T {
    current_thread::with_context(|context| {
        if context.is_none() && current_thread::current_thread_id() == 0 {
            foreign::check_starter("reports an event", None);
        }
        f(context)
    })
}
