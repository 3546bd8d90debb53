//! Locks and condition variables, named and meant as those of `parking_lot` (no poisoning); `Arc` and atomics as they
//! are in `std`.

mod condvar;
mod mutex;

pub use condvar::{Condvar, WaitTimeoutResult};
pub use mutex::{Mutex, MutexGuard};
pub use std::sync::{Arc, OnceLock, Weak, atomic};
