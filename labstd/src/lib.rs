//! Threads, locks, condition variables, channels, time and randomness for ordinary blocking code that runs under two
//! clocks: on OS threads, or in a deterministic simulation.
//!
//! # What it is
//!
//! Code written against this crate looks like code written against `std`, `parking_lot` and `crossbeam-channel`: the
//! names and meanings are theirs, only the first part of the path differs. The same compiled code then runs in two ways:
//!
//! | | on threads ([`Clock::Threads`]) | simulated ([`Clock::Simulated`]) |
//! |---|---|---|
//! | a thread is | an OS thread | a stackful coroutine; one runs at a time |
//! | a lock, a condvar, a latch, a channel | `parking_lot`, `crossbeam-channel` | the same objects; only the blocking is the scheduler's |
//! | `sleep(50 ms)` | takes 50 ms | takes no time: when nobody can run, the clock jumps to the next timer |
//! | which thread runs next | the OS decides | a seeded generator decides: same seed, same run |
//!
//! Which of the two it is, is found at run time through a thread-local pointer: null means OS threads.
//!
//! ```
//! use std::sync::Arc;
//! use labstd::{channel, simulate, sync::Mutex, thread, time::{Duration, Instant}};
//!
//! let waited = simulate(7, || {
//!     let begun = Instant::now();
//!     let (tx, rx) = channel::bounded(1);
//!     let total = Arc::new(Mutex::new(0));
//!     let adder = thread::spawn("adder", {
//!         let total = Arc::clone(&total);
//!         move || {
//!             for n in rx {
//!                 thread::sleep(Duration::from_secs(60));
//!                 *total.lock() += n;
//!             }
//!         }
//!     });
//!     for n in 1..=10 {
//!         tx.send(n).unwrap();
//!     }
//!     drop(tx);
//!     adder.join().unwrap();
//!     assert_eq!(*total.lock(), 55);
//!     begun.elapsed()
//! });
//! assert_eq!(waited, Duration::from_secs(600)); // ten simulated minutes, in no time at all
//! ```
//!
//! # Runs, groups, failures
//!
//! A [`Run`] is one execution of a body and of every thread that it starts. It ends when the body returns, or with the
//! first [`Failure`]: a panic in any of its threads, a deadlock, a lock that is not released, a thread that spins, or a
//! time limit. A [`thread::Group`] names the threads that belong together (a server, say) and carries one context value
//! that all its threads inherit.
//!
//! # Randomness
//!
//! [`rng::stream`] gives each component a generator of its own, derived from the run's seed and the component's name, so
//! that a draw in one place does not change every other.
//!
//! # What it does not have
//!
//! - Channels of capacity 0 (rendezvous): use `bounded(1)`.
//! - `select!`, `after` and `tick`: use one channel with an enum, or `recv_timeout`.
//! - `RwLock`, `Barrier`, `Once`, `park`/`unpark`, scoped threads.
//! - Determinism for what goes around it: a default-hashed `HashMap` that is iterated, the OS clock, OS threads,
//!   `rand::rng()`, addresses. A simulated run in which one of these decides anything cannot be replayed.
//! - Spurious wake-ups of condition variables in a simulation: code that needs `while` and has `if` is found by the
//!   schedule (another thread gets in between), not by a wake-up out of the blue.
//!
//! Atomics, `Arc` and `OnceLock` are those of `std`: they do not block, so they need no scheduler. A simulation switches
//! threads only inside this crate; what goes wrong between two relaxed atomic operations is found on threads alone.

mod failure;
mod hook;
mod membership;
mod run;
mod state;
mod threads;
mod wait;

pub mod channel;
pub mod rng;
pub mod sync;
pub mod thread;
pub mod time;

#[expect(unsafe_code, reason = "coroutines need raw pointers; each block says why it is sound")]
mod sim;

pub use failure::{Failure, Panicked, ThreadStatus};
pub use run::{Clock, Outcome, Run, Stats, clock, run, simulate};
