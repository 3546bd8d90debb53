//! What is put to the test: an implementation, and how its servers are made.

use std::fmt;

use labrpc::ClientEnd;
use labstd::channel::Sender;
use labstd::sync::Arc;
use raftapi::{ApplyMsg, Persister, Raft, ServerId};

use crate::cluster::RaftFactory;

/// An implementation of [`Raft`].
pub struct Subject<R: Raft> {
    make: RaftFactory<R>,
}

impl<R: Raft> Subject<R> {
    /// Servers made by [`Raft::make`].
    pub fn new() -> Subject<R> {
        Subject::with_factory(R::make)
    }

    /// Servers made by something else with the same arguments.
    pub fn with_factory(
        make: impl Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Sender<ApplyMsg>) -> R + Send + Sync + 'static,
    ) -> Subject<R> {
        Subject { make: Arc::new(make) }
    }

    /// How they are made.
    pub(crate) fn factory(&self) -> RaftFactory<R> {
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
        Subject { make: self.factory() }
    }
}

impl<R: Raft> fmt::Debug for Subject<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}
