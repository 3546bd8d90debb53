//! The server: a Raft, a store, and the threads and handlers around them.

use std::fmt;

use labrpc::{ClientEnd, Service};
use labstd::channel;
use labstd::sync::Arc;
use labstd::thread;
use raftapi::{Index, KvService, Persister, RaftExt, ServerId, Term};

use crate::clerk::Clerk;
#[cfg(feature = "fast")] // fast
use crate::fast; // fast
use crate::shared::Shared;
use crate::store::Store;
use crate::{applier, handlers};

/// The reference implementation of [`raftapi::KvService`], over any Raft.
///
/// ```
/// use kvraft::KvServer;
///
/// fn assert_service<S: raftapi::KvService<Clerk = kvraft::Clerk>>() {}
/// fn works_over_any_raft<R: raftapi::RaftExt>() {
///     assert_service::<KvServer<R>>();
/// }
/// ```
pub struct KvServer<R: RaftExt> {
    shared: Arc<Shared<R>>,
}

impl<R: RaftExt> KvService for KvServer<R> {
    type Clerk = Clerk;

    /// As [`KvService::make`].
    ///
    /// # Panics
    ///
    /// If the saved snapshot is damaged.
    fn make(
        peers: Vec<ClientEnd>,
        me: ServerId,
        persister: Arc<Persister>,
        max_raft_state: Option<usize>,
    ) -> KvServer<R> {
        let snapshot = persister.read_snapshot();
        let store = if snapshot.is_empty() {
            Store::default()
        } else {
            Store::restore(&snapshot).unwrap_or_else(|error| panic!("{me} cannot decode its saved snapshot: {error}"))
        };
        let (apply_ch, committed) = channel::bounded(1);
        let raft = R::make(peers, me, persister, apply_ch.clone());
        let shared = Arc::new(Shared::new(raft, store, max_raft_state, apply_ch));
        #[cfg(feature = "fast")] // fast: consumer
        fast::consumer::register(&shared); // fast: consumer
        #[cfg(feature = "fast")] // fast: batcher
        fast::batcher::spawn(me, &shared); // fast: batcher
        #[cfg(feature = "fast")] // fast: deferred
        fast::deferred::spawn_watcher(me, &shared); // fast: deferred
        let applying = Arc::clone(&shared);
        thread::spawn(format!("{me}/kv-applier"), move || applier::run(&applying, &committed));
        KvServer { shared }
    }

    fn services(&self) -> Vec<Service> {
        let service = handlers::service(&self.shared);
        #[cfg(feature = "fast")] // fast: deferred
        let service = fast::deferred::service(service, &self.shared); // fast: deferred
        #[cfg(feature = "fast")] // fast: pipeline
        let service = fast::pipeline::add_handler(service, &self.shared); // fast: pipeline
        let mut services = self.shared.raft.services();
        services.push(service);
        services
    }

    fn get_state(&self) -> (Term, bool) {
        self.shared.raft.get_state()
    }

    fn kill(&self) {
        self.shared.kill();
    }
}

impl<R: RaftExt> KvServer<R> {
    /// Returns the number of requests that wait for the result of an entry. It returns to 0 if no request is forgotten.
    pub fn waiting_requests(&self) -> usize {
        self.shared.state.lock().waiters.len()
    }

    /// Returns the index of the last entry that this server has applied.
    pub fn last_applied(&self) -> Index {
        self.shared.state.lock().store.applied()
    }
}

impl<R: RaftExt> fmt::Debug for KvServer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvServer").field("waiting_requests", &self.waiting_requests()).finish_non_exhaustive()
    }
}
