//! The number of a thread in the tables of a simulation.

/// The slot of a task. Slots are reused; thread ids are not.
pub(super) type Slot = usize;
