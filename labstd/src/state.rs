//! The state of a run that outlives any one of its threads: its seed and clock, the register of its threads, and the
//! first failure. Both clocks use it, so that a report reads the same under either.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant as OsInstant};

use parking_lot::{Condvar, Mutex};

use crate::failure::{Failure, Panicked, ThreadStatus};
use crate::membership::{self, Membership};
use crate::sim;
use crate::thread::Group;
use crate::wait::{Kind, Wait};

/// The name that a thread outside of any run goes by in reports.
pub(crate) const OUTSIDER: &str = "a thread outside of any run (one of std::thread?)";

/// One run, shared by all its threads and by whoever waits for its end.
pub(crate) struct RunState {
    pub(crate) seed: u64,
    pub(crate) simulated: bool,
    /// How long a thread may wait for a lock.
    pub(crate) lock_limit: Duration,
    /// When the run began on the OS's clock.
    pub(crate) begun: OsInstant,
    /// The virtual time of a simulation, in nanoseconds; kept here for reports from outside.
    pub(crate) virtual_now: AtomicU64,
    /// The steps of a simulation and the thread that it runs; for a watch from outside.
    pub(crate) steps: AtomicU64,
    pub(crate) running: AtomicU64,
    /// Set with the first failure: sleeps and waits then end, and their threads unwind.
    stopping: AtomicBool,
    /// How late sleeps woke at worst, in nanoseconds (threads only).
    pub(crate) lateness: AtomicU64,
    next_thread: AtomicU64,
    threads: Mutex<BTreeMap<u64, Arc<ThreadInfo>>>,
    failure: Mutex<Option<Failure>>,
    /// Signalled with the first failure and when the body ends.
    pub(crate) changed: Condvar,
    pub(crate) body_done: Mutex<bool>,
}

/// What is known of one thread.
pub(crate) struct ThreadInfo {
    /// Unique within the run; from 1.
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    pub(crate) run: Arc<RunState>,
    group: Membership,
    pub(crate) wait: Wait,
    /// The OS thread, to be woken from a sleep when the run fails (threads only).
    pub(crate) os: OnceLock<std::thread::Thread>,
    /// What the panic hook saw last on this thread.
    pub(crate) last_panic: Mutex<Option<(String, Option<String>)>>,
}

/// Thrown (without a panic message) through a thread of a run that has ended.
pub(crate) struct Killed;

thread_local! {
    /// The running thread; null on one that this crate did not start. A simulation sets it at every switch.
    static ME: Cell<*const ThreadInfo> = const { Cell::new(ptr::null()) };
}

/// The run of threads that were started outside of any run.
static NO_RUN: LazyLock<Arc<RunState>> = LazyLock::new(|| RunState::new(0, false, Duration::from_secs(5)));

impl RunState {
    pub(crate) fn new(seed: u64, simulated: bool, lock_limit: Duration) -> Arc<RunState> {
        Arc::new(RunState {
            seed,
            simulated,
            lock_limit,
            begun: OsInstant::now(),
            virtual_now: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            running: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            lateness: AtomicU64::new(0),
            next_thread: AtomicU64::new(1),
            threads: Mutex::new(BTreeMap::new()),
            failure: Mutex::new(None),
            changed: Condvar::new(),
            body_done: Mutex::new(false),
        })
    }

    /// Time since the run began, in nanoseconds on its own clock.
    pub(crate) fn now(&self) -> u64 {
        if self.simulated { self.virtual_now.load(Relaxed) } else { self.begun.elapsed().as_nanos() as u64 }
    }

    /// Registers a thread that is about to start.
    pub(crate) fn register(self: &Arc<Self>, name: &str, group: Option<Group>) -> Arc<ThreadInfo> {
        let info = Arc::new(ThreadInfo {
            id: self.next_thread.fetch_add(1, Relaxed),
            name: name.into(),
            run: Arc::clone(self),
            group: Membership::new(group),
            wait: Wait::new(),
            os: OnceLock::new(),
            last_panic: Mutex::new(None),
        });
        info.wait.ready();
        self.threads.lock().insert(info.id, Arc::clone(&info));
        info
    }

    /// A thread has ended.
    pub(crate) fn unregister(&self, info: &ThreadInfo) {
        self.threads.lock().remove(&info.id);
    }

    pub(crate) fn thread(&self, id: u64) -> Option<Arc<ThreadInfo>> {
        self.threads.lock().get(&id).cloned()
    }

    /// Keeps `failure` if it is the first, and asks all threads to end.
    pub(crate) fn fail(&self, failure: Failure) {
        self.failure.lock().get_or_insert(failure);
        self.stopping.store(true, Relaxed);
        for thread in self.threads.lock().values() {
            if let Some(os) = thread.os.get() {
                os.unpark();
            }
        }
        let _held = self.body_done.lock();
        self.changed.notify_all();
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// Whether the body has returned, or the run has failed.
    pub(crate) fn over(&self) -> bool {
        self.stopping() || *self.body_done.lock()
    }

    pub(crate) fn take_failure(&self) -> Option<Failure> {
        self.failure.lock().take()
    }

    pub(crate) fn failed(&self) -> bool {
        self.failure.lock().is_some()
    }

    /// What each thread for which `wanted` holds is doing, in the order in which they were started.
    pub(crate) fn statuses(&self, wanted: impl Fn(&ThreadInfo) -> bool) -> Vec<ThreadStatus> {
        let threads: Vec<_> = self.threads.lock().values().filter(|thread| wanted(thread)).cloned().collect();
        threads.iter().map(|thread| thread.status()).collect()
    }
}

impl ThreadInfo {
    /// Whether the thread was started inside a [`Run`](crate::Run).
    pub(crate) fn in_run(&self) -> bool {
        !Arc::ptr_eq(&self.run, &NO_RUN)
    }

