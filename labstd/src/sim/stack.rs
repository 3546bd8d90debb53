//! Stacks for coroutines. Mapping one costs more than twenty times what a whole thread costs on a used one, so they are
//! kept, also from one simulation to the next.

use parking_lot::Mutex;

pub(super) use self::shifted::SimStack;

/// Only the touched pages of a stack are real; a symbolised backtrace needs 32 KiB of it.
const STACK_BYTES: usize = 256 * 1024;

/// How many unused stacks are kept, each with its touched pages.
const KEPT_MAX: usize = 2048;

static UNUSED: Mutex<Vec<SimStack>> = Mutex::new(Vec::new());

/// The stacks of one simulation. It takes those that it needs from the ones that all simulations share, so that several at
/// once all find some, and gives them back at its end.
pub(super) struct Stacks {
    unused: Vec<SimStack>,
}

impl Stacks {
    pub(super) fn new() -> Stacks {
        Stacks { unused: Vec::new() }
    }

    /// A stack that nobody uses.
    ///
    /// # Panics
    ///
    /// If the OS has no more memory mappings for one; Linux allows about 32,000 live ones a process.
    pub(super) fn take(&mut self) -> SimStack {
        self.unused.pop().or_else(|| UNUSED.lock().pop()).unwrap_or_else(|| {
            SimStack::new(STACK_BYTES)
                .unwrap_or_else(|error| panic!("no memory for the stack of one more thread: {error}"))
        })
    }

    pub(super) fn give_back(&mut self, stack: SimStack) {
        self.unused.push(stack);
    }
}

impl Drop for Stacks {
    fn drop(&mut self) {
        let mut shared = UNUSED.lock();
        let room = KEPT_MAX.saturating_sub(shared.len());
        self.unused.truncate(room);
        shared.append(&mut self.unused);
    }
}

/// Stacks that do not all begin at the beginning of a page: of those that do, the first lines, which are used the most, share
/// the same few places of the processor's cache, and each change of threads throws out what the next one needs.
#[cfg(unix)]
mod shifted {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use corosensei::stack::{DefaultStack, Stack, StackPointer};

    /// The line of a cache, of which a shift is a multiple; it keeps every alignment that a stack needs.
    const LINE_BYTES: usize = 64;

    /// The places to begin at: as many as a page has lines.
    const PLACES: usize = 64;

    /// A stack that begins a bit below its end.
    pub(in super::super) struct SimStack {
        whole: DefaultStack,
        shift: usize,
    }

    impl SimStack {
        pub(super) fn new(bytes: usize) -> io::Result<SimStack> {
            /// Far from the one before, and all of them in turn.
            const STRIDE: usize = 23;
            static MADE: AtomicUsize = AtomicUsize::new(0);
            let place = MADE.fetch_add(1, Relaxed).wrapping_mul(STRIDE) % PLACES;
            let shift = place * LINE_BYTES;
            Ok(SimStack { whole: DefaultStack::new(bytes + PLACES * LINE_BYTES)?, shift })
        }
    }

    // SAFETY: it is the lower part, with the guard page, of a stack that has room for the shift beside what was asked for.
    unsafe impl Stack for SimStack {
        fn base(&self) -> StackPointer {
            StackPointer::new(self.whole.base().get() - self.shift).expect("inside of the stack")
        }

        fn limit(&self) -> StackPointer {
            self.whole.limit()
        }
    }
}

/// Elsewhere the system has more to do with stacks, and they stay as they are.
#[cfg(not(unix))]
mod shifted {
    pub(in super::super) use corosensei::stack::DefaultStack as SimStack;
}
