//! The state of a run that outlives each of its threads: its seed and clock, the register of its threads, and the first
//! failure. Both clocks use it, so that a report reads the same under both.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant as OsInstant};

use parking_lot::{Condvar, Mutex};

use crate::failure::{Failure, PanicReport, ThreadStatus};
use crate::group::{self, CurrentGroup};
use crate::sim;
use crate::thread::Group;
use crate::wait::{Wait, WaitKind};

/// The name in reports of a thread outside of any run.
pub(crate) const FOREIGN_THREAD: &str = "a thread outside of any run (one of std::thread?)";

/// The state of one run, shared by all its threads and by the thread that waits for its end.
pub(crate) struct RunState {
    pub(crate) seed: u64,
    pub(crate) simulated: bool,
    /// The longest wait for a lock.
    pub(crate) lock_limit: Duration,
    /// The start of the run on the OS's clock.
    pub(crate) start: OsInstant,
    /// The virtual time of a simulation, in nanoseconds; stored here for reports from outside.
    pub(crate) virtual_now: AtomicU64,
    /// The number of steps of a simulation and the thread that it runs; for the stall check from outside.
    pub(crate) steps: AtomicU64,
    pub(crate) running: AtomicU64,
    /// Whether the run has failed: sleeps and waits then end, and their threads unwind.
    stopping: AtomicBool,
    /// The longest delay of a wakeup from a sleep, in nanoseconds (threads only).
    pub(crate) lateness: AtomicU64,
    next_thread: AtomicU64,
    threads: Mutex<BTreeMap<u64, Arc<ThreadInfo>>>,
    failure: Mutex<Option<Failure>>,
    /// Signalled at the first failure and when the body ends.
    pub(crate) changed: Condvar,
    pub(crate) body_done: Mutex<bool>,
}

/// The register entry of one thread.
pub(crate) struct ThreadInfo {
    /// Unique within the run; from 1.
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    pub(crate) run: Arc<RunState>,
    group: CurrentGroup,
    pub(crate) wait: Wait,
    /// The OS thread, which is unparked from a sleep when the run fails (threads only).
    pub(crate) os: OnceLock<std::thread::Thread>,
    /// The location and backtrace that the panic hook recorded last on this thread.
    pub(crate) last_panic: Mutex<Option<(String, Option<String>)>>,
}

/// The payload, without a panic message, that unwinds a thread of a run that has ended.
pub(crate) struct Killed;

thread_local! {
    /// The running thread; null on a thread that this crate did not start. A simulation sets it at every switch.
    static CURRENT_THREAD: Cell<*const ThreadInfo> = const { Cell::new(ptr::null()) };
}

/// The run to which threads belong that are started outside of any run.
static NO_RUN: LazyLock<Arc<RunState>> = LazyLock::new(|| RunState::new(0, false, Duration::from_secs(5)));

