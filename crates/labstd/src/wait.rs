//! The current wait of a thread, stored where reports can read it: a few relaxed atomics, written when a thread is
//! about to block. The table of a stuck run therefore costs nothing while the run is not stuck.

use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::home::Home;

/// The call of this crate in which a thread is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WaitKind {
    Running = 0,
    Ready,
    Lock,
    Condvar,
    CondvarTimed,
    Latch,
    Send,
    SendTimed,
    Recv,
    RecvTimed,
    Sleep,
    Join,
}

impl WaitKind {
    /// Returns the name of the call for reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            WaitKind::Running => "running (it has not blocked)",
            WaitKind::Ready => "ready to run",
            WaitKind::Lock => "in Mutex::lock",
            WaitKind::Condvar => "in Condvar::wait",
            WaitKind::CondvarTimed => "in Condvar::wait_for",
            WaitKind::Latch => "in Latch::wait_for",
            WaitKind::Send => "in Sender::send",
            WaitKind::SendTimed => "in Sender::send_timeout",
            WaitKind::Recv => "in Receiver::recv",
            WaitKind::RecvTimed => "in Receiver::recv_timeout",
            WaitKind::Sleep => "in thread::sleep",
            WaitKind::Join => "in JoinHandle::join",
        }
    }

    fn from_u8(n: u8) -> WaitKind {
        const ALL: [WaitKind; 12] = [
            WaitKind::Running,
            WaitKind::Ready,
            WaitKind::Lock,
            WaitKind::Condvar,
            WaitKind::CondvarTimed,
            WaitKind::Latch,
            WaitKind::Send,
            WaitKind::SendTimed,
            WaitKind::Recv,
            WaitKind::RecvTimed,
            WaitKind::Sleep,
            WaitKind::Join,
        ];
        ALL[n as usize]
    }
}

/// The current wait of one thread. Only that thread writes it; any thread that writes a report reads it.
#[derive(Debug)]
pub(crate) struct Wait {
    kind: AtomicU8,
    /// The line of the blocking call; null while the thread runs.
    at: AtomicPtr<Location<'static>>,
    /// When the wait began, in nanoseconds on the run's clock.
    since: AtomicU64,
    /// The line that called the library that waits on the thread's behalf; null if there is none.
    caller: AtomicPtr<Location<'static>>,
    /// For a lock: the state of that lock. The pointer is valid while the thread waits, because the thread borrows the
    /// lock.
    lock: AtomicPtr<LockState>,
    /// For a lock: its holder and the line that took it, as last seen by the waiting thread.
    holder: AtomicU64,
    held_since: AtomicPtr<Location<'static>>,
}

/// A copy of a [`Wait`] at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitSnapshot {
    pub(crate) kind: WaitKind,
    pub(crate) at: Option<&'static Location<'static>>,
    pub(crate) since: u64,
    pub(crate) caller: Option<&'static Location<'static>>,
    pub(crate) lock: *const LockState,
    pub(crate) holder: u64,
    pub(crate) held_since: Option<&'static Location<'static>>,
}

