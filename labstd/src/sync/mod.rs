//! Locks and condition variables, named and meant as those of `parking_lot` (no poisoning), and a latch; `Arc` and atomics as they
//! are in `std`.

mod condvar;
mod latch;
mod mutex;

pub use condvar::{Condvar, WaitTimeoutResult};
pub use latch::Latch;
pub use mutex::{Mutex, MutexGuard};
pub use std::sync::{Arc, OnceLock, Weak, atomic};
