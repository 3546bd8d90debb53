//! The stacks of coroutines. Mapping a new stack costs over twenty times as much as a whole thread on a used stack.
//! Used stacks are therefore kept, also from one simulation to the next.

use parking_lot::Mutex;

pub(super) use self::cache_offset::SimStack;
use self::cache_offset::give_back;

/// The size of a stack: as much as `std` gives an OS thread. Only its touched pages use memory.
pub(super) const STACK_BYTES: usize = 2 << 20;

/// The part of an unused stack that keeps its memory, from the end that is used first. Threads of the lab touch less.
const KEPT_BYTES: usize = 64 * 1024;

/// The number of unused stacks of a running simulation whose memory is kept in full. It is reused soon.
const KEPT_IN_FULL: usize = 64;

/// The number of unused stacks that are kept, each with at most [`KEPT_BYTES`] of memory.
const POOLED_MAX: usize = 2048;

static SHARED_POOL: Mutex<Vec<SimStack>> = Mutex::new(Vec::new());

/// The stacks of one simulation. It takes stacks from the pool that all simulations share, and returns them at its end,
/// so that several simulations at once can all reuse stacks.
pub(super) struct StackPool {
    unused: Vec<SimStack>,
}

impl StackPool {
    pub(super) fn new() -> StackPool {
        StackPool { unused: Vec::new() }
    }

    /// Returns an unused stack.
    ///
    /// # Panics
    ///
    /// If the OS has no memory mapping left; Linux allows a process about 32,000 live stacks.
    pub(super) fn acquire(&mut self) -> SimStack {
        self.unused.pop().or_else(|| SHARED_POOL.lock().pop()).unwrap_or_else(|| {
            SimStack::new(STACK_BYTES)
                .unwrap_or_else(|error| panic!("no memory for the stack of one more thread: {error}"))
        })
    }

    pub(super) fn release(&mut self, stack: SimStack) {
        if self.unused.len() >= KEPT_IN_FULL {
            give_back(&stack);
        }
        self.unused.push(stack);
    }
}

impl Drop for StackPool {
    fn drop(&mut self) {
        let mut shared = SHARED_POOL.lock();
        let room = POOLED_MAX.saturating_sub(shared.len());
        self.unused.truncate(room);
        self.unused.iter().take(KEPT_IN_FULL).for_each(give_back);
        shared.append(&mut self.unused);
    }
}

/// Stacks that begin at different offsets within a page. If all began at the beginning of a page, their first cache
/// lines, which are used the most, would share the same few sets of the processor's cache. Each thread switch would
/// then evict the lines that the next thread needs.
#[cfg(unix)]
mod cache_offset {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use corosensei::stack::{DefaultStack, Stack, StackPointer};

    /// The size of a cache line. An offset is a multiple of it, which keeps every alignment that a stack needs.
    const CACHE_LINE_BYTES: usize = 64;

    /// The number of offsets: as many as a page has cache lines.
    const OFFSETS: usize = 64;

    /// A stack whose base lies `offset` bytes below the end of its mapping.
    pub(in super::super) struct SimStack {
        stack: DefaultStack,
        offset: usize,
    }

    impl SimStack {
        pub(super) fn new(bytes: usize) -> io::Result<SimStack> {
            /// Consecutive offsets are far apart, and every offset has its turn.
            const STRIDE: usize = 23;
            static CREATED: AtomicUsize = AtomicUsize::new(0);
            let step = CREATED.fetch_add(1, Relaxed).wrapping_mul(STRIDE) % OFFSETS;
            let offset = step * CACHE_LINE_BYTES;
            let stack = DefaultStack::new(bytes + OFFSETS * CACHE_LINE_BYTES)?;
            use_small_pages(&stack);
            Ok(SimStack { stack, offset })
        }
    }

    /// Asks the OS for small pages: a huge page would use the memory of a whole stack at its first touch.
    fn use_small_pages(stack: &DefaultStack) {
        #[cfg(target_os = "linux")]
        // SAFETY: the range is the mapping of this stack. The advice changes no contents; a refusal is harmless.
        unsafe {
            let (low, high) = (stack.limit().get(), stack.base().get());
            libc::madvise(low as *mut libc::c_void, high - low, libc::MADV_NOHUGEPAGE);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = stack;
    }

    /// Gives the memory of an unused stack back to the OS, except for the part that is used first.
    pub(super) fn give_back(stack: &SimStack) {
        let (low, high) = (stack.stack.limit().get(), stack.stack.base().get() - super::KEPT_BYTES);
        if !is_used_below(high) {
            return;
        }
        // SAFETY: the range is a part of the mapping of this stack and begins and ends at a page. No coroutine uses the
        // stack, so nothing needs its contents.
        unsafe { libc::madvise(low as *mut libc::c_void, high - low, libc::MADV_DONTNEED) };
    }

    /// Returns whether the page that ends at `high`, the beginning of a page of a stack, has memory. Code that uses
    /// more stack has touched this page too, because it touches at least one address in each page. Asking costs much
    /// less than giving back a range that has no memory.
    fn is_used_below(high: usize) -> bool {
        let mut resident = 0;
        // SAFETY: reads a constant of the system.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        // SAFETY: the page belongs to the mapping of a stack, and the result for one page is one byte.
        let known = unsafe { libc::mincore((high - page) as *mut libc::c_void, page, (&raw mut resident).cast()) };
        known != 0 || resident & 1_u8 == 1
    }

    // SAFETY: this is the lower part, with the guard page, of a stack that is larger than requested by the largest
    // offset.
    unsafe impl Stack for SimStack {
        fn base(&self) -> StackPointer {
            StackPointer::new(self.stack.base().get() - self.offset).expect("inside of the stack")
        }

        fn limit(&self) -> StackPointer {
            self.stack.limit()
        }
    }
}

/// Other systems manage stacks in ways of their own, so their stacks have no offset and keep their memory.
#[cfg(not(unix))]
mod cache_offset {
    pub(in super::super) use corosensei::stack::DefaultStack as SimStack;

    pub(super) fn give_back(_: &SimStack) {}
}
