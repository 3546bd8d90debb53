//! The interface of a plain Raft after Figures 2 and 13 of the paper. Each `self.makes(...)` in this crate is a place
//! where it can make a mistake. Without these conditions the code is correct.

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::Sender;
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread;
use raftapi::{ApplyMsg, Index, Persister, Role, ServerId, Started, Term};

use crate::Mistake;
use crate::log::Entry;
use crate::server::Server;
use crate::state::State;

/// A Raft server.
pub struct Raft(Arc<Server>);

impl Raft {
    /// Returns a function that makes servers with `mistake`, or correct servers if there is none.
    pub fn factory(
        mistake: Option<Mistake>,
    ) -> impl Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Sender<ApplyMsg>) -> Raft + Send + Sync + 'static {
        move |peers, me, persister, apply_ch| Raft::start_server(peers, me, persister, apply_ch, mistake)
    }

    fn start_server(
        peers: Vec<ClientEnd>,
        me: ServerId,
        persister: Arc<Persister>,
        apply_ch: Sender<ApplyMsg>,
        mistake: Option<Mistake>,
    ) -> Raft {
        let state = Mutex::new(State::restore(&persister));
        let server = Arc::new(Server { me, peers, persister, mistake, state, to_apply: Condvar::new() });
        let (ticking, applying) = (Arc::clone(&server), Arc::clone(&server));
        thread::spawn(format!("ticker-{me}"), move || ticking.tick());
        thread::spawn(format!("applier-{me}"), move || applying.apply(&apply_ch));
        Raft(server)
    }
}

impl raftapi::Raft for Raft {
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> Raft {
        Raft::start_server(peers, me, persister, apply_ch, None)
    }

    fn services(&self) -> Vec<Service> {
        let [voting, appending, installing] = [0; 3].map(|_| Arc::clone(&self.0));
        let service = Service::new("Raft")
            .method("RequestVote", move |args| voting.update(|state| voting.handle_request_vote(state, &args)))
            .method("AppendEntries", move |args| appending.update(|state| appending.handle_append_entries(state, args)))
            .method("InstallSnapshot", move |args| {
                installing.update(|state| installing.handle_install_snapshot(state, args))
            });
        vec![service]
    }

    fn start(&self, command: Bytes) -> Option<Started> {
        self.0.update(|state| {
            if state.role != Role::Leader {
                return None;
            }
            let term = state.current_term;
            state.append([Entry { term, command }]);
            state.replication_due = true;
            Some(Started { index: state.log.last_index(), term })
        })
    }

    fn get_state(&self) -> (Term, bool) {
        let state = self.0.state.lock();
        (state.current_term, state.role == Role::Leader)
    }

    fn snapshot(&self, index: Index, snapshot: Bytes) {
        self.0.update(|state| self.0.snapshot_taken(state, index, snapshot));
    }

    fn persist_bytes(&self) -> usize {
        self.0.persister.raft_state_size()
    }

    fn kill(&self) {
        self.0.state.lock().killed = true;
        self.0.to_apply.notify_all();
    }
}

/// The optional methods have their defaults.
impl raftapi::RaftExt for Raft {}
