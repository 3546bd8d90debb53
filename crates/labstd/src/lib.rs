//! Threads, locks, condition variables, channels, time and randomness for ordinary blocking code that runs under two
//! clocks: on OS threads, or in a deterministic simulation.
//!
//! # What it is
//!
//! Code written against this crate looks like code written against `std`, `parking_lot` and `crossbeam-channel`: the
//! names and meanings are theirs, only the first part of the path differs. The same compiled code then runs in two
//! ways:
//!
//! | | on threads ([`Clock::Threads`]) | simulated ([`Clock::Simulated`]) |
//! |---|---|---|
//! | a thread is | an OS thread | a stackful coroutine; one runs at a time |
//! | a lock, a condvar, a latch, a channel | `parking_lot`, `crossbeam-channel` | the same; the scheduler blocks |
//! | `sleep(50 ms)` | takes 50 ms | takes no real time: when no thread can run, the clock jumps to the next timer |
//! | which thread runs next | the OS decides | a seeded generator decides: same seed, same run |
//!
//! The clock is chosen at run time through a thread-local pointer: null means OS threads.
//!
//! ```
//! use std::sync::Arc;
//! use labstd::{channel, simulate, sync::Mutex, thread, time::{Duration, Instant}};
//!
//! let waited = simulate(7, || {
//!     let start = Instant::now();
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
//!     start.elapsed()
//! });
//! assert_eq!(waited, Duration::from_secs(600)); // ten simulated minutes, in a moment of real time
//! ```
//!
//! # Runs, groups, failures
//!
//! A [`Run`] is one execution of a body and of every thread that the body starts. It ends when the body returns, or
//! with the first [`Failure`]: a panic in any of its threads, a deadlock, a lock that is not released, a thread that
//! spins, or an exceeded time limit. A [`thread::Group`] names the threads that belong together, such as those of one
//! server. It carries one context value that all its threads inherit.
//!
//! # Randomness
//!
//! [`rng::stream`] gives each component a generator of its own, derived from the run's seed and the component's name.
//! One more draw in one component therefore changes no other component.
//!
//! # What it does not have
//!
//! - Channels of capacity 0 (rendezvous): use `bounded(1)`.
//! - `select!`, `after` and `tick`: use one channel with an enum, or `recv_timeout`.
//! - `RwLock`, `Barrier`, `Once`, `park`/`unpark`, scoped threads.
//! - Determinism outside of this crate: iterating a default-hashed `HashMap`, the OS clock, OS threads, `rand::rng()`,
//!   addresses. If one of these decides anything in a simulated run, the run cannot be replayed.
//! - Spurious wakeups of condition variables in a simulation. Code that has `if` where it needs `while` still fails,
//!   because schedules let another thread run between the notification and the wakeup.
//!
//! Atomics, `Arc` and `OnceLock` are those of `std`: they do not block, so they need no scheduler. A simulation
//! switches threads only inside this crate, so it cannot find a race between two relaxed atomic operations. Only runs
//! on threads can.

mod current_thread;
mod failure;
mod foreign;
mod group;
mod home;
mod limits;
mod os_task;
mod os_threads;
mod panic_hook;
mod run;
mod state;
mod stats;
mod thread_lag;
mod wait;

pub mod channel;
pub mod rng;
pub mod sync;
pub mod testing;
pub mod thread;
pub mod time;

#[expect(unsafe_code, reason = "coroutines need raw pointers; each block says why it is sound")]
mod sim;

pub use failure::{Failure, PanicReport, ThreadStatus};
pub use foreign::HomeRun;
pub use limits::check_environment;
pub use run::{Clock, Outcome, Run, clock, run, simulate};
pub use sim::{StackOverflow, on_stack_overflow};
pub use stats::Stats;
pub use thread_lag::ThreadLag;
