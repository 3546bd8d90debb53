//! A coroutine that overflows its stack runs into a page that nobody may touch, and the OS kills the process without a
//! word: the standard library's handler knows the stacks of OS threads alone. This one knows ours, and says whose it was.
//!
//! The process ends all the same. Nothing can be unwound from there.

#[cfg(unix)]
pub(super) use unix::{install, watch};

#[cfg(not(unix))]
pub(super) fn install() {}

#[cfg(not(unix))]
pub(super) fn watch(_: usize) {}

#[cfg(unix)]
mod unix {
    use std::cell::Cell;
    use std::mem::MaybeUninit;
    use std::sync::OnceLock;

    use libc::{c_int, c_void, sigaction, siginfo_t};

    use crate::state::with_me;

    /// The signals by which the OS tells of a forbidden access: which one differs between systems.
    const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

    thread_local! {
        /// The lowest address of the running coroutine's stack, which is that of its guard page; 0 outside of one.
        static GUARD: Cell<usize> = const { Cell::new(0) };
    }

    /// What handled the signals before.
    static BEFORE: OnceLock<[sigaction; 2]> = OnceLock::new();

    /// From now on the coroutine with the stack that ends at `guard` runs on this OS thread; 0: none does.
    pub(in super::super) fn watch(guard: usize) {
        GUARD.set(guard);
    }

    /// Puts the handler in front of the present one, once a process.
    pub(in super::super) fn install() {
        BEFORE.get_or_init(|| {
            SIGNALS.map(|signal| {
                let mut before = MaybeUninit::<sigaction>::zeroed();
                let mut ours = MaybeUninit::<sigaction>::zeroed();
                // SAFETY: all-zero is a valid `sigaction`; its fields are then set as the OS documents them. The handler
                // has the three-argument form that SA_SIGINFO asks for, and runs on the thread's alternate stack, which
                // the standard library sets up for every thread it starts.
                unsafe {
                    let action = ours.assume_init_mut();
                    action.sa_sigaction = handle as *const () as usize;
                    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                    libc::sigaction(signal, ours.as_ptr(), before.as_mut_ptr());
                    before.assume_init()
                }
            })
        });
    }

    /// Says whose stack has overflowed, if that is what happened; else the handler that was there before takes over.
    ///
    /// Runs as a signal handler: it neither allocates nor locks.
    extern "C" fn handle(signal: c_int, info: *mut siginfo_t, _: *mut c_void) {
        // SAFETY: the OS gives a valid `siginfo_t` to a handler with SA_SIGINFO.
        let address = unsafe { (*info).si_addr() } as usize;
        let guard = GUARD.get();
        if guard != 0 && (guard..guard + page_size()).contains(&address) {
            with_me(|me| {
                say(b"\nthread '");
                say(me.map_or(&b"?"[..], |me| me.name.as_bytes()));
                say(b"' has overflowed its stack: a recursion without end, or a very large local variable\n");
            });
            // SAFETY: ends the process; allowed in a signal handler.
            unsafe { libc::abort() };
        }
        if let Some(before) = BEFORE.get()
            && let Some(place) = SIGNALS.iter().position(|&known| known == signal)
        {
            // SAFETY: restores what the OS gave us. The access is then tried again, and fails into that handler.
            unsafe { libc::sigaction(signal, &raw const before[place], std::ptr::null_mut()) };
        }
    }

    fn page_size() -> usize {
        // SAFETY: asks a constant of the system; allowed in a signal handler.
        unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
    }

    fn say(text: &[u8]) {
        // SAFETY: writes a valid slice to standard error; allowed in a signal handler. Nothing can be done if it fails.
        let _ = unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
    }
}
