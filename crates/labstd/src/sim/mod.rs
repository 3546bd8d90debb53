//! The simulation: threads as stackful coroutines on one OS thread, a seeded scheduler and a virtual clock.
//!
//! - [`scheduler`] decides, by its [`policy`], which thread runs next and when the clock moves; it knows nothing of
//!   coroutines. Its [`wait_queues`] hold the parked threads, its [`timers`] their deadlines, its [`hot_state`] the
//!   fields that every call reads. Its [`lag`] decides which runnable threads are held for a while.
//! - [`engine`] switches stacks; the rest of the crate calls only this module.
//! - [`watchdog`] ends a run whose clock stands still.
//! - [`stack`] keeps used stacks for later threads; [`overflow`] names the thread that overflows its stack;
//!   [`freed_memory`] keeps freed memory for later allocations.
//!
//! Every blocking call of the crate has the same shape: try the real object; if it would block, [`Sim::park`] under the
//! object's address. A thread that changes the object [unparks](Sim::unpark_one) that address. Addresses are only
//! looked up, never ordered or iterated, so the allocator's choice of addresses has no influence on a run.

mod engine;
mod freed_memory;
mod hot_state;
mod lag;
mod overflow;
mod policy;
mod scheduler;
mod slot;
mod stack;
mod timers;
mod wait_queues;
mod watchdog;

pub(crate) use engine::{Sim, active, current, execute, mark_unwinding, unwinding};
pub use overflow::{StackOverflow, on_stack_overflow};

/// The deadline of a wait without a deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// Returns the key under which threads wait for `object`: its address.
pub(crate) fn key<T>(object: &T) -> usize {
    std::ptr::from_ref(object).addr()
}
