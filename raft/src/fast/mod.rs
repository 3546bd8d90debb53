//! Optimizations that depart from the lab's shape. Each is one file that can be deleted.
//!
//! | file | instead of the plain path |
//! |---|---|
//! | `inline.rs` | the thread that brought an event sends what follows from it, and handles replies that take no time |
//! | `consumer.rs` | the service itself takes committed entries; on a leader, the committing thread calls it |
//! | `reads.rs` | a read asks a quorum whether this server still leads, and needs no entry in the log |
//!
//! The feature `fast` switches all of them on. To delete `NAME.rs`, delete the file, each line of this crate that has a
//! comment `fast: NAME`, and the lines from each `fast: NAME begin` to its `fast: NAME end`.

pub(crate) mod consumer; // fast: consumer
pub(crate) mod inline; // fast: inline
pub(crate) mod reads; // fast: reads

/// State of the fast paths outside of the server's lock.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) consumer: consumer::Slot, // fast: consumer
}

/// State of the fast paths under the server's lock.
#[derive(Default)]
pub(crate) struct State {
    /// Work that the current event leaves for the time after the lock is released.
    pub(crate) work: Work,
    pub(crate) reads: reads::Reads, // fast: reads
}

/// Work for the thread that brought an event, after it has released the lock.
#[derive(Default)]
#[must_use]
pub(crate) struct Work {
    pub(crate) send_to: crate::core::ServerSet,        // fast: inline
    pub(crate) follows_proposal: bool,                 // fast: inline
    pub(crate) notify_consumer: bool,                  // fast: consumer
    pub(crate) settled_reads: Vec<reads::SettledRead>, // fast: reads
}