    /// The number of the thread's group, 0 for none.
    pub(crate) fn group_number(&self) -> u64 {
        self.group.number()
    }

    /// What the thread is doing now.
    pub(crate) fn status(&self) -> ThreadStatus {
        ThreadStatus { name: self.name.to_string(), group: membership::name(self.group_number()), doing: self.doing() }
    }

    fn doing(&self) -> String {
        let waiting = self.wait.get();
        let mut text = waiting.kind.name().to_string();
        if matches!(waiting.kind, Kind::Running | Kind::Ready) {
            return text;
        }
        if let Some(at) = waiting.at {
            text += &format!(" at {at}");
        }
        if let Some(from) = waiting.from {
            text += &format!(" (called from {from})");
        }
        let waited = Duration::from_nanos(self.run.now().saturating_sub(waiting.since));
        text += &format!(" for {:.3} s", waited.as_secs_f64());
        if waiting.kind == Kind::Lock {
            let holder = match self.run.thread(waiting.holder) {
                Some(holder) => holder.name.to_string(),
                None => OUTSIDER.to_string(),
            };
            text += &format!(", held by {holder}");
            if let Some(since) = waiting.held_since {
                text += &format!(" which took it at {since}");
            }
        }
        text
    }

    /// The thread's panic, from what it threw and what the hook saw.
    pub(crate) fn panicked(&self, payload: Box<dyn Any + Send>) -> Panicked {
        let (location, backtrace) = match self.last_panic.lock().take() {
            Some((location, backtrace)) => (Some(location), backtrace),
            None => (None, None),
        };
        Panicked {
            thread: self.name.to_string(),
            message: message(&*payload),
            location,
            backtrace,
            at: Duration::from_nanos(self.run.now()),
            payload,
        }
    }
}

/// A panic's payload as text.
fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_string()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "(a panic without a message)".to_string()
    }
}

/// Sets the calling thread's identity and returns the one before.
pub(crate) fn set_me(info: *const ThreadInfo) -> *const ThreadInfo {
    ME.replace(info)
}

/// The id of the calling thread, 0 if it belongs to no run.
pub(crate) fn my_id() -> u64 {
    with_me(|me| me.map_or(0, |me| me.id))
}

/// Calls `look` with the calling thread's register entry, if it has one.
#[expect(unsafe_code, reason = "the thread-local pointer to the running thread")]
pub(crate) fn with_me<T>(look: impl FnOnce(Option<&ThreadInfo>) -> T) -> T {
    // SAFETY: `ME` is null or points into an `Arc<ThreadInfo>` that is kept alive while it is set: on an OS thread by
    // the frame that set it (`threads::Identity`), in a simulation by the task that runs; either is there as long as `look` is.
    look(unsafe { ME.get().as_ref() })
}

/// The calling thread's group, if it belongs to a run.
#[expect(unsafe_code, reason = "the calling thread owns its membership")]
pub(crate) fn my_group() -> Option<Group> {
    // SAFETY: the entry is the calling thread's own.
    with_me(|me| unsafe { me?.group.look(|group| group.cloned()) })
}

/// Calls `body` with the calling thread in this group, if it belongs to a run; afterwards it is where it was.
#[expect(unsafe_code, reason = "the calling thread owns its membership")]
pub(crate) fn enter<T>(group: &Group, body: impl FnOnce() -> T) -> T {
    with_me(|me| match me {
        // SAFETY: the entry is the calling thread's own.
        Some(me) => unsafe { me.group.enter(group, body) },
        None => body(),
    })
}

/// Calls `look` with the context of the calling thread's group, if it has one.
#[expect(unsafe_code, reason = "the calling thread owns its membership")]
pub(crate) fn with_context<T>(look: impl FnOnce(Option<&Arc<dyn Any + Send + Sync>>) -> T) -> T {
    with_me(|me| match me {
        // SAFETY: the entry is the calling thread's own.
        Some(me) => unsafe { me.group.look(|group| look(group.and_then(Group::context))) },
        None => look(None),
    })
}

/// The run of the calling thread.
pub(crate) fn my_run() -> Arc<RunState> {
    with_me(|me| me.map_or_else(|| Arc::clone(&NO_RUN), |me| Arc::clone(&me.run)))
}

/// Ends the calling thread, without a message, if its run is over. Called where blocking calls return.
///
/// A thread that unwinds already is left alone, so that destructors may block.
pub(crate) fn leave_if_stopping(info: &ThreadInfo) {
    if info.run.stopping() && !sim::unwinding() {
        std::panic::resume_unwind(Box::new(Killed));
    }
}
