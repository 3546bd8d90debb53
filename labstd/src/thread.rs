//! Threads and the groups they belong to: `std::thread` with names that reports live on.

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Instant as OsInstant;

use parking_lot::{Condvar, Mutex};

use crate::failure::ThreadStatus;
use crate::state::{self, RunState, leave_if_stopping, with_me};
use crate::threads::{self, Blocked};
use crate::time::Duration;
use crate::wait::Kind;
use crate::{hook, membership, sim};

/// What a thread left: what it returned, or what it threw.
pub type Result<T> = std::thread::Result<T>;

/// Starts a thread. It inherits the group of the calling thread.
///
/// A panic in it fails the run, whether it is joined or not.
///
/// # Panics
///
/// If the OS refuses a thread (or, in a simulation, the memory of a stack).
#[track_caller]
pub fn spawn<T, F>(name: impl Into<String>, body: F) -> JoinHandle<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    hook::install();
    let name = name.into();
    let group = state::my_group();
    let info = state::my_run().register(&name, group);
    let packet = Arc::new(Packet { left: Mutex::new(Left { ended: false, value: None }), changed: Condvar::new() });
    // Dropped on every way out of the body, and also if the body never begins, so that whoever joins wakes.
    let end = End(Arc::clone(&packet));
    let run = Box::new(move || {
        let end = end;
        let value = body();
        end.0.left.lock().value = Some(value);
    });
    match sim::current() {
        Some(sim) => sim.spawn(info, run),
        None => {
            let body = Arc::clone(&info);
            threads::spawn(info, Box::new(move || threads::run_body(&body, run)));
        }
    }
    JoinHandle { packet, name }
}

/// Where a thread leaves what it returned, for whoever joins it.
struct Packet<T> {
    left: Mutex<Left<T>>,
    changed: Condvar,
}

struct Left<T> {
    ended: bool,
    /// `None` at the end means that the thread was unwound.
    value: Option<T>,
}

/// Marks the packet as final when it is dropped.
struct End<T>(Arc<Packet<T>>);

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        self.0.left.lock().ended = true;
        self.0.changed.notify_all();
        if let Some(sim) = sim::current() {
            sim.unpark_all(sim::key(&self.0.changed));
        }
    }
}

/// The right to wait for a thread's end. Dropping it lets the thread go on by itself.
pub struct JoinHandle<T> {
    packet: Arc<Packet<T>>,
    name: String,
}

impl<T> JoinHandle<T> {
    /// Waits for the thread's end and returns what it returned.
    ///
    /// # Errors
    ///
    /// If the thread panicked (its run has then failed). The error is a sentence with the thread's name.
    #[track_caller]
    pub fn join(self) -> Result<T> {
        let at = Location::caller();
        if let Some(sim) = sim::current() {
            while !self.is_finished() {
                sim.park(sim::key(&self.packet.changed), Kind::Join, at, sim::NEVER);
            }
        } else {
            with_me(|me| {
                let blocked = me.map(|me| Blocked::new(me, Kind::Join, at));
                self.packet.changed.wait_while(&mut self.packet.left.lock(), |left| !left.ended);
                drop(blocked);
                if let Some(me) = me {
                    leave_if_stopping(me);
                }
            });
        }
        let value = self.packet.left.lock().value.take();
        value.ok_or_else(|| -> Box<dyn Any + Send> { Box::new(format!("thread '{}' panicked", self.name)) })
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.packet.left.lock().ended
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Sleeps for this long on the run's clock. Ends early, and the thread with it, if the run fails.
#[track_caller]
pub fn sleep(duration: Duration) {
    let at = Location::caller();
    if let Some(sim) = sim::current() {
        sim.sleep(duration, at);
        return;
    }
    with_me(|me| match me {
        None => std::thread::sleep(duration),
        Some(me) => {
            {
                let _blocked = Blocked::new(me, Kind::Sleep, at);
                threads::sleep_until(me, OsInstant::now() + duration);
            }
            leave_if_stopping(me);
        }
    });
}

/// Lets other threads run that can.
#[track_caller]
pub fn yield_now() {
    match sim::current() {
        Some(sim) => sim.yield_now(),
        None => std::thread::yield_now(),
    }
}

/// Calls `body` as part of a library that was called from `from`: reports of what the thread waits for in it name that
/// line too, which says more to whoever wrote it than the library's own.
pub fn called_from<T>(from: &'static Location<'static>, body: impl FnOnce() -> T) -> T {
    struct Back(Option<&'static Location<'static>>);
    impl Drop for Back {
        fn drop(&mut self) {
            with_me(|me| me.map(|me| me.wait.set_from(self.0)));
        }
    }
    let _back = Back(with_me(|me| me.and_then(|me| me.wait.set_from(Some(from)))));
    body()
}

/// Whether the calling thread is unwinding from a panic, or because its run has ended.
pub fn panicking() -> bool {
    sim::unwinding()
}

/// The calling thread's name; empty if it belongs to no run and the OS knows none.
pub fn name() -> String {
    with_me(|me| match me {
        Some(me) => me.name.to_string(),
        None => std::thread::current().name().unwrap_or_default().to_string(),
    })
}

/// What each thread of the calling thread's run is doing, in the order in which they were started: who waits where, and for
/// whom.
pub fn statuses() -> Vec<ThreadStatus> {
    state::my_run().statuses(|_| true)
}

/// The context of the calling thread's group, if it has one.
pub fn context() -> Option<Arc<dyn Any + Send + Sync>> {
    with_context(|context| context.cloned())
}

/// Calls `look` with the context of the calling thread's group, if it has one. It takes no lock.
pub fn with_context<T>(look: impl FnOnce(Option<&Arc<dyn Any + Send + Sync>>) -> T) -> T {
    state::with_context(look)
}

/// Threads that belong together, such as those of one incarnation of one server, with one context value.
///
/// A thread is in the group of the thread that started it, unless that one [entered](Group::enter) another.
#[derive(Clone)]
pub struct Group(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    /// See [`membership::register`].
    number: u64,
    context: Option<Arc<dyn Any + Send + Sync>>,
    run: Arc<RunState>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        membership::unregister(self.number);
    }
}

impl Group {
    /// A group in the calling thread's run. Nobody belongs to it yet.
    pub fn new(name: impl Into<String>, context: Option<Arc<dyn Any + Send + Sync>>) -> Group {
        Group::of_run(name.into(), context, &state::my_run())
    }

    pub(crate) fn of_run(name: String, context: Option<Arc<dyn Any + Send + Sync>>, run: &Arc<RunState>) -> Group {
        let name = name.into();
        let number = membership::register(&name);
        Group(Arc::new(Inner { name, number, context, run: Arc::clone(run) }))
    }

    /// The calling thread's group. `None` outside of any run.
    pub fn current() -> Option<Group> {
        state::my_group()
    }

    /// The name given at the making.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What no other group has; from 1.
    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    /// The context value given at the making.
    pub fn context(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.0.context.as_ref()
    }

    /// Calls `body` with the calling thread as a member of this group; afterwards it is in its own again.
    pub fn enter<T>(&self, body: impl FnOnce() -> T) -> T {
        state::enter(self, body)
    }

    /// The members that are alive, and what each is doing.
    pub fn threads(&self) -> Vec<ThreadStatus> {
        self.0.run.statuses(|thread| thread.group_number() == self.0.number)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("name", &self.0.name).finish_non_exhaustive()
    }
}
