//! System under test: the constructor of its servers.

use std::fmt;

use labrpc::ClientEnd;
use labstd::channel::Sender;
use labstd::sync::Arc;
use raftapi::{ApplyMsg, Persister, Raft, ServerId};

use crate::cluster::RaftFactory;

/// An implementation of [`Raft`], as the system under test. Only its constructor knows the type of the servers, so the
/// scenarios are compiled once, for all implementations.
#[derive(Clone)]
pub struct Subject {
    make: RaftFactory,
}

impl Subject {
    /// Creates a subject whose servers are made by [`Raft::make`].
    pub fn of<R: Raft>() -> Subject {
        Subject::with_factory(R::make)
    }

    /// Creates a subject whose servers are made by another function with the same arguments.
    pub fn with_factory<R: Raft>(
        make: impl Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Sender<ApplyMsg>) -> R + Send + Sync + 'static,
    ) -> Subject {
        Subject { make: Arc::new(move |peers, me, persister, apply_ch| Arc::new(make(peers, me, persister, apply_ch))) }
    }

    /// Returns the constructor of the servers.
    pub(crate) fn factory(&self) -> RaftFactory {
        Arc::clone(&self.make)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}