impl Wait {
    pub(crate) fn new() -> Wait {
        Wait {
            kind: AtomicU8::new(WaitKind::Running as u8),
            at: AtomicPtr::new(ptr::null_mut()),
            since: AtomicU64::new(0),
            caller: AtomicPtr::new(ptr::null_mut()),
            lock: AtomicPtr::new(ptr::null_mut()),
            holder: AtomicU64::new(0),
            held_since: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Records that the thread is about to block.
    pub(crate) fn begin(&self, kind: WaitKind, at: &'static Location<'static>, now: u64) {
        self.at.store(ptr::from_ref(at).cast_mut(), Relaxed);
        self.since.store(now, Relaxed);
        self.kind.store(kind as u8, Relaxed);
    }

    /// Records the lock on which the thread is about to block, or is still blocked.
    pub(crate) fn set_lock(&self, lock: &LockState) {
        self.lock.store(ptr::from_ref(lock).cast_mut(), Relaxed);
        self.holder.store(lock.owner(), Relaxed);
        self.held_since.store(lock.taken_at.load(Relaxed), Relaxed);
    }

    /// Records that the thread is in a library that this line called, and returns the previous such line.
    pub(crate) fn set_caller(&self, caller: Option<&'static Location<'static>>) -> Option<&'static Location<'static>> {
        let before = location(&self.caller);
        self.caller.store(caller.map_or(ptr::null_mut(), |caller| ptr::from_ref(caller).cast_mut()), Relaxed);
        before
    }

    /// Records that the wait is over, but the thread does not run yet.
    pub(crate) fn ready(&self) {
        self.kind.store(WaitKind::Ready as u8, Relaxed);
    }

    /// Records that the thread runs again.
    pub(crate) fn end(&self) {
        self.kind.store(WaitKind::Running as u8, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> WaitSnapshot {
        WaitSnapshot {
            kind: WaitKind::from_u8(self.kind.load(Relaxed)),
            at: location(&self.at),
            since: self.since.load(Relaxed),
            caller: location(&self.caller),
            lock: self.lock.load(Relaxed),
            holder: self.holder.load(Relaxed),
            held_since: location(&self.held_since),
        }
    }
}

/// The holder of a lock, and the line that took the lock.
#[derive(Debug)]
pub(crate) struct LockState {
    /// The id of the holding thread; 0 if free, or held by a thread that belongs to no run.
    owner: AtomicU64,
    taken_at: AtomicPtr<Location<'static>>,
    /// The number of simulated threads that wait for the lock. It is nearly always 0, and then a release need not look
    /// for a waiter.
    waiters: AtomicU32,
    /// The simulation whose threads take the lock.
    pub(crate) home: Home,
    /// The line that created the lock, which identifies it in reports.
    pub(crate) created_at: &'static Location<'static>,
}

impl LockState {
    pub(crate) const fn new(created_at: &'static Location<'static>) -> LockState {
        LockState {
            owner: AtomicU64::new(0),
            taken_at: AtomicPtr::new(ptr::null_mut()),
            waiters: AtomicU32::new(0),
            home: Home::none(),
            created_at,
        }
    }

    pub(crate) fn set_owner(&self, by: u64, at: &'static Location<'static>) {
        self.owner.store(by, Relaxed);
        self.taken_at.store(ptr::from_ref(at).cast_mut(), Relaxed);
    }

    pub(crate) fn clear_owner(&self) {
        self.owner.store(0, Relaxed);
    }

    /// Counts the calling thread of a simulation as a waiter for as long as `wait` takes.
    pub(crate) fn while_waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        // No two threads of a simulation run at once.
        self.waiters.store(self.waiters.load(Relaxed) + 1, Relaxed);
        let outcome = wait();
        self.waiters.store(self.waiters.load(Relaxed) - 1, Relaxed);
        outcome
    }

    /// Returns whether a thread of a simulation waits for the lock.
    pub(crate) fn has_waiters(&self) -> bool {
        self.waiters.load(Relaxed) > 0
    }

    pub(crate) fn owner(&self) -> u64 {
        self.owner.load(Relaxed)
    }

    pub(crate) fn taken_at(&self) -> Option<&'static Location<'static>> {
        location(&self.taken_at)
    }
}

#[expect(unsafe_code, reason = "reading back a `&'static` that was stored as a pointer")]
fn location(cell: &AtomicPtr<Location<'static>>) -> Option<&'static Location<'static>> {
    // SAFETY: these cells only ever hold null or a pointer made from a `&'static Location`.
    unsafe { cell.load(Relaxed).as_ref() }
}

/// Returns the sentence that names a waiting thread, the lock, and the lock's holder.
pub(crate) fn describe_long_wait(waiter: &str, lock: &LockState, at: &Location<'_>, holder: &str) -> String {
    let taken_at = lock.taken_at().map_or(String::new(), |line| format!(", taken at {line}"));
    format!("{waiter} waits at {at} for the lock made at {}{taken_at}; its holder is {holder}", lock.created_at)
}
