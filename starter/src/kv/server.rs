//! A server of the service: a handler that puts a request into the log and waits, and one thread that applies the
//! committed entries.

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

/// State that the handlers and the applier share.
struct Server {
    raft: Raft,
    /// Size of the saved Raft state, in bytes, at which a snapshot is due; `None` means never.
    max_raft_state: Option<usize>,
    /// All state that changes. Never hold the lock while you wait for Raft, because the applier needs it to continue.
    state: Mutex<State>,
    /// Signalled after each applied entry, and when the server is killed.
    applied: Condvar,
}

/// The part of the shared state that the lock protects.
#[derive(Default)]
struct State {
    store: Store,
    // Add the results that waiting handlers need. A handler waits for an index and a term.
    killed: bool,
}

/// The replicated state: servers that have applied the same entries have the same store. Snapshots contain it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Store {
    /// The index of the last applied entry.
    last_applied: Index,
    values: BTreeMap<String, String>,
    // Add what you need to recognize an operation that was already executed.
}

impl KvService for KvServer {
    type Clerk = Clerk;

    /// Part 4A. Builds the service and its Raft; returns quickly.
    ///
    /// - Create the apply channel with `channel::bounded(1)`, and pass the sending half to `Raft::make`. (The trait
    ///   `raftapi::Raft` is in scope; `<Raft as raftapi::Raft>::make` is the full name.)
    /// - Spawn a thread, as in `crate::server::Server::start_threads`, that runs `Server::apply` with the receiving
    ///   half. It ends when Raft's applier ends and drops the sending half.
    /// - Part 4B: if `persister.read_snapshot()` is not empty, start with its content.
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, max_raft_state: Option<usize>) -> KvServer {
        unwritten(
            "KvServer::make: build the service, its Raft, and the thread that applies the messages from Raft",
            "the handout, part 4A; section 8 (the service needs your Raft: write parts 3A to 3D first)",
        )
    }

    /// Given. Returns the RPC services of this server, those of its Raft included.
    fn services(&self) -> Vec<Service> {
        let server = Arc::clone(&self.0);
        let service = Service::new("KvServer").method("Ask", move |request| server.handle(request));
        let mut services = self.0.raft.services();
        services.push(service);
        services
    }

    /// Given. Returns the current term, and whether this server believes that it is the leader.
    fn get_state(&self) -> (Term, bool) {
        self.0.raft.get_state()
    }

    /// Given. Stops the server. A waiting handler must check `killed` when it wakes.
    fn kill(&self) {
        self.0.state.lock().killed = true;
        self.0.applied.notify_all();
        self.0.raft.kill();
    }
}

impl Server {
    /// Part 4A. Handles a clerk's request. Each call runs on its own thread, so it may wait, but not for ever.
    ///
    /// - If the operation was already executed, reply at once. Otherwise call `raft.start(labgob::encode(&request))`,
    ///   without the lock; if it returns `None`, reply `WrongLeader`. A Get goes through the log too: a leader that was
    ///   cut off does not know that there is a new leader, and its map may be out of date.
    /// - Then wait on `applied` until *this* request was applied, and reply.
    /// - Stop waiting and reply `WrongLeader` in three cases: another entry was applied at that index; Raft is in
    ///   another term or is no longer the leader; the server is killed. No thread signals the second case, so wait with
    ///   `wait_for` and check from time to time.
    fn handle(&self, request: Request) -> Reply {
        unwritten(
            "Server::handle: put a request into the log, wait until it is applied, and reply",
            "section 8: clients send all requests to the leader, which replies when the entry is applied; the \
             handout, part 4A",
        )
    }

    /// Given. Runs the applier thread: it handles the messages from Raft, one after the other, until Raft has ended.
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

    /// Part 4A. Executes the operation of the entry at `index`, unless it was already executed, and wakes the waiting
    /// handlers.
    ///
    /// Section 8: "the state machine tracks the latest serial number processed for each client, along with the
    /// associated response. If it receives a command whose serial number has already been executed, it responds
    /// immediately without re-executing the request".
    ///
    /// - Check for a duplicate here, and not only when a request arrives, because a request can be in the log twice.
    /// - The handler that waits for the second entry needs a result too.
    /// - Call `report::applied(index, term)`, set `last_applied` to `index`, then call `applied.notify_all()`.
    fn apply_command(&self, index: Index, term: Term, command: &Bytes) {
        unwritten(
            "Server::apply_command: execute the operation of an entry, unless it was executed before, and wake the \
             waiting handlers",
            "section 8: \"If it receives a command whose serial number has already been executed, it responds \
             immediately without re-executing the request\"",
        )
    }

    /// Part 4B. Gives Raft a snapshot of all entries up to `index`, the last applied one, because the log has grown too
    /// long.
    ///
    /// - Put all of `Store` into it, including the record of executed operations. Without that record, a request that
    ///   is retried after a restart is executed twice.
    /// - Call `report::snapshot_taken(index, bytes)`, then `raft.snapshot`, without the lock.
    fn take_snapshot(&self, index: Index) {
        unwritten(
            "Server::take_snapshot: give Raft a snapshot of all applied entries, so that the log stays short",
            "section 7: \"the entire current system state is written to a snapshot\"; the handout, part 4B: when the \
             size of the saved state approaches maxraftstate",
        )
    }

    /// Part 4B. Replaces the store with a leader's snapshot that Raft delivers, if the snapshot covers more entries.
    ///
    /// - Call `report::snapshot_installed(index, term)`, and wake the handlers: some may wait for entries that the
    ///   snapshot covers.
    fn install_snapshot(&self, index: Index, term: Term, snapshot: &Bytes) {
        unwritten(
            "Server::install_snapshot: replace the store with a snapshot that Raft delivers",
            "section 7; Figure 13: \"Reset state machine using snapshot contents\"",
        )
    }
}
