//! The server: what its threads share, and the one lock over it. What its handlers do is in `writes.rs` and `reads.rs`.
//!
//! The lock is held for a moment only: never while Raft is called for more than a number, nor while anybody waits for a
//! channel or for the network. No handler waits for anything: whoever has the answer gives it.

use std::fmt;

use labrpc::{Answer, ClientEnd, Service};
use labstd::channel::{self, Sender};
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use labstd::sync::{Arc, Condvar, Mutex, Weak};
use labstd::thread;
use raftapi::{ApplyMsg, Consumer, Index, KvService, Persister, Raft, ServerId, Term};

use crate::applier::{self, SnapshotPolicy};
use crate::clerk::Clerk;
use crate::inbox::{self, Inbox};
use crate::messages::{GetArgs, Reply, WriteArgs, WriteManyArgs};
use crate::reads::WaitingRead;
use crate::store::Store;
use crate::waiters::Waiters;
use crate::{reads, watcher, writes};

/// The reference implementation of [`raftapi::KvService`], over any Raft.
///
/// ```
/// use kvraft::KvServer;
///
/// fn is_a_service<S: raftapi::KvService<Clerk = kvraft::Clerk>>() {}
/// fn stands_on_any<R: raftapi::Raft>() {
///     is_a_service::<KvServer<R>>();
/// }
/// ```
pub struct KvServer<R: Raft> {
    shared: Arc<Shared<R>>,
}

/// What all threads of a server share.
pub(crate) struct Shared<R> {
    pub(crate) raft: R,
    pub(crate) state: Mutex<State>,
    /// Held by the thread that applies, from the taking on.
    pub(crate) applying: Mutex<()>,
    /// What is on its way into the log.
    pub(crate) inbox: Inbox,
    /// Signalled when somebody begins to wait and the watcher, which has to look by itself, sleeps.
    pub(crate) watcher: Condvar,
    killed: AtomicBool,
    /// Into the apply channel, to wake the applier when the server is killed.
    waker: Sender<ApplyMsg>,
}

/// What the lock protects.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) waiters: Waiters<Answer<Reply>>,
    /// The reads that wait for an entry to be applied.
    pub(crate) reads: Vec<WaitingRead>,
    /// The highest term of an entry that was applied here.
    pub(crate) applied_term: Term,
    /// When a snapshot is made; `None` if never.
    pub(crate) snapshots: Option<SnapshotPolicy>,
    /// Whether the watcher would have to look by itself, and has nothing to look for.
    pub(crate) watcher_sleeps: bool,
}

impl<R: Raft> KvService for KvServer<R> {
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
            Store::restore(&snapshot)
                .unwrap_or_else(|error| panic!("the snapshot that {me} had saved is none of this service's: {error}"))
        };
        let (waker, deliveries) = channel::bounded(1);
        let raft = R::make(peers, me, persister, waker.clone());
        // Before the first request can come: no leadership under which one was accepted ends unheard.
        let changes = raft.subscribe();
        let snapshots = max_raft_state.map(SnapshotPolicy::new);
        let shared = Arc::new(Shared {
            raft,
            state: Mutex::new(State { store, snapshots, ..State::default() }),
            applying: Mutex::new(()),
            inbox: Inbox::default(),
            watcher: Condvar::new(),
            killed: AtomicBool::new(false),
            waker,
        });
        let consumer: Weak<Shared<R>> = Arc::downgrade(&shared);
        if !shared.raft.deliver_to(consumer) {
            let applying = Arc::clone(&shared);
            thread::spawn(format!("{me}/kv-applier"), move || applier::run(&applying, &deliveries));
        }
        let (proposing, watching) = (Arc::clone(&shared), Arc::clone(&shared));
        thread::spawn(format!("{me}/kv-proposer"), move || inbox::run(&proposing));
        thread::spawn(format!("{me}/kv-watcher"), move || watcher::run(&watching, changes));
        KvServer { shared }
    }

    fn services(&self) -> Vec<Service> {
        let shared = || Arc::clone(&self.shared);
        let (gets, writes, many) = (shared(), shared(), shared());
        let service = Service::new("KvServer")
            .deferred_method("Get", move |args: GetArgs, answer| reads::get(&gets, args, answer))
            .deferred_method("Write", move |WriteArgs(command): WriteArgs, answer| {
                writes::write(&writes, &command, answer);
            })
            .deferred_method("WriteMany", move |args: WriteManyArgs, answer| writes::write_many(&many, args, answer));
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

impl<R: Raft> KvServer<R> {
    /// How many requests wait for the result of an entry: none is forgotten if this comes back to 0.
    pub fn waiting(&self) -> usize {
        self.shared.state.lock().waiters.len()
    }

    /// The index of the last entry that this server has applied.
    pub fn applied(&self) -> Index {
        self.shared.state.lock().store.applied()
    }
}

impl<R: Raft> Shared<R> {
    /// Whether the server was asked to stop.
    pub(crate) fn killed(&self) -> bool {
        self.killed.load(SeqCst)
    }

    /// Does `what` under the lock; then answers those that it has told something.
    pub(crate) fn with_state<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        let (result, told) = {
            let mut state = self.state.lock();
            (what(&mut state), state.waiters.take_told())
        };
        told.into_iter().for_each(|(answer, reply)| answer.give(&reply));
        result
    }

    fn kill(&self) {
        let reads = self.with_state(|state| {
            // Under the lock, so that no thread misses the signal between its look and its wait.
            self.killed.store(true, SeqCst);
            state.waiters.refuse_all();
            self.watcher.notify_all();
            std::mem::take(&mut state.reads)
        });
        reads.into_iter().for_each(WaitingRead::refuse);
        self.inbox.close();
        // The applier drops its end of the channel, so that a Raft that waits to deliver something can end too. A full
        // channel wakes it as well.
        let nothing = ApplyMsg::Snapshot { index: Index::ZERO, term: Term::ZERO, snapshot: bytes::Bytes::new() };
        let _ = self.waker.try_send(nothing);
        // Ends the waiting of those who read, too.
        self.raft.kill();
    }
}

impl<R: Raft> Consumer for Shared<R> {
    fn committed(&self) {
        applier::apply_committed(self);
    }
}

impl<R: Raft> fmt::Debug for KvServer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvServer").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}
