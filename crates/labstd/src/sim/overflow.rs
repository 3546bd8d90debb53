//! Names the thread whose coroutine overflows its stack. An overflow touches the guard page, and without this handler
//! the OS kills the process without a message, because the standard library's handler knows only the stacks of OS
//! threads.
//!
//! The process still ends, because nothing can be unwound from there.

#[cfg(unix)]
pub(super) use unix::{install, set_guard_page};

#[cfg(not(unix))]
pub(super) fn install() {}

#[cfg(not(unix))]
pub(super) fn set_guard_page(_: usize) {}

#[cfg(unix)]
mod unix {
    use std::cell::Cell;
    use std::mem::MaybeUninit;
    use std::sync::OnceLock;

    use libc::{c_int, c_void, sigaction, siginfo_t};

    use crate::current_thread::with_current_thread;

    /// The signals by which the OS reports a forbidden access. The systems differ in which one they use.
    const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

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
                write_stderr(b"' has overflowed its stack: a recursion without end, or a very large local variable\n");
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

    fn write_stderr(text: &[u8]) {
        // SAFETY: writes a valid slice to standard error; allowed in a signal handler. Nothing can be done if it fails.
        let _ = unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
    }
}
