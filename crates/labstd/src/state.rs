//! The state of a run that outlives each of its threads: its seed and clock, the register of its threads, and the first
//! failure. Both clocks use it, so that a report reads the same under both.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant as OsInstant};

use parking_lot::{Condvar, Mutex};

use crate::failure::{Failure, PanicReport, ThreadStatus};
use crate::group::{self, CurrentGroup, Group, ThreadRegister};
use crate::wait::{Wait, WaitKind};

/// The name in reports of a thread outside of any run.
pub(crate) const FOREIGN_THREAD: &str = "a thread outside of any run (one of std::thread?)";

/// The state of one run, shared by all its threads and by the thread that waits for its end.
pub(crate) struct RunState {
    /// The name that [`Run::named`](crate::Run::named) was given.
    pub(crate) name: Arc<str>,
    pub(crate) seed: u64,
    pub(crate) simulated: bool,
    /// The longest wait for a lock.
    pub(crate) lock_limit: Duration,
    /// The start of the run on the OS's clock.
    pub(crate) start: OsInstant,
    /// The virtual time of a simulation, in nanoseconds; stored here for reports from outside.
    pub(crate) virtual_now: AtomicU64,
    /// The number of steps of a simulation and the thread that it runs; for the stall check from outside.
    pub(crate) steps: Arc<AtomicU64>,
    pub(crate) running: AtomicU64,
    /// The OS thread of a simulation.
    pub(crate) os_thread: OnceLock<std::thread::ThreadId>,
    /// The number of that thread for the OS, on Linux.
    pub(crate) os_task: AtomicU64,
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
    pub(crate) group: CurrentGroup,
    /// Whether a simulation may hold the thread: see [`Group::lagging`].
    pub(crate) lags: bool,
    pub(crate) wait: Wait,
    /// The OS thread, which is unparked from a sleep when the run fails (threads only).
    pub(crate) os: OnceLock<std::thread::Thread>,
    /// The location and backtrace that the panic hook recorded last on this thread.
    pub(crate) last_panic: Mutex<Option<(String, Option<String>)>>,
    /// Set on an OS thread when it begins to unwind with a panic that the run has not been told of.
    pub(crate) unwinds: AtomicBool,
}

/// The payload, without a panic message, that unwinds a thread of a run that has ended.
pub(crate) struct Killed;

/// The run to which threads belong that are started outside of any run.
pub(crate) static NO_RUN: LazyLock<Arc<RunState>> =
    LazyLock::new(|| RunState::new("", 0, false, Duration::from_secs(5), Arc::default()));

impl RunState {
    pub(crate) fn new(
        name: &str,
        seed: u64,
        simulated: bool,
        lock_limit: Duration,
        steps: Arc<AtomicU64>,
    ) -> Arc<RunState> {
        Arc::new(RunState {
            name: name.into(),
            seed,
            simulated,
            lock_limit,
            start: OsInstant::now(),
            virtual_now: AtomicU64::new(0),
            steps,
            running: AtomicU64::new(0),
            os_thread: OnceLock::new(),
            os_task: AtomicU64::new(0),
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
            lags: group.as_ref().is_some_and(Group::lags),
            group: CurrentGroup::new(group),
            wait: Wait::new(),
            os: OnceLock::new(),
            last_panic: Mutex::new(None),
            unwinds: AtomicBool::new(false),
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

    /// Changes the failure of a run that has failed.
    pub(crate) fn replace_failure(&self, change: impl FnOnce(Failure) -> Failure) {
        let mut failure = self.failure.lock();
        *failure = failure.take().map(change);
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

    /// Returns whether an OS thread of the run unwinds with a panic that the run has not been told of.
    pub(crate) fn unwinds(&self) -> bool {
        self.threads.lock().values().any(|thread| thread.unwinds.load(Relaxed))
    }

    /// Returns the activity of each thread for which `wanted` holds, in the order in which they were started.
    pub(crate) fn statuses(&self, wanted: impl Fn(&ThreadInfo) -> bool) -> Vec<ThreadStatus> {
        let threads: Vec<_> = self.threads.lock().values().filter(|thread| wanted(thread)).cloned().collect();
        threads.iter().map(|thread| thread.status()).collect()
    }
}

impl ThreadRegister for RunState {
    fn group_statuses(&self, number: u64) -> Vec<ThreadStatus> {
        self.statuses(|thread| thread.group_number() == number)
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
