//! The shared state of a server's threads and handlers, one lock over one struct; its two threads; and its persistence.

use bytes::Bytes;
use labrpc::ClientEnd;
use labstd::channel::Sender;
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Index, Persister, Role, ServerId, Term, report};

use crate::Mistake;
use crate::log::Log;
use crate::state::State;

/// Interval at which the ticker checks its timers.
const TICK: Duration = Duration::from_millis(10);

pub(crate) struct Server {
    pub(crate) me: ServerId,
    pub(crate) peers: Vec<ClientEnd>,
    pub(crate) persister: Arc<Persister>,
    pub(crate) mistake: Option<Mistake>,
    pub(crate) state: Mutex<State>,
    /// Signalled when there are undelivered messages, and when the server is killed.
    pub(crate) to_apply: Condvar,
}

/// The threads.
impl Server {
    /// Runs the ticker thread: it sleeps, and then handles timers that have fired.
    pub(crate) fn tick(self: &Arc<Server>) {
        loop {
            thread::sleep(TICK);
            let mut state = self.state.lock();
            if state.killed {
                return;
            }
            let now = Instant::now();
            if state.role == Role::Leader {
                if state.replication_due || now >= state.next_heartbeat || self.makes(Mistake::SendsRpcsInATightLoop) {
                    self.replicate_to_all(&mut state);
                }
            } else if now >= state.election_deadline && !self.makes(Mistake::NeverElects) {
                self.start_election(&mut state);
            }
        }
    }

    /// Runs the applier thread: it delivers committed entries.
    pub(crate) fn apply(&self, apply_ch: &Sender<ApplyMsg>) {
        loop {
            let mut state = self.state.lock();
            self.to_apply.wait_while(&mut state, |state| !state.has_undelivered() && !state.killed);
            if state.killed {
                return;
            }
            let messages = state.take_undelivered();
            if !self.makes(Mistake::HoldsItsLockWhileDelivering) {
                drop(state);
            }
            for message in messages {
                if self.makes(Mistake::AppliesOutOfOrder) {
                    let apply_ch = apply_ch.clone();
                    thread::spawn(format!("deliverer-{}", self.me), move || apply_ch.send(message));
                } else if apply_ch.send(message).is_err() {
                    return;
                }
            }
        }
    }
}

/// Persistence.
impl Server {
    /// Calls `update` under the lock, and saves the changes before any other thread or server can see them.
    pub(crate) fn update<T>(self: &Arc<Server>, update: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let result = update(&mut state);
        self.save(&mut state);
        result
    }

    /// Saves unsaved changes. Figure 2, "Persistent state on all servers": "Updated on stable storage before responding
    /// to RPCs".
    pub(crate) fn save(self: &Arc<Server>, state: &mut State) {
        const LATER: Duration = Duration::from_millis(30);
        if !std::mem::take(&mut state.unsaved) {
            return;
        }
        if self.makes(Mistake::ActsBeforeItPersists) {
            let me = Arc::clone(self);
            thread::spawn(format!("saver-{}", self.me), move || {
                thread::sleep(LATER);
                me.save_now(&me.state.lock());
            });
            return;
        }
        self.save_now(state);
    }

    /// Saves the present state, together with the snapshot: the persister would erase the snapshot otherwise.
    fn save_now(&self, state: &State) {
        let forgotten = self.makes(Mistake::ForgetsTheSnapshotOnTheNextSave);
        let snapshot = if forgotten { Bytes::new() } else { state.snapshot.clone() };
        self.persist(state, snapshot);
    }

    /// Replaces all entries up to and including `index` by a snapshot. Log and snapshot are saved in one step, because
    /// a crash between two steps would leave a gap.
    pub(crate) fn compact_and_save(&self, state: &mut State, (index, term): (Index, Term), snapshot: Bytes) {
        state.compact(index, term, snapshot.clone());
        state.unsaved = false;
        self.persist(state, snapshot);
    }

    fn persist(&self, state: &State, snapshot: Bytes) {
        let voted_for = if self.makes(Mistake::NoVotePersistence) { None } else { state.voted_for };
        let bytes = if self.makes(Mistake::NoLogPersistence) {
            let no_log = Log::after_snapshot(state.log.base(), state.log.base_term());
            labgob::encode(&(state.current_term, voted_for, no_log))
        } else {
            labgob::encode(&(state.current_term, voted_for, &state.log))
        };
        let written = bytes.len() + snapshot.len();
        self.persister.save(bytes.to_vec(), snapshot);
        report::persisted(written);
    }
}

impl Server {
    pub(crate) fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    pub(crate) fn others(&self) -> impl Iterator<Item = ServerId> + use<> {
        let me = self.me;
        (0..self.peers.len()).map(ServerId).filter(move |&peer| peer != me)
    }

    pub(crate) fn is_majority(&self, servers: usize) -> bool {
        servers > self.peers.len() / 2
    }
}
