//! The simulation: threads as stackful coroutines on one OS thread, a seeded scheduler and a virtual clock.
//!
//! - [`scheduler`] decides who runs next, by its [`policy`], and when the clock moves; it knows nothing of coroutines. Who
//!   waits for what is in its [`lot`], until when in its [`timers`]; its [`pulse`] is what every call looks at.
//! - [`engine`] switches stacks and is what the rest of the crate calls.
//! - [`stack`] keeps used stacks for the next thread; [`overflow`] names the thread that runs out of its own.
//!
//! Every blocking call of the crate has the same shape: try the real object; if it would block, [`Sim::park`] under the
//! object's address; whoever changes the object [unparks](Sim::unpark_one) that address. Addresses are only looked up,
//! never ordered or iterated, so where the allocator puts things decides nothing.

mod engine;
mod lot;
mod overflow;
mod policy;
mod pulse;
mod scheduler;
mod stack;
mod timers;

pub(crate) use engine::{Sim, active, begin_unwinding, current, execute, unwinding};

/// The deadline of a wait without one.
pub(crate) const NEVER: u64 = u64::MAX;

/// The key under which threads wait for `object`: its address.
pub(crate) fn key<T>(object: &T) -> usize {
    std::ptr::from_ref(object).addr()
}