impl RunState {
    pub(crate) fn new(seed: u64, simulated: bool, lock_limit: Duration) -> Arc<RunState> {
        Arc::new(RunState {
            seed,
            simulated,
            lock_limit,
            start: OsInstant::now(),
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

    /// Returns the time since the run began, in nanoseconds on its own clock.
    pub(crate) fn now(&self) -> u64 {
        if self.simulated { self.virtual_now.load(Relaxed) } else { self.start.elapsed().as_nanos() as u64 }
    }

    /// Registers a thread that is about to start.
    pub(crate) fn register(self: &Arc<Self>, name: &str, group: Option<Group>) -> Arc<ThreadInfo> {
        let info = Arc::new(ThreadInfo {
            id: self.next_thread.fetch_add(1, Relaxed),
            name: name.into(),
            run: Arc::clone(self),
            group: CurrentGroup::new(group),
            wait: Wait::new(),
            os: OnceLock::new(),
            last_panic: Mutex::new(None),
        });
        info.wait.ready();
        self.threads.lock().insert(info.id, Arc::clone(&info));
        info
    }

    /// Removes a thread that has ended.
    pub(crate) fn unregister(&self, info: &ThreadInfo) {
        self.threads.lock().remove(&info.id);
    }

    pub(crate) fn thread(&self, id: u64) -> Option<Arc<ThreadInfo>> {
        self.threads.lock().get(&id).cloned()
    }

    /// Stores `failure` if it is the first, and asks all threads to end.
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

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// Returns whether the body has returned, or the run has failed.
    pub(crate) fn is_over(&self) -> bool {
        self.is_stopping() || *self.body_done.lock()
    }

    pub(crate) fn take_failure(&self) -> Option<Failure> {
        self.failure.lock().take()
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.lock().is_some()
    }

    /// Returns the activity of each thread for which `wanted` holds, in the order in which they were started.
    pub(crate) fn statuses(&self, wanted: impl Fn(&ThreadInfo) -> bool) -> Vec<ThreadStatus> {
        let threads: Vec<_> = self.threads.lock().values().filter(|thread| wanted(thread)).cloned().collect();
        threads.iter().map(|thread| thread.status()).collect()
    }
}

impl ThreadInfo {
    /// Returns whether the thread was started inside a [`Run`](crate::Run).
    pub(crate) fn in_run(&self) -> bool {
        !Arc::ptr_eq(&self.run, &NO_RUN)
    }

    /// Returns the number of the thread's group, 0 for none.
    pub(crate) fn group_number(&self) -> u64 {
        self.group.number()
    }

    /// Returns the thread's name, group and current activity.
    pub(crate) fn status(&self) -> ThreadStatus {
        ThreadStatus { name: self.name.to_string(), group: group::name(self.group_number()), activity: self.activity() }
    }

    fn activity(&self) -> String {
        let waiting = self.wait.snapshot();
        let mut text = waiting.kind.name().to_string();
        if matches!(waiting.kind, WaitKind::Running | WaitKind::Ready) {
            return text;
        }
        if let Some(at) = waiting.at {
            text += &format!(" at {at}");
        }
        if let Some(caller) = waiting.caller {
            text += &format!(" (called from {caller})");
        }
        let waited = Duration::from_nanos(self.run.now().saturating_sub(waiting.since));
        text += &format!(" for {:.3} s", waited.as_secs_f64());
        if waiting.kind == WaitKind::Lock {
            let holder = match self.run.thread(waiting.holder) {
                Some(holder) => holder.name.to_string(),
                None => FOREIGN_THREAD.to_string(),
            };
            text += &format!(", held by {holder}");
            if let Some(since) = waiting.held_since {
                text += &format!(" which took it at {since}");
            }
        }
        text
    }

    /// Builds the report of a panic from its payload and from the panic hook's notes.
    pub(crate) fn panic_report(&self, payload: Box<dyn Any + Send>) -> PanicReport {
        let (location, backtrace) = match self.last_panic.lock().take() {
            Some((location, backtrace)) => (Some(location), backtrace),
            None => (None, None),
        };
        PanicReport {
            thread: self.name.to_string(),
            message: message(&*payload),
            location,
            backtrace,
            at: Duration::from_nanos(self.run.now()),
            payload,
        }
    }
}

/// Returns a panic's payload as text.
fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_string()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "(a panic without a message)".to_string()
    }
}

/// Sets the calling thread's identity and returns the previous one.
pub(crate) fn set_current_thread(info: *const ThreadInfo) -> *const ThreadInfo {
    CURRENT_THREAD.replace(info)
}

/// Returns the id of the calling thread, 0 if it belongs to no run.
pub(crate) fn current_thread_id() -> u64 {
    with_current_thread(|me| me.map_or(0, |me| me.id))
}

/// Calls `f` with the calling thread's register entry, if it has one.
#[expect(unsafe_code, reason = "the thread-local pointer to the running thread")]
pub(crate) fn with_current_thread<T>(f: impl FnOnce(Option<&ThreadInfo>) -> T) -> T {
    // SAFETY: `CURRENT_THREAD` is null or points into an `Arc<ThreadInfo>` that stays alive while the pointer is set.
    // On an OS thread the frame that set it (`os_threads::CurrentThreadGuard`) holds it, in a simulation the running
    // task. Both outlive the call of `f`.
    f(unsafe { CURRENT_THREAD.get().as_ref() })
}

/// Returns the calling thread's group, if the thread belongs to a run.
#[expect(unsafe_code, reason = "the calling thread owns its current group")]
pub(crate) fn current_group() -> Option<Group> {
    // SAFETY: the entry is the calling thread's own.
    with_current_thread(|me| unsafe { me?.group.with(|group| group.cloned()) })
}

/// Calls `body` with the calling thread in this group, if the thread belongs to a run. Afterwards the thread is in its
/// previous group again.
#[expect(unsafe_code, reason = "the calling thread owns its current group")]
pub(crate) fn enter<T>(group: &Group, body: impl FnOnce() -> T) -> T {
    with_current_thread(|me| match me {
        // SAFETY: the entry is the calling thread's own.
        Some(me) => unsafe { me.group.enter(group, body) },
        None => body(),
    })
}

/// Calls `f` with the context of the calling thread's group, if it has one.
#[expect(unsafe_code, reason = "the calling thread owns its current group")]
pub(crate) fn with_context<T>(f: impl FnOnce(Option<&Arc<dyn Any + Send + Sync>>) -> T) -> T {
    with_current_thread(|me| match me {
        // SAFETY: the entry is the calling thread's own.
        Some(me) => unsafe { me.group.with(|group| f(group.and_then(Group::context))) },
        None => f(None),
    })
}

/// Returns the run of the calling thread.
pub(crate) fn current_run() -> Arc<RunState> {
    with_current_thread(|me| me.map_or_else(|| Arc::clone(&NO_RUN), |me| Arc::clone(&me.run)))
}

/// Unwinds the calling thread, without a panic message, if its run is over. Each blocking call does this before it
/// returns.
///
/// A thread that already unwinds continues, so that destructors may block.
pub(crate) fn unwind_if_stopping(info: &ThreadInfo) {
    if info.run.is_stopping() && !sim::unwinding() {
        std::panic::resume_unwind(Box::new(Killed));
    }
}
