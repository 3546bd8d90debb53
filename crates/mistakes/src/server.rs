//! The shared state of a server's threads and handlers, one lock over one struct; its two threads; and its persistence.

use bytes::Bytes;
use labrpc::ClientEnd;
use labstd::channel::Sender;
use labstd::rng::{self, RngExt};
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
            } else if now >= state.election_deadline && self.campaigns(state.role) {
                self.start_election(&mut state);
            }
        }
    }

    /// Reports whether this server starts an election when its election timer fires.
    fn campaigns(&self, role: Role) -> bool {
        match self.mistake {
            Some(Mistake::NeverElects) => false,
            Some(Mistake::CampaignsOnlyOnce) => role == Role::Follower,
            _ => true,
        }
    }

    /// Runs the applier thread: it delivers committed entries.
    pub(crate) fn apply(&self, apply_ch: &Sender<ApplyMsg>) {
        let mut mistaken = Delivery::default();
        loop {
            let mut state = self.state.lock();
            let waits = |state: &State| self.makes(Mistake::AppliesOnlyAsLeader) && state.role != Role::Leader;
            let nothing = |state: &State| !state.has_undelivered() || waits(state);
            self.to_apply.wait_while(&mut state, |state| nothing(state) && !state.killed);
            if state.killed {
                return;
            }
            let mut messages = state.take_undelivered();
            mistaken.change(self, &mut messages);
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

/// The state of an applier whose deliveries are wrong.
#[derive(Default)]
struct Delivery {
    /// The last installed snapshot, until it is delivered again.
    snapshot: Option<ApplyMsg>,
    /// An entry that is delivered after the next one.
    late: Option<ApplyMsg>,
    random: Option<rng::Stream>,
}

impl Delivery {
    /// Changes the messages that are about to be delivered, if `server` makes a mistake here.
    fn change(&mut self, server: &Server, messages: &mut Vec<ApplyMsg>) {
        if server.makes(Mistake::DeliversASnapshotTwice) {
            if let Some(again) = self.snapshot.take_if(|_| !messages.is_empty()) {
                messages.push(again);
            } else if let Some(snapshot @ ApplyMsg::Snapshot { .. }) = messages.first() {
                self.snapshot = Some(snapshot.clone());
            }
        }
        if server.makes(Mistake::SwapsOneApplyInAThousand) {
            let random = self.random.get_or_insert_with(|| rng::local("swap"));
            for message in std::mem::take(messages) {
                if self.late.is_none() && random.random_range(0..1000) == 0 {
                    self.late = Some(message);
                } else {
                    messages.push(message);
                    messages.extend(self.late.take());
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
        let snapshot = match self.mistake {
            Some(Mistake::ForgetsTheSnapshotOnTheNextSave) => Bytes::new(),
            Some(Mistake::SavesThePreviousSnapshot | Mistake::DoesNotSaveAnInstalledSnapshot) => {
                state.previous_snapshot.clone()
            }
            _ => state.snapshot.clone(),
        };
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
        } else if self.makes(Mistake::RemovedEntriesComeBack) {
            let mut log = state.log.clone();
            state.removed_after_the_end().cloned().for_each(|entry| log.push(entry));
            labgob::encode(&(state.current_term, voted_for, log))
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
