//! Stacks for coroutines. Mapping one costs more than twenty times what a whole thread costs on a used one, so they are
//! kept, also from one simulation to the next.

use corosensei::stack::DefaultStack;
use parking_lot::Mutex;

/// Only the touched pages of a stack are real; a symbolised backtrace needs 32 KiB of it.
const STACK_BYTES: usize = 256 * 1024;

/// How many unused stacks are kept, each with its touched pages.
const KEPT_MAX: usize = 2048;

static UNUSED: Mutex<Vec<DefaultStack>> = Mutex::new(Vec::new());

/// The stacks of one simulation. It takes those that it needs from the ones that all simulations share, so that several at
/// once all find some, and gives them back at its end.
pub(super) struct Stacks {
    unused: Vec<DefaultStack>,
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
    pub(super) fn take(&mut self) -> DefaultStack {
        self.unused.pop().or_else(|| UNUSED.lock().pop()).unwrap_or_else(|| {
            DefaultStack::new(STACK_BYTES)
                .unwrap_or_else(|error| panic!("no memory for the stack of one more thread: {error}"))
        })
    }

    pub(super) fn give_back(&mut self, stack: DefaultStack) {
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
