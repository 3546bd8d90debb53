//! Names the thread whose coroutine overflows its stack. An overflow touches the guard page, and without this handler
//! the OS kills the process without a message, because the standard library's handler knows only the stacks of OS
//! threads.
//!
//! The process still ends, because nothing can be unwound from there, and because the thread may hold any lock of the
//! process, such as one of the allocator. Before that, a [hook](crate::on_stack_overflow) may save what there is.

use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};

use super::stack::STACK_BYTES;
use crate::state::ThreadInfo;

#[cfg(unix)]
pub(super) use unix::{install, set_guard_page};

#[cfg(not(unix))]
pub(super) fn install() {}

#[cfg(not(unix))]
pub(super) fn set_guard_page(_: usize) {}

/// A stack overflow of a simulated thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackOverflow {
    /// The name of the thread.
    pub thread: String,
    /// The name of the run.
    pub run: String,
    /// The seed of the run.
    pub seed: u64,
    /// The size of the stack in bytes.
    pub stack_bytes: usize,
}

type Hook = Box<dyn Fn(&StackOverflow) + Send + Sync>;

/// The hook of the process.
static HOOK: OnceLock<Hook> = OnceLock::new();

/// The thread that has overflowed its stack, and does not run any more; null if there is none.
static OVERFLOWED: AtomicPtr<ThreadInfo> = AtomicPtr::new(ptr::null_mut());

/// Sets the function to call, on another thread, after a simulated thread has overflowed its stack. When the function
/// returns, or after ten seconds, the process is aborted. The first call in a process wins; the result says whether
/// this one did.
///
/// The function should be short. The overflowing thread may hold any lock of the process, so each call that takes a
/// lock may wait until the ten seconds are over.
pub fn on_stack_overflow(hook: impl Fn(&StackOverflow) + Send + Sync + 'static) -> bool {
    HOOK.set(Box::new(hook)).is_ok()
}

/// Returns whether a simulated thread has overflowed its stack and no thread handles this yet.
pub(super) fn has_happened() -> bool {
    !OVERFLOWED.load(SeqCst).is_null()
}

/// Calls the hook and aborts the process, if a thread has overflowed its stack.
pub(super) fn handle() {
    let thread = OVERFLOWED.swap(ptr::null_mut(), SeqCst);
    // SAFETY: the pointer is null or that of a thread that stays in its signal handler until the process ends, so its
    // register entry lives.
    let (Some(thread), Some(hook)) = (unsafe { thread.as_ref() }, HOOK.get()) else { return };
    hook(&StackOverflow {
        thread: thread.name.to_string(),
        run: thread.run.name.to_string(),
        seed: thread.run.seed,
        stack_bytes: STACK_BYTES,
    });
    std::process::abort();
}

#[cfg(unix)]
mod unix {
    use std::cell::Cell;
    use std::mem::MaybeUninit;
    use std::ptr;
    use std::sync::OnceLock;
    use std::sync::atomic::Ordering::SeqCst;

    use libc::{c_int, c_void, sigaction, siginfo_t};

    use super::{HOOK, OVERFLOWED, STACK_BYTES};
    use crate::current_thread::with_current_thread;

    /// The signals by which the OS reports a forbidden access. The systems differ in which one they use.
    const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

    /// The longest time that the hook may take, in seconds.
    const HOOK_SECONDS: libc::time_t = 10;

    thread_local! {
        /// The address of the guard page of the running coroutine, the lowest address of its stack; 0 outside of a
        /// coroutine.
        static GUARD_PAGE: Cell<usize> = const { Cell::new(0) };
    }

    /// The previous handlers of the signals.
    static PREVIOUS_HANDLERS: OnceLock<[sigaction; 2]> = OnceLock::new();

    /// Sets the guard page of the coroutine that runs on this OS thread from now on; 0 for none.
    pub(in super::super) fn set_guard_page(guard: usize) {
        GUARD_PAGE.set(guard);
    }

    /// Installs the handler in front of the present one, once per process.
    pub(in super::super) fn install() {
        PREVIOUS_HANDLERS.get_or_init(|| {
            SIGNALS.map(|signal| {
                let mut before = MaybeUninit::<sigaction>::zeroed();
                let mut ours = MaybeUninit::<sigaction>::zeroed();
                // SAFETY: all-zero is a valid `sigaction`; its fields are then set as the OS documents them. The
                // handler has the three-argument form that SA_SIGINFO asks for, and runs on the thread's alternate
                // stack, which the standard library sets up for every thread it starts.
                unsafe {
                    let action = ours.assume_init_mut();
                    action.sa_sigaction = on_signal as *const () as usize;
                    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                    libc::sigaction(signal, ours.as_ptr(), before.as_mut_ptr());
                    before.assume_init()
                }
            })
        });
    }

    /// Names the thread whose stack has overflowed, if that is the cause. Otherwise restores the previous handler.
    ///
    /// It runs as a signal handler: it neither allocates nor locks.
    extern "C" fn on_signal(signal: c_int, info: *mut siginfo_t, _: *mut c_void) {
        // SAFETY: the OS gives a valid `siginfo_t` to a handler with SA_SIGINFO.
        let address = unsafe { (*info).si_addr() } as usize;
        let guard = GUARD_PAGE.get();
        if guard != 0 && (guard..guard + page_size()).contains(&address) {
            with_current_thread(|me| {
                write_stderr(b"\nthread '");
                write_stderr(me.map_or(&b"?"[..], |me| me.name.as_bytes()));
                write_stderr(b"' of ");
                write_stderr(me.map_or(&b"?"[..], |me| me.run.name.as_bytes()));
                write_stderr(b", seed ");
                write_number(me.map_or(0, |me| me.run.seed));
                write_stderr(b", has overflowed its stack of ");
                write_number(STACK_BYTES as u64 / 1024);
                write_stderr(b" KiB: a recursion without end, or a very large local variable\n");
                if HOOK.get().is_some()
                    && let Some(me) = me
                {
                    OVERFLOWED.store(ptr::from_ref(me).cast_mut(), SeqCst);
                    let mut left = libc::timespec { tv_sec: HOOK_SECONDS, tv_nsec: 0 };
                    // SAFETY: waits; allowed in a signal handler. A signal ends the wait with a failure.
                    while unsafe { libc::nanosleep(&raw const left, &raw mut left) } != 0 {}
                }
            });
            // SAFETY: ends the process; allowed in a signal handler.
            unsafe { libc::abort() };
        }
        if let Some(before) = PREVIOUS_HANDLERS.get()
            && let Some(place) = SIGNALS.iter().position(|&known| known == signal)
        {
            // SAFETY: restores a handler that the OS returned. The access is then retried, and fails into that handler.
            unsafe { libc::sigaction(signal, &raw const before[place], std::ptr::null_mut()) };
        }
    }

    fn page_size() -> usize {
        // SAFETY: reads a constant of the system; allowed in a signal handler.
        unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
    }

    fn write_number(number: u64) {
        const DIGITS: usize = 20;
        let (mut text, mut first, mut rest) = ([0_u8; DIGITS], DIGITS, number);
        while first == DIGITS || rest > 0 {
            first -= 1;
            text[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        write_stderr(&text[first..]);
    }

    fn write_stderr(text: &[u8]) {
        // SAFETY: writes a valid slice to standard error; allowed in a signal handler. Nothing can be done if it fails.
        let _ = unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
    }
}
