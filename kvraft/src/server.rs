//! The server: the state that its threads share, behind one lock. The handlers are in `writes.rs` and `reads.rs`.
//!
//! The lock is held only briefly. While it is held, a thread asks Raft for numbers at most, and never waits for a
//! channel or the network. No handler blocks: the thread that learns the result gives the answer.

use std::fmt;

use labrpc::{Answer, ClientEnd, Service};
use labstd::channel::{self, Sender};
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use labstd::sync::{Arc, Condvar, Mutex, Weak};
use labstd::thread;
use raftapi::{ApplyMsg, Consumer, Index, KvService, Persister, Raft, ServerId, Term};

use crate::applier::{self, SnapshotPolicy};
use crate::batcher::{self, ProposalBatcher};
use crate::clerk::Clerk;
use crate::messages::{GetArgs, Reply, WriteArgs, WriteManyArgs};
use crate::reads::PendingRead;
use crate::store::Store;
use crate::waiters::Waiters;
use crate::{reads, watcher, writes};

/// The reference implementation of [`raftapi::KvService`], over any Raft.
///
/// ```
/// use kvraft::KvServer;
///
/// fn assert_service<S: raftapi::KvService<Clerk = kvraft::Clerk>>() {}
/// fn works_over_any_raft<R: raftapi::Raft>() {
///     assert_service::<KvServer<R>>();
/// }
/// ```
pub struct KvServer<R: Raft> {
    shared: Arc<Shared<R>>,
}

/// State that all threads of a server share.
pub(crate) struct Shared<R> {
    pub(crate) raft: R,
    pub(crate) state: Mutex<State>,
    /// Keeps the order of applied entries. A thread holds it from taking entries out of Raft until it has applied them.
    pub(crate) apply_order: Mutex<()>,
    /// Operations that are not yet given to Raft.
    pub(crate) batcher: ProposalBatcher,
    /// Signalled when a request starts to wait while a polling watcher is idle.
    pub(crate) wake_watcher: Condvar,
    killed: AtomicBool,
    /// The sending half of the apply channel. It wakes the applier when the server is killed.
    apply_ch: Sender<ApplyMsg>,
}

/// The part of the shared state that the lock protects.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) waiters: Waiters<Answer<Reply>>,
    /// Reads that wait for an entry to be applied.
    pub(crate) reads: Vec<PendingRead>,
    /// The highest term of an applied entry.
    pub(crate) applied_term: Term,
    /// Decides when a snapshot is made; `None` means never.
    pub(crate) snapshots: Option<SnapshotPolicy>,
    /// Whether a polling watcher sleeps because no request is waiting.
    pub(crate) watcher_idle: bool,
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
            Store::restore(&snapshot).unwrap_or_else(|error| panic!("{me} cannot decode its saved snapshot: {error}"))
        };
        let (apply_ch, deliveries) = channel::bounded(1);
        let raft = R::make(peers, me, persister, apply_ch.clone());
        // Subscribe before the first request can arrive. Then the watcher sees the end of every leadership that
        // accepted one.
        let changes = raft.subscribe();
        let snapshots = max_raft_state.map(SnapshotPolicy::new);
        let shared = Arc::new(Shared {
            raft,
            state: Mutex::new(State { store, snapshots, ..State::default() }),
            apply_order: Mutex::new(()),
            batcher: ProposalBatcher::default(),
            wake_watcher: Condvar::new(),
            killed: AtomicBool::new(false),
            apply_ch,
        });
        let consumer: Weak<Shared<R>> = Arc::downgrade(&shared);
        if !shared.raft.deliver_to(consumer) {
            let applying = Arc::clone(&shared);
            thread::spawn(format!("{me}/kv-applier"), move || applier::run(&applying, &deliveries));
        }
        let (proposing, watching) = (Arc::clone(&shared), Arc::clone(&shared));
        thread::spawn(format!("{me}/kv-proposer"), move || batcher::run(&proposing));
        thread::spawn(format!("{me}/kv-watcher"), move || watcher::run(&watching, changes));
        KvServer { shared }
    }

    fn services(&self) -> Vec<Service> {
        let shared = || Arc::clone(&self.shared);
        let (gets, writes, many) = (shared(), shared(), shared());
        let service = Service::new("KvServer")
            .deferred_method("Get", move |args: GetArgs, answer| reads::handle_get(&gets, args, answer))
            .deferred_method("Write", move |WriteArgs(command): WriteArgs, answer| {
                writes::handle_write(&writes, &command, answer);
            })
            .deferred_method("WriteMany", move |args: WriteManyArgs, answer| {
                writes::handle_write_many(&many, args, answer);
            });
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
    /// Returns the number of requests that wait for the result of an entry. It returns to 0 if no request is forgotten.
    pub fn waiting_requests(&self) -> usize {
        self.shared.state.lock().waiters.len()
    }

    /// Returns the index of the last entry that this server has applied.
    pub fn last_applied(&self) -> Index {
        self.shared.state.lock().store.applied()
    }
}

impl<R: Raft> Shared<R> {
    /// Reports whether `kill` was called.
    pub(crate) fn killed(&self) -> bool {
        self.killed.load(SeqCst)
    }

    /// Calls `body` under the lock. After the lock is released, answers the requests that `body` has settled.
    pub(crate) fn with_state<T>(&self, body: impl FnOnce(&mut State) -> T) -> T {
        let (result, settled) = {
            let mut state = self.state.lock();
            (body(&mut state), state.waiters.take_settled())
        };
        settled.into_iter().for_each(|(answer, reply)| answer.give(&reply));
        result
    }

    fn kill(&self) {
        let reads = self.with_state(|state| {
            // This happens under the lock, so that no thread misses the signal between its check and its wait.
            self.killed.store(true, SeqCst);
            state.waiters.refuse_all();
            self.wake_watcher.notify_all();
            std::mem::take(&mut state.reads)
        });
        reads.into_iter().for_each(PendingRead::refuse);
        self.batcher.close();
        // Wakes the applier, which then drops its end of the channel. So a Raft that is blocked on a delivery can end
        // too. If the channel is full, the message in it wakes the applier.
        let empty = ApplyMsg::Snapshot { index: Index::ZERO, term: Term::ZERO, snapshot: bytes::Bytes::new() };
        let _ = self.apply_ch.try_send(empty);
        // This also ends the Gets that wait for a read index.
        self.raft.kill();
    }
}

impl<R: Raft> Consumer for Shared<R> {
    fn on_commit(&self) {
        applier::apply_committed(self);
    }
}

impl<R: Raft> fmt::Debug for KvServer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvServer").field("waiting_requests", &self.waiting_requests()).finish_non_exhaustive()
    }
}
