//! The mark on an object that says which simulation uses it.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The number of the simulation whose threads use an object, 0 for none; part of each lock, condition variable and
/// latch.
#[derive(Debug)]
pub(crate) struct Home(AtomicU32);

impl Home {
    pub(crate) const fn none() -> Home {
        Home(AtomicU32::new(0))
    }

    /// Records that a thread of the simulation of this number uses the object.
    #[inline]
    pub(crate) fn set(&self, number: u32) {
        self.0.store(number, Relaxed);
    }

    /// Returns the number of the simulation; 0 if none has used the object.
    #[inline]
    pub(crate) fn number(&self) -> u32 {
        self.0.load(Relaxed)
    }
}
