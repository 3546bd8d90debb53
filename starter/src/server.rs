//! The state that all threads of a server share, with one lock over one `State`, and the two threads that run during
//! the server's whole life. All of this is given, as an example; change it as you like.

use labrpc::ClientEnd;
use labstd::channel::Sender;
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Index, Persister, Role, ServerId, report};

use crate::state::State;

/// Time between two checks of the timers. It is short against the heartbeat interval and the election timeouts.
const TICK: Duration = Duration::from_millis(10);

/// Time between two heartbeats of an idle leader. Ten a second is what the handout allows ("limits you to tens of
/// heartbeats per second"), and several fit into one election timeout.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// A server, as its handlers and threads share it.
pub(crate) struct Server {
    pub(crate) me: ServerId,
    /// One network end per server, this one included, in the order of the server ids.
    pub(crate) peers: Vec<ClientEnd>,
    pub(crate) persister: Arc<Persister>,
    /// All state that changes. Hold the lock while you read or change it, never while you wait.
    pub(crate) state: Mutex<State>,
    /// Signalled when the commit index has moved, and when the server is killed.
    pub(crate) apply_ready: Condvar,
}

impl Server {
    /// Builds a server that starts with `state`.
    pub(crate) fn new(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, state: State) -> Arc<Server> {
        state.report_restored();
        let server = Server { me, peers, persister, state: Mutex::new(state), apply_ready: Condvar::new() };
        // Save the initial state too. Then an incarnation that starts after a crash always finds saved state.
        server.persist(&server.state.lock());
        Arc::new(server)
    }

    /// Starts the ticker and the applier.
    pub(crate) fn start_threads(self: &Arc<Server>, apply_ch: Sender<ApplyMsg>) {
        let (ticking, applying) = (Arc::clone(self), Arc::clone(self));
        thread::spawn(format!("ticker-{}", self.me), move || ticking.tick());
        thread::spawn(format!("applier-{}", self.me), move || applying.apply(&apply_ch));
    }

    /// Runs the ticker thread: it sleeps, and checks the timers each time it wakes. A handler that hears from a leader
    /// moves the deadline (`State::reset_election_timer`). The ticker sees the new deadline at its next check, so no
    /// thread has to wake it.
    fn tick(self: &Arc<Server>) {
        self.state.lock().reset_election_timer();
        loop {
            thread::sleep(TICK);
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

    /// Runs the applier thread: it waits for committed entries that are not delivered yet, copies them, releases the
    /// lock, and then delivers them. It must not hold the lock during the delivery. The service may be inside `start`
    /// or `snapshot`, which need the lock, and it reads no message until that call has returned.
    ///
    /// The applier is the only thread that delivers, so all messages arrive in order. In part 3D it also wakes to
    /// deliver a leader's snapshot.
    fn apply(&self, apply_ch: &Sender<ApplyMsg>) {
        loop {
            let messages = {
                let mut state = self.state.lock();
                self.apply_ready
                    .wait_while(&mut state, |state| state.last_applied >= state.commit_index && !state.killed);
                if state.killed {
                    return;
                }
                state.take_committed()
            };
            for message in messages {
                // An error means that the receiver is gone: the server was killed.
                if apply_ch.send(message).is_err() {
                    return;
                }
            }
        }
    }

    /// Moves the commit index forward, never back, and wakes the applier.
    pub(crate) fn commit_up_to(&self, state: &mut State, index: Index) {
        if index > state.commit_index {
            state.commit_index = index;
            report::committed(index);
            self.apply_ready.notify_all();
        }
    }

    /// Returns all servers except this one.
    pub(crate) fn others(&self) -> impl Iterator<Item = ServerId> + use<> {
        let me = self.me;
        (0..self.peers.len()).map(ServerId).filter(move |&peer| peer != me)
    }

    /// Reports whether this number of servers, this server included, is more than half of the cluster.
    pub(crate) fn is_majority(&self, servers: usize) -> bool {
        servers > self.peers.len() / 2
    }
}
