//! Optimizations that depart from the lab's shape. Each is one file that can be deleted.
//!
//! | file | instead of the plain path |
//! |---|---|
//! | `batcher.rs` | operations of many clients are proposed together |
//! | `consumer.rs` | the committing thread applies; nothing goes through the apply channel |
//! | `deferred.rs` | no handler waits: the thread that has the result answers the call |
//! | `reads.rs` | a Get asks a quorum whether the leader still leads, and needs no entry in the log |
//! | `pipeline.rs` | a client that has many writes in flight |
//!
//! The feature `fast` switches all of them on. To delete `NAME.rs`, delete the file, each line of this crate that has a
//! comment `fast: NAME`, and the lines from each `fast: NAME begin` to its `fast: NAME end`.

pub(crate) mod batcher; // fast: batcher
pub(crate) mod consumer; // fast: consumer
pub(crate) mod deferred; // fast: deferred
pub(crate) mod pipeline; // fast: pipeline
pub(crate) mod reads; // fast: reads

/// State of the fast paths outside of the server's lock.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) batcher: batcher::ProposalBatcher,    // fast: batcher
    pub(crate) apply_order: labstd::sync::Mutex<()>, // fast: consumer
    pub(crate) wake_watcher: labstd::sync::Condvar,  // fast: deferred
}

/// State of the fast paths under the server's lock.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) watcher_idle: bool,         // fast: deferred
    pub(crate) reads: reads::PendingReads, // fast: reads
}
