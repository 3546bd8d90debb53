//! Threads and their groups: `std::thread`, with names that reports use.

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Instant as OsInstant;

use parking_lot::{Condvar, Mutex};

use crate::failure::ThreadStatus;
use crate::os_threads::{self, Blocked};
use crate::state::{self, RunState, unwind_if_stopping, with_current_thread};
use crate::time::Duration;
use crate::wait::WaitKind;
use crate::{group, panic_hook, sim};

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
    panic_hook::install();
    let name = name.into();
    let group = state::current_group();
    let info = state::current_run().register(&name, group);
    let slot = Arc::new(ResultSlot {
        result: Mutex::new(ThreadResult { ended: false, value: None }),
        changed: Condvar::new(),
    });
    // Dropped on every way out of the body, and also if the body never begins, so that a joining thread wakes.
    let end = MarkEnded(Arc::clone(&slot));
    let run = Box::new(move || {
        let end = end;
        let value = body();
        end.0.result.lock().value = Some(value);
    });
    match sim::current() {
        Some(sim) => sim.spawn(info, run),
        None => {
            let body = Arc::clone(&info);
            os_threads::spawn(info, Box::new(move || os_threads::run_body(&body, run)));
        }
    }
    JoinHandle { slot, name }
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
        None => std::thread::sleep(duration),
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

/// Returns the activity of each thread of the calling thread's run, in the order in which they were started: the line
/// of each wait, and the thread that it waits for.
pub fn statuses() -> Vec<ThreadStatus> {
    state::current_run().statuses(|_| true)
}

/// Returns the context of the calling thread's group, if it has one.
pub fn context() -> Option<Arc<dyn Any + Send + Sync>> {
    with_context(|context| context.cloned())
}

/// Calls `f` with the context of the calling thread's group, if it has one. Takes no lock.
pub fn with_context<T>(f: impl FnOnce(Option<&Arc<dyn Any + Send + Sync>>) -> T) -> T {
    state::with_context(f)
}

/// Threads that belong together, such as those of one incarnation of one server. A group has one context value.
///
/// A new thread joins the current group of the thread that starts it: the group in which that thread was started,
/// unless it has [entered](Group::enter) another.
#[derive(Clone)]
pub struct Group(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    /// See [`group::register`].
    number: u64,
    context: Option<Arc<dyn Any + Send + Sync>>,
    run: Arc<RunState>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        group::unregister(self.number);
    }
}

impl Group {
    /// Creates a group in the calling thread's run. The group has no threads yet.
    pub fn new(name: impl Into<String>, context: Option<Arc<dyn Any + Send + Sync>>) -> Group {
        Group::of_run(name.into(), context, &state::current_run())
    }

    pub(crate) fn of_run(name: String, context: Option<Arc<dyn Any + Send + Sync>>, run: &Arc<RunState>) -> Group {
        let name = name.into();
        let number = group::register(&name);
        Group(Arc::new(Inner { name, number, context, run: Arc::clone(run) }))
    }

    /// Returns the calling thread's group. `None` outside of any run.
    pub fn current() -> Option<Group> {
        state::current_group()
    }

    /// Returns the name that [`new`](Group::new) was given.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the number of the group, which no other group has; from 1.
    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    /// Returns the context value that [`new`](Group::new) was given.
    pub fn context(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.0.context.as_ref()
    }

    /// Calls `body` with the calling thread as a member of this group. Afterwards the thread is in its previous group
    /// again.
    pub fn enter<T>(&self, body: impl FnOnce() -> T) -> T {
        state::enter(self, body)
    }

    /// Returns the live members and the activity of each.
    pub fn threads(&self) -> Vec<ThreadStatus> {
        self.0.run.statuses(|thread| thread.group_number() == self.0.number)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("name", &self.0.name).finish_non_exhaustive()
    }
}
