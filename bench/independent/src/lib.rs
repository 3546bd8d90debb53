//! The Raft of TiKV (`raft-rs`), as a server of the lab.
//!
//! The reference and the plain Raft of `mistakes` have the same authors as the tester, and might share its errors. This
//! one has other authors, and differs in ways that the tester must allow:
//!
//! - Each new leader appends an entry without a command (a no-op). The indexes of the lab count only commands, so each
//!   command carries its own index (`storage.rs`).
//! - It passes messages, and knows no calls. Each request is a call, and the messages that it causes for its sender are
//!   the reply (`messages.rs`). A server ignores some messages of an older term, and the reply is then empty.
//! - It can ask for votes before it campaigns (PreVote), and a leader can step down when it hears from no majority
//!   (CheckQuorum); see [`Options`].
//!
//! A `RawNode` of `raft-rs` does no I/O and has no threads. `node.rs` saves, sends and applies what it asks for.
//! `server.rs` has the lock and the threads.

mod messages;
mod node;
mod server;
mod storage;

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::Sender;
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread;
use raftapi::{ApplyMsg, Index, Persister, ServerId, Started, Term};

use node::Node;
use server::Server;

/// Protocol options of a server. By default both are off, as in the paper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether a server first asks whether it would be elected, and campaigns only then (dissertation, section 9.6).
    pub pre_vote: bool,
    /// Whether a leader steps down when it has heard from no majority for an election timeout, and whether a server
    /// that has heard from a leader since then refuses to vote (dissertation, sections 6.2 and 4.2.3).
    pub check_quorum: bool,
}

/// A Raft server.
pub struct Raft(Arc<Server>);

impl Raft {
    /// Returns a function that makes servers with these options.
    pub fn factory(
        options: Options,
    ) -> impl Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Sender<ApplyMsg>) -> Raft + Send + Sync + 'static {
        move |peers, me, persister, apply_ch| Raft::start_server(peers, me, persister, apply_ch, options)
    }

    fn start_server(
        peers: Vec<ClientEnd>,
        me: ServerId,
        persister: Arc<Persister>,
        apply_ch: Sender<ApplyMsg>,
        options: Options,
    ) -> Raft {
        let node = Mutex::new(Node::restore(me, peers.len(), Arc::clone(&persister), options));
        let server = Arc::new(Server { peers, persister, node, to_apply: Condvar::new() });
        let (ticking, applying) = (Arc::clone(&server), Arc::clone(&server));
        thread::spawn(format!("ticker-{me}"), move || ticking.tick());
        thread::spawn(format!("applier-{me}"), move || applying.apply(&apply_ch));
        Raft(server)
    }
}

impl raftapi::Raft for Raft {
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> Raft {
        Raft::start_server(peers, me, persister, apply_ch, Options::default())
    }

    fn services(&self) -> Vec<Service> {
        let methods = messages::METHODS.into_iter();
        vec![methods.fold(Service::new(messages::SERVICE), |service, name| {
            let server = Arc::clone(&self.0);
            service.method(name, move |request: Bytes| server.handle(&request))
        })]
    }

    fn start(&self, command: Bytes) -> Option<Started> {
        self.0.node.lock().propose(&command)
    }

    fn get_state(&self) -> (Term, bool) {
        self.0.node.lock().term_and_leadership()
    }

    fn snapshot(&self, index: Index, snapshot: Bytes) {
        self.0.node.lock().compact(index, snapshot);
    }

    fn persist_bytes(&self) -> usize {
        self.0.persister.raft_state_size()
    }

    fn kill(&self) {
        self.0.node.lock().kill();
        self.0.to_apply.notify_all();
    }
}
