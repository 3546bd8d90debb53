//! Locks and condition variables with the names and semantics of `parking_lot` (no poisoning), and a latch. `Arc` and
//! atomics are those of `std`.

mod condvar;
mod latch;
mod mutex;

pub use condvar::{Condvar, WaitTimeoutResult};
pub use latch::Latch;
pub use mutex::{Mutex, MutexGuard};
pub use std::sync::{Arc, OnceLock, Weak, atomic};
