//! The interface of Raft to its users: the functions that the lab asks for. All of them are given, except `start` (3B)
//! and `snapshot` (3D).

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::Sender;
use labstd::sync::Arc;
use raftapi::{ApplyMsg, Index, Persister, Role, ServerId, Started, Term, unwritten};

use crate::persistence::read_persist;
use crate::server::Server;

/// A Raft server. The `Arc` holds the state that its threads and handlers share.
pub struct Raft(Arc<Server>);

impl raftapi::Raft for Raft {
    /// Given. Builds a server from the saved state of its earlier incarnation, if there is one, and starts its threads.
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> Raft {
        let state = read_persist(&persister);
        let server = Server::new(peers, me, persister, state);
        server.start_threads(apply_ch);
        Raft(server)
    }

    /// Given. Returns each RPC with its handler. Each call of a handler runs on its own thread, so it may wait for the
    /// lock.
    fn services(&self) -> Vec<Service> {
        let [voting, appending, installing] = [0; 3].map(|_| Arc::clone(&self.0));
        let service = Service::new("Raft")
            .method("RequestVote", move |args| voting.handle_request_vote(args))
            .method("AppendEntries", move |args| appending.handle_append_entries(args))
            .method("InstallSnapshot", move |args| installing.handle_install_snapshot(args));
        vec![service]
    }

    /// Part 3B. Appends a command to the leader's log and starts to replicate it. Any other server returns `None` at
    /// once.
    ///
    /// Figure 2, Leaders: "If command received from client: append entry to local log, respond after entry applied to
    /// state machine". The value returned *here* only says where the command will appear if it is committed. Once it is
    /// committed, it arrives through the apply channel, at the leader and at all other servers.
    ///
    /// - Append the entry, with the current term, and persist.
    /// - Send it now (`replicate_to_all`), not with the next heartbeat. Otherwise a test that needs agreement on ten
    ///   commands, one after the other, waits a second for them.
    /// - Return the entry's index and the term. Do not block.
    fn start(&self, command: Bytes) -> Option<Started> {
        let mut state = self.0.state.lock();
        if state.role != Role::Leader {
            return None;
        }
        unwritten(
            "Raft::start: append a command to the leader's log, and send it to the other servers",
            "Figure 2, Leaders: \"If command received from client: append entry to local log\" (section 5.3)",
        )
    }

    /// Given. Returns the current term, and whether this server believes that it is the leader.
    fn get_state(&self) -> (Term, bool) {
        let state = self.0.state.lock();
        (state.current_term, state.role == Role::Leader)
    }

    /// Part 3D. Compacts the log: the service passes its snapshot of all entries up to and including `index`, so the
    /// log no longer needs them.
    ///
    /// Figure 13 covers only snapshots that a leader sends. This function is for the snapshots that every server makes
    /// itself (section 7: "Each server takes snapshots independently, covering just the committed entries in its log").
    ///
    /// - Ignore a snapshot that covers no more than an earlier one.
    /// - Call `Log::compact`, keep the snapshot in the state, and save both in one step (`Persister::save`). If only
    ///   the shorter log is saved, a crash leaves a gap between the snapshot and the log.
    /// - Do not wake the applier and deliver no message: the service already has this state.
    fn snapshot(&self, index: Index, snapshot: Bytes) {
        unwritten(
            "Raft::snapshot: remove the log entries that a snapshot of the service covers, and save the snapshot",
            "section 7: \"Once the system completes writing a snapshot, it may delete all log entries up through the \
             last included index\"",
        )
    }

    /// Given. Returns the size of the saved Raft state in bytes, without the snapshot.
    fn persist_bytes(&self) -> usize {
        self.0.persister.raft_state_size()
    }

    /// Given. Stops the server. The ticker and the applier check `killed`. If you start a thread that lives longer than
    /// its RPC, it must check `killed` too.
    fn kill(&self) {
        self.0.state.lock().killed = true;
        self.0.apply_ready.notify_all();
    }
}

/// The optional methods have their defaults.
impl raftapi::RaftExt for Raft {}
