//! What the threads and the handlers of a server share, its two threads, and how it saves: one lock over one struct.

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

/// How often the ticker looks whether something is due.
const LOOK: Duration = Duration::from_millis(10);

pub(crate) struct Server {
    pub(crate) me: ServerId,
    pub(crate) peers: Vec<ClientEnd>,
    pub(crate) persister: Arc<Persister>,
    pub(crate) mistake: Option<Mistake>,
    pub(crate) state: Mutex<State>,
    /// Signalled when there is more to deliver, and at the end.
    pub(crate) to_apply: Condvar,
}

/// Its threads.
impl Server {
    /// The ticker: sleeps and looks.
    pub(crate) fn tick(self: &Arc<Server>) {
        loop {
            thread::sleep(LOOK);
            let mut state = self.state.lock();
            if state.killed {
                return;
            }
            let now = Instant::now();
            if state.role == Role::Leader {
                if state.news || now >= state.next_heartbeat || self.makes(Mistake::SendsRpcsInATightLoop) {
                    self.send_to_all(&mut state);
                }
            } else if now >= state.election_deadline && !self.makes(Mistake::NeverElects) {
                self.start_election(&mut state);
            }
        }
    }

    /// The applier: delivers what is committed.
    pub(crate) fn apply(&self, apply_ch: &Sender<ApplyMsg>) {
        loop {
            let mut state = self.state.lock();
            self.to_apply.wait_while(&mut state, |state| !state.has_to_deliver() && !state.killed);
            if state.killed {
                return;
            }
            let messages = state.take_deliverable();
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

/// Changes, and how they are saved.
impl Server {
    /// Does something under the lock, and saves what it has changed before anybody can hear of it.
    pub(crate) fn change<T>(self: &Arc<Server>, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let result = change(&mut state);
        self.save(&mut state);
        result
    }

    /// Saves what has changed. Figure 2, "Persistent state on all servers": "Updated on stable storage before responding
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
                me.write(&me.state.lock());
            });
            return;
        }
        self.write(state);
    }

    /// Writes down the state as it is; the snapshot goes with it, or else it would be erased.
    fn write(&self, state: &State) {
        let forgotten = self.makes(Mistake::ForgetsTheSnapshotOnTheNextSave);
        let snapshot = if forgotten { Bytes::new() } else { state.snapshot.clone() };
        self.write_with(state, snapshot);
    }

    /// A snapshot takes the place of everything up to and including an entry. Log and snapshot are replaced in one step:
    /// one without the other would be a gap.
    pub(crate) fn replace_log(&self, state: &mut State, (index, term): (Index, Term), snapshot: Bytes) {
        state.compact(index, term, snapshot.clone());
        state.unsaved = false;
        self.write_with(state, snapshot);
    }

    fn write_with(&self, state: &State, snapshot: Bytes) {
        let voted_for = if self.makes(Mistake::NoVotePersistence) { None } else { state.voted_for };
        let bytes = if self.makes(Mistake::NoLogPersistence) {
            let no_log = Log::behind(state.log.base(), state.log.base_term());
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
