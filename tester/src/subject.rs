//! What is put to the test: an implementation, and how its servers are made.

use std::fmt;

use labrpc::ClientEnd;
use labstd::channel::Sender;
use labstd::sync::Arc;
use raftapi::{ApplyMsg, Persister, Raft, ServerId};

use crate::cluster::Maker;

/// An implementation of [`Raft`].
pub struct Subject<R: Raft> {
    make: Maker<R>,
}

impl<R: Raft> Subject<R> {
    /// Servers made by [`Raft::make`].
    pub fn new() -> Subject<R> {
        Subject::made_by(R::make)
    }

    /// Servers made by something else with the same arguments.
    pub fn made_by(
        make: impl Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Sender<ApplyMsg>) -> R + Send + Sync + 'static,
    ) -> Subject<R> {
        Subject { make: Arc::new(make) }
    }

    /// How they are made.
    pub(crate) fn maker(&self) -> Maker<R> {
        Arc::clone(&self.make)
    }
}

impl<R: Raft> Default for Subject<R> {
    fn default() -> Subject<R> {
        Subject::new()
    }
}

impl<R: Raft> Clone for Subject<R> {
    fn clone(&self) -> Subject<R> {
        Subject { make: self.maker() }
    }
}

impl<R: Raft> fmt::Debug for Subject<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}
