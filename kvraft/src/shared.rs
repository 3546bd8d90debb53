//! State that all threads of a server share, behind one lock.
//!
//! The lock is held only briefly. While it is held, a thread asks Raft for numbers at most, and never waits for a
//! channel or the network.

use labstd::channel::Sender;
use labstd::sync::Mutex;
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use raftapi::{ApplyMsg, Index, RaftExt, Term};

#[cfg(feature = "fast")] // fast
use crate::fast; // fast
use crate::recipient::Recipient;
use crate::snapshot_policy::SnapshotPolicy;
use crate::store::Store;
use crate::waiters::Waiters;

/// State that all threads of a server share.
pub(crate) struct Shared<R> {
    pub(crate) raft: R,
    pub(crate) state: Mutex<State>,
    killed: AtomicBool,
    /// The sending half of the apply channel. It wakes the applier when the server is killed.
    apply_ch: Sender<ApplyMsg>,
    #[cfg(feature = "fast")] // fast
    pub(crate) fast: fast::Shared, // fast
}

/// The part of the shared state that the lock protects.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) waiters: Waiters<Recipient>,
    /// The highest term of an applied entry.
    pub(crate) applied_term: Term,
    /// Decides when a snapshot is made; `None` means never.
    pub(crate) snapshots: Option<SnapshotPolicy>,
    #[cfg(feature = "fast")] // fast
    pub(crate) fast: fast::State, // fast
}

impl<R: RaftExt> Shared<R> {
    /// Creates the state of a server that starts with `store`.
    pub(crate) fn new(raft: R, store: Store, max_raft_state: Option<usize>, apply_ch: Sender<ApplyMsg>) -> Shared<R> {
        let snapshots = max_raft_state.map(SnapshotPolicy::new);
        Shared {
            raft,
            state: Mutex::new(State { store, snapshots, ..State::default() }),
            killed: AtomicBool::new(false),
            apply_ch,
            #[cfg(feature = "fast")] // fast
            fast: fast::Shared::default(), // fast
        }
    }

    /// Calls `body` under the lock. After the lock is released, answers the requests that `body` has settled.
    pub(crate) fn with_state<T>(&self, body: impl FnOnce(&mut State) -> T) -> T {
        let (result, settled) = {
            let mut state = self.state.lock();
            (body(&mut state), state.waiters.take_settled())
        };
        settled.into_iter().for_each(|(recipient, reply)| recipient.give(reply));
        result
    }

    /// Refuses the requests whose entries are lost. For its waiting request, an entry can only be committed under the
    /// leader that created it. A later leader may commit the entry too, but then this server is not the leader, and the
    /// client has to ask there.
    pub(crate) fn refuse_lost(&self) {
        let (term, leads) = self.raft.get_state();
        self.with_state(|state| {
            state.waiters.refuse_before(term);
            if !leads {
                state.waiters.refuse_term(term);
            }
            let applied = state.store.applied();
            state.waiters.refuse_up_to(applied);
        });
    }

    /// Completes a proposal, under the lock, after Raft has accepted or refused it.
    pub(crate) fn complete_proposal(&self, state: &mut State) {
        if self.killed() {
            state.waiters.refuse_all();
        }
        // fast: deferred begin
        #[cfg(feature = "fast")]
        if state.waiters.len() > 0 && std::mem::take(&mut state.fast.watcher_idle) {
            self.fast.wake_watcher.notify_one();
        }
        // fast: deferred end
    }

    /// Reports whether the server was killed.
    pub(crate) fn killed(&self) -> bool {
        self.killed.load(SeqCst)
    }

    /// Stops the server and its Raft, and refuses all waiting requests.
    pub(crate) fn kill(&self) {
        self.with_state(|state| {
            // This happens under the lock, so that no thread misses the signal between its check and its wait.
            self.killed.store(true, SeqCst);
            state.waiters.refuse_all();
            #[cfg(feature = "fast")] // fast: deferred
            self.fast.wake_watcher.notify_all(); // fast: deferred
            #[cfg(feature = "fast")] // fast: reads
            state.fast.reads.refuse_all(&mut state.waiters); // fast: reads
        });
        #[cfg(feature = "fast")] // fast: batcher
        self.fast.batcher.close(); // fast: batcher
        // Wakes the applier, which then drops its end of the channel. So a Raft that is blocked on a delivery can end
        // too. If the channel is full, the message in it wakes the applier.
        let empty = ApplyMsg::Snapshot { index: Index::ZERO, term: Term::ZERO, snapshot: bytes::Bytes::new() };
        let _ = self.apply_ch.try_send(empty);
        self.raft.kill();
    }
}
