//! State that all threads of a server share: the one lock, the protocol's state and timers under it, and the condition
//! variables on which the threads wait.

use labrpc::ClientEnd;
use labstd::rng::{RngExt, Stream};
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::time::{Duration, Instant};
use raftapi::{Persister, ServerId};

use crate::core::{Core, SentRequest};
#[cfg(feature = "fast")] // fast
use crate::fast; // fast
use crate::observers::Observers;
use crate::storage::Storage;

/// Range of the election timeout in milliseconds, drawn anew each time. It is at least three heartbeat intervals, so
/// two consecutive heartbeats may be lost. It is wide, so that two servers seldom start an election at the same time
/// (paper, 5.2 and 9.3). The course allows ten heartbeats per second and requires a new leader within five seconds.
const ELECTION_TIMEOUT_MS: std::ops::Range<u64> = 300..600;

/// Time after the last message to a peer at which a leader sends a heartbeat, if it has nothing else to send.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(100);

/// State that all threads of a server share.
pub(crate) struct Shared {
    pub(crate) peers: Vec<ClientEnd>,
    pub(crate) persister: Arc<Persister>,
    pub(crate) state: Mutex<State>,
    /// Signalled when there are committed entries to apply.
    pub(crate) applier: Condvar,
    /// Signalled, one for each peer, when there is something to send to that peer.
    pub(crate) replicate: Vec<Condvar>,
    killed: AtomicBool,
    #[cfg(feature = "fast")] // fast
    pub(crate) fast: fast::Shared, // fast
}

/// State under the lock: the protocol's state and the timers.
pub(crate) struct State {
    pub(crate) core: Core,
    pub(crate) storage: Storage,
    /// Moment at which the election timeout fires. Means nothing on a leader.
    pub(crate) election_due: Instant,
    timeouts: Stream,
    /// Timers of a leader, one for each server.
    pub(crate) peer_timers: Vec<PeerTimers>,
    /// Whether the applier has committed entries to deliver.
    pub(crate) applier_is_due: bool,
    pub(crate) observers: Observers,
    #[cfg(feature = "fast")] // fast
    pub(crate) fast: fast::State, // fast
}

/// Timers of a leader for one peer.
#[derive(Clone, Debug)]
pub(crate) struct PeerTimers {
    /// Moment at which the next message is due even if there are no entries to send.
    pub(crate) heartbeat_due: Instant,
    /// The in-flight entries or snapshot, and the moment at which the reply is overdue.
    pub(crate) in_flight: Option<(SentRequest, Instant)>,
    /// Moment at which the sleeping replicator wakes by itself; `None` if it does not sleep, or sleeps until it is
    /// woken.
    pub(crate) sleeps_until: Option<Instant>,
}

impl Shared {
    /// Creates the shared state of server `me` from the state that an earlier incarnation saved.
    ///
    /// # Panics
    ///
    /// If the saved state is damaged.
    pub(crate) fn new(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, timeouts: Stream) -> Shared {
        let (storage, saved) = Storage::open(Arc::clone(&persister)).unwrap_or_else(|damaged| panic!("{damaged}"));
        let core = Core::restore(me, peers.len(), saved);
        let now = Instant::now();
        let timers = PeerTimers { heartbeat_due: now, in_flight: None, sleeps_until: None };
        let observers = Observers::at_start(&core);
        let mut state = State {
            core,
            storage,
            election_due: now,
            timeouts,
            peer_timers: vec![timers; peers.len()],
            applier_is_due: false,
            observers,
            #[cfg(feature = "fast")] // fast
            fast: fast::State::default(), // fast
        };
        state.restart_election_timer();
        Shared {
            replicate: peers.iter().map(|_| Condvar::new()).collect(),
            peers,
            persister,
            state: Mutex::new(state),
            applier: Condvar::new(),
            killed: AtomicBool::new(false),
            #[cfg(feature = "fast")] // fast
            fast: fast::Shared::default(), // fast
        }
    }

    /// Has something sent to `peer`: wakes its replicator.
    pub(crate) fn replicate_to(&self, state: &mut State, peer: ServerId) {
        debug_assert!(state.core.is_leader(), "only a leader replicates");
        #[cfg(feature = "fast")] // fast: inline
        state.fast.work.send_to.insert(peer); // fast: inline
        #[cfg(not(feature = "fast"))] // fast: inline
        self.replicate[peer.0].notify_one();
    }

    /// Whether the server was asked to stop.
    pub(crate) fn killed(&self) -> bool {
        self.killed.load(SeqCst)
    }

    /// Has all threads see that the server was asked to stop. Call it under the lock, and wake the threads.
    pub(crate) fn set_killed(&self) {
        self.killed.store(true, SeqCst);
    }
}

impl State {
    /// Draws a new election timeout, which begins now.
    pub(crate) fn restart_election_timer(&mut self) {
        let timeout = Duration::from_millis(self.timeouts.random_range(ELECTION_TIMEOUT_MS));
        self.election_due = Instant::now() + timeout;
    }
}
