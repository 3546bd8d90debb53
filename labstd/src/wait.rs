//! What a thread is waiting for, kept where reports can read it: a few relaxed atomics, written when a thread is about to
//! block, so that the table of a stuck run costs nothing while the run is not stuck.

use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

/// The facade call in which a thread is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
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

impl Kind {
    /// The call as a reader of a report knows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Running => "running (it has not blocked)",
            Kind::Ready => "ready to run",
            Kind::Lock => "in Mutex::lock",
            Kind::Condvar => "in Condvar::wait",
            Kind::CondvarTimed => "in Condvar::wait_for",
            Kind::Latch => "in Latch::wait_for",
            Kind::Send => "in Sender::send",
            Kind::SendTimed => "in Sender::send_timeout",
            Kind::Recv => "in Receiver::recv",
            Kind::RecvTimed => "in Receiver::recv_timeout",
            Kind::Sleep => "in thread::sleep",
            Kind::Join => "in JoinHandle::join",
        }
    }

    fn from_u8(n: u8) -> Kind {
        const ALL: [Kind; 12] = [
            Kind::Running,
            Kind::Ready,
            Kind::Lock,
            Kind::Condvar,
            Kind::CondvarTimed,
            Kind::Latch,
            Kind::Send,
            Kind::SendTimed,
            Kind::Recv,
            Kind::RecvTimed,
            Kind::Sleep,
            Kind::Join,
        ];
        ALL[n as usize]
    }
}

/// What one thread waits for. Written by that thread alone; read by whoever writes a report.
#[derive(Debug)]
pub(crate) struct Wait {
    kind: AtomicU8,
    /// Where in the program; null while running.
    at: AtomicPtr<Location<'static>>,
    /// When the wait began, in nanoseconds on the run's clock.
    since: AtomicU64,
    /// From where the library was called that waits on the thread's behalf; null if there is none.
    from: AtomicPtr<Location<'static>>,
    /// For a lock: the state of that lock. It is valid while the thread waits, because the thread borrows the lock.
    lock: AtomicPtr<LockState>,
    /// For a lock: its holder and where it was taken, as last seen by the waiting thread.
    holder: AtomicU64,
    held_since: AtomicPtr<Location<'static>>,
}

/// A copy of a [`Wait`] at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) kind: Kind,
    pub(crate) at: Option<&'static Location<'static>>,
    pub(crate) since: u64,
    pub(crate) from: Option<&'static Location<'static>>,
    pub(crate) lock: *const LockState,
    pub(crate) holder: u64,
    pub(crate) held_since: Option<&'static Location<'static>>,
}

impl Wait {
    pub(crate) fn new() -> Wait {
        Wait {
            kind: AtomicU8::new(Kind::Running as u8),
            at: AtomicPtr::new(ptr::null_mut()),
            since: AtomicU64::new(0),
            from: AtomicPtr::new(ptr::null_mut()),
            lock: AtomicPtr::new(ptr::null_mut()),
            holder: AtomicU64::new(0),
            held_since: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// The thread is about to block.
    pub(crate) fn begin(&self, kind: Kind, at: &'static Location<'static>, now: u64) {
        self.at.store(ptr::from_ref(at).cast_mut(), Relaxed);
        self.since.store(now, Relaxed);
        self.kind.store(kind as u8, Relaxed);
    }

    /// The thread is about to block, or still blocked, on this lock.
    pub(crate) fn on_lock(&self, lock: &LockState) {
        self.lock.store(ptr::from_ref(lock).cast_mut(), Relaxed);
        self.holder.store(lock.owner(), Relaxed);
        self.held_since.store(lock.taken_at.load(Relaxed), Relaxed);
    }

    /// The thread is in a library that was called from here; returns from where it was called before.
    pub(crate) fn set_from(&self, from: Option<&'static Location<'static>>) -> Option<&'static Location<'static>> {
        let before = location(&self.from);
        self.from.store(from.map_or(ptr::null_mut(), |from| ptr::from_ref(from).cast_mut()), Relaxed);
        before
    }

    /// What the thread waited for has happened, but it does not run yet.
    pub(crate) fn ready(&self) {
        self.kind.store(Kind::Ready as u8, Relaxed);
    }

    /// The thread runs again.
    pub(crate) fn end(&self) {
        self.kind.store(Kind::Running as u8, Relaxed);
    }

    pub(crate) fn get(&self) -> Waiting {
        Waiting {
            kind: Kind::from_u8(self.kind.load(Relaxed)),
            at: location(&self.at),
            since: self.since.load(Relaxed),
            from: location(&self.from),
            lock: self.lock.load(Relaxed),
            holder: self.holder.load(Relaxed),
            held_since: location(&self.held_since),
        }
    }
}

/// Who holds a lock, and since which line.
#[derive(Debug)]
pub(crate) struct LockState {
    /// The id of the holding thread; 0 if free, or held by a thread that belongs to no run.
    owner: AtomicU64,
    taken_at: AtomicPtr<Location<'static>>,
    /// How many threads of a simulation wait for it. Nearly always none does, and then its release need not look for one.
    waiting: AtomicU32,
    /// Where the lock was made: the nearest thing it has to a name.
    pub(crate) made_at: &'static Location<'static>,
}

impl LockState {
    pub(crate) const fn new(made_at: &'static Location<'static>) -> LockState {
        LockState {
            owner: AtomicU64::new(0),
            taken_at: AtomicPtr::new(ptr::null_mut()),
            waiting: AtomicU32::new(0),
            made_at,
        }
    }

    pub(crate) fn taken(&self, by: u64, at: &'static Location<'static>) {
        self.owner.store(by, Relaxed);
        self.taken_at.store(ptr::from_ref(at).cast_mut(), Relaxed);
    }

    pub(crate) fn released(&self) {
        self.owner.store(0, Relaxed);
    }

    /// The calling thread of a simulation waits for it for as long as `wait` takes.
    pub(crate) fn while_waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        // No two threads of a simulation run at once.
        self.waiting.store(self.waiting.load(Relaxed) + 1, Relaxed);
        let outcome = wait();
        self.waiting.store(self.waiting.load(Relaxed) - 1, Relaxed);
        outcome
    }

    /// Whether a thread of a simulation waits for it.
    pub(crate) fn somebody_waits(&self) -> bool {
        self.waiting.load(Relaxed) > 0
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

/// The sentence that names a waiting thread, the lock, and who holds it.
pub(crate) fn held_too_long(waiter: &str, lock: &LockState, at: &Location<'_>, holder: &str) -> String {
    let taken_at = lock.taken_at().map_or(String::new(), |line| format!(", taken at {line}"));
    format!("{waiter} waits at {at} for the lock made at {}{taken_at}; its holder is {holder}", lock.made_at)
}
