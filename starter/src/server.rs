//! What all threads of a server share: one lock over one `State`; and the two threads that run for as long as it lives.
//! All of this is given, as an example of the shape; change it as you like.

use labrpc::ClientEnd;
use labstd::channel::Sender;
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Index, Persister, Role, ServerId, report};

use crate::persistence::read_persist;
use crate::state::State;

/// How often the ticker looks whether something is due.
const LOOK: Duration = Duration::from_millis(10);

/// How often a leader that has nothing to say is heard of: ten times a second is what the handout allows ("limits you
/// to tens of heartbeats per second"), and several fit into one election timeout.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// A server, as its handlers and its threads have it.
pub(crate) struct Server {
    pub(crate) me: ServerId,
    /// One end to each server, this one included, in their order.
    pub(crate) peers: Vec<ClientEnd>,
    pub(crate) persister: Arc<Persister>,
    /// Everything that changes. Hold the lock for as long as you read or change it, never while you wait.
    pub(crate) state: Mutex<State>,
    /// Signalled when the commit index has moved, and at the end.
    pub(crate) to_apply: Condvar,
}

impl Server {
    /// A server that begins with what an earlier incarnation of it has saved.
    pub(crate) fn new(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>) -> Arc<Server> {
        let state = read_persist(&persister);
        state.report_restored();
        let server = Server { me, peers, persister, state: Mutex::new(state), to_apply: Condvar::new() };
        // What it begins with is saved too, so that whoever starts after a crash always finds something.
        server.persist(&server.state.lock());
        Arc::new(server)
    }

    /// Starts the ticker and the applier.
    pub(crate) fn start_threads(self: &Arc<Server>, apply_ch: Sender<ApplyMsg>) {
        let (ticking, applying) = (Arc::clone(self), Arc::clone(self));
        thread::spawn(format!("ticker-{}", self.me), move || ticking.tick());
        thread::spawn(format!("applier-{}", self.me), move || applying.apply(&apply_ch));
    }

    /// The ticker: it sleeps and looks. Whoever hears of a leader moves the deadline (`State::reset_election_timer`),
    /// which the ticker sees when it wakes; nobody has to wake it.
    fn tick(self: &Arc<Server>) {
        self.state.lock().reset_election_timer();
        loop {
            thread::sleep(LOOK);
            let mut state = self.state.lock();
            if state.killed {
                return;
            }
            let now = Instant::now();
            if state.role == Role::Leader {
                if now >= state.next_heartbeat {
                    state.next_heartbeat = now + HEARTBEAT;
                    self.replicate_to_all(&mut state);
                }
            } else if now >= state.election_deadline {
                self.start_election(&mut state);
            }
        }
    }

    /// The applier: it waits until something is committed that the service has not got, copies it, gives the lock back,
    /// and only then delivers. The service may be about to call `start` or `snapshot`, for which it needs the lock, and
    /// reads nothing before it has it.
    ///
    /// It is the only thread that delivers, so everything arrives in order. In part 3D it has one more reason to wake:
    /// a leader's snapshot that has to be delivered.
    fn apply(&self, apply_ch: &Sender<ApplyMsg>) {
        loop {
            let messages = {
                let mut state = self.state.lock();
                self.to_apply.wait_while(&mut state, |state| state.last_applied >= state.commit_index && !state.killed);
                if state.killed {
                    return;
                }
                state.take_committed()
            };
            for message in messages {
                // Nobody receives any more: the server was killed.
                if apply_ch.send(message).is_err() {
                    return;
                }
            }
        }
    }

    /// Moves the commit index forward, never back, and wakes the applier.
    pub(crate) fn commit(&self, state: &mut State, index: Index) {
        if index > state.commit_index {
            state.commit_index = index;
            report::committed(index);
            self.to_apply.notify_all();
        }
    }

    /// All servers but this one.
    pub(crate) fn others(&self) -> impl Iterator<Item = ServerId> + use<> {
        let me = self.me;
        (0..self.peers.len()).map(ServerId).filter(move |&peer| peer != me)
    }

    /// Whether so many servers, this one counted, are more than half of them.
    pub(crate) fn is_majority(&self, servers: usize) -> bool {
        servers > self.peers.len() / 2
    }
}
