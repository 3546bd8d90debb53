//! System under test: an implementation, and the constructor of its servers.

use std::fmt;

use labrpc::ClientEnd;
use labstd::channel::Sender;
use labstd::sync::Arc;
use raftapi::{ApplyMsg, Persister, Raft, ServerId};

use crate::cluster::RaftFactory;

/// An implementation of [`Raft`], as the system under test.
pub struct Subject<R: Raft> {
    make: RaftFactory<R>,
}

impl<R: Raft> Subject<R> {
    /// Creates a subject whose servers are made by [`Raft::make`].
    pub fn new() -> Subject<R> {
        Subject::with_factory(R::make)
    }

    /// Creates a subject whose servers are made by another function with the same arguments.
    pub fn with_factory(
        make: impl Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Sender<ApplyMsg>) -> R + Send + Sync + 'static,
    ) -> Subject<R> {
        Subject { make: Arc::new(make) }
    }

    /// Returns the constructor of the servers.
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
