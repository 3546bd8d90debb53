//! A server of the service: a handler that puts a request into the log and waits, and one thread that does what comes
//! out of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::{self, Receiver};
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread;
use labstd::time::Duration;
use raftapi::{ApplyMsg, Index, KvService, Persister, Raft as _, ServerId, Started, Term, report, unwritten};
use serde::{Deserialize, Serialize};

use super::clerk::Clerk;
use super::messages::{Operation, Reply, Request};
use crate::Raft;

/// A server of the service.
pub struct KvServer(Arc<Server>);

/// What the handlers and the applier share.
struct Server {
    raft: Raft,
    /// The size of the saved Raft state at which a snapshot is due; `None` means never.
    max_raft_state: Option<usize>,
    /// Never hold the lock while you wait for Raft: the applier needs it to go on.
    state: Mutex<State>,
    /// Signalled when something was applied, and at the end.
    applied: Condvar,
}

/// What changes.
#[derive(Default)]
struct State {
    store: Store,
    // What waiting handlers need to be told has its place here: they wait for an index (and a term).
    killed: bool,
}

/// What all servers have in common when they have applied as much: it goes into snapshots.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Store {
    /// The highest index that was applied.
    last_applied: Index,
    values: BTreeMap<String, String>,
    // What tells an operation that was done already from a new one has its place here.
}

impl KvService for KvServer {
    type Clerk = Clerk;

    /// Part 4A. Builds the service and its Raft; returns quickly.
    ///
    /// - `channel::bounded(1)` is the apply channel; `Raft::make` gets the sending half (call it as `<Raft as
    ///   raftapi::Raft>::make`, or `Raft::make`: the trait is in scope).
    /// - A thread, in the manner of `crate::server::Server::start_threads`, runs `Server::apply` with the receiving
    ///   half. It ends by itself when Raft's applier has ended and dropped the other half.
    /// - Part 4B: if `persister.read_snapshot()` is not empty, begin with what is in there.
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, max_raft_state: Option<usize>) -> KvServer {
        unwritten(
            "KvServer::make: build the service and its Raft, and the thread that applies what Raft delivers",
            "the handout, part 4A; section 8 (it stands on your Raft: write parts 3A to 3D first)",
        )
    }

    /// Given.
    fn services(&self) -> Vec<Service> {
        let asked = Arc::clone(&self.0);
        let service = Service::new("KvServer").method("Ask", move |request| asked.handle(request));
        let mut services = self.0.raft.services();
        services.push(service);
        services
    }

    /// Given.
    fn get_state(&self) -> (Term, bool) {
        self.0.raft.get_state()
    }

    /// Given. Handlers that wait have to look at `killed` when they are woken.
    fn kill(&self) {
        self.0.state.lock().killed = true;
        self.0.applied.notify_all();
        self.0.raft.kill();
    }
}

impl Server {
    /// Part 4A. A clerk asks. Each call runs on a thread of its own, so it may wait; but not for ever.
    ///
    /// - What is done already is answered at once. Otherwise `raft.start(labgob::encode(&request))`, without the lock;
    ///   `None` is `WrongLeader`. Get goes this way too: a leader that was cut off does not know that there is another
    ///   one, and would answer with what is no longer so.
    /// - Then wait on `applied` until *this* request was applied, and answer.
    /// - Stop waiting, with `WrongLeader`, when another entry was applied at that index, when Raft is in another term
    ///   or does not lead any more (nobody signals that: wait with `wait_for` and look now and then), and when the
    ///   server is killed.
    fn handle(&self, request: Request) -> Reply {
        unwritten(
            "Server::handle: put a request into the log, wait until it is applied, and answer",
            "section 8: clients send all requests to the leader, which answers when the entry is applied; the \
             handout, part 4A",
        )
    }

    /// Given: takes what Raft delivers, one after the other, until Raft has ended.
    fn apply(&self, apply_rx: &Receiver<ApplyMsg>) {
        for message in apply_rx {
            match message {
                ApplyMsg::Command { index, term, command } => {
                    self.apply_command(index, term, &command);
                    let due = |max| self.raft.persist_bytes() >= max;
                    if self.max_raft_state.is_some_and(due) {
                        self.take_snapshot(index);
                    }
                }
                ApplyMsg::Snapshot { index, term, snapshot } => self.install_snapshot(index, term, &snapshot),
            }
        }
    }

    /// Part 4A. Does what the entry at `index` says, once, and wakes whoever waits for it.
    ///
    /// Section 8: "the state machine tracks the latest serial number processed for each client, along with the
    /// associated response. If it receives a command whose serial number has already been executed, it responds
    /// immediately without re-executing the request".
    ///
    /// - It has to be looked up here, and not only when a request comes in: a request can be in the log twice.
    /// - Whoever waits for the second one has to be answered as well.
    /// - `report::applied(index, term)`; then `last_applied` is `index`; then `applied.notify_all()`.
    fn apply_command(&self, index: Index, term: Term, command: &Bytes) {
        unwritten(
            "Server::apply_command: do what an entry says, unless it was done before, and wake whoever waits for it",
            "section 8: \"If it receives a command whose serial number has already been executed, it responds \
             immediately without re-executing the request\"",
        )
    }

    /// Part 4B. The log has grown too long: a snapshot of everything up to `index`, the last entry applied, takes its
    /// place.
    ///
    /// - All of `Store` goes into it, what was done already included: without that, a request that comes again after a
    ///   restart is done twice.
    /// - `report::snapshot_taken(index, bytes)`, then `raft.snapshot`, without the lock.
    fn take_snapshot(&self, index: Index) {
        unwritten(
            "Server::take_snapshot: give Raft a snapshot of everything applied, so that the log stays short",
            "section 7: \"the entire current system state is written to a snapshot\"; the handout, part 4B: when the \
             saved state comes near maxraftstate",
        )
    }

    /// Part 4B. Raft delivers a leader's snapshot: it takes the place of everything here, if it covers more.
    ///
    /// - `report::snapshot_installed(index, term)`; handlers may have waited for what is in it.
    fn install_snapshot(&self, index: Index, term: Term, snapshot: &Bytes) {
        unwritten(
            "Server::install_snapshot: go on from a snapshot that Raft delivers",
            "section 7; Figure 13: \"Reset state machine using snapshot contents\"",
        )
    }
}
