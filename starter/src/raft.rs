//! What the users of a Raft see of it: the five functions of the lab. All but `start` (3B) and `snapshot` (3D) are
//! given.

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::Sender;
use labstd::sync::Arc;
use raftapi::{ApplyMsg, Index, Persister, Role, ServerId, Started, Term, unwritten};

use crate::server::Server;

/// A Raft server. What its threads and handlers share is behind the `Arc`.
pub struct Raft(Arc<Server>);

impl raftapi::Raft for Raft {
    /// Given.
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> Raft {
        let server = Server::new(peers, me, persister);
        server.start_threads(apply_ch);
        Raft(server)
    }

    /// Given: each RPC and the function that answers it. A handler runs on a thread of its own, so it may lock.
    fn services(&self) -> Vec<Service> {
        let [voting, appending, installing] = [0; 3].map(|_| Arc::clone(&self.0));
        let service = Service::new("Raft")
            .method("RequestVote", move |args| voting.handle_request_vote(args))
            .method("AppendEntries", move |args| appending.handle_append_entries(args))
            .method("InstallSnapshot", move |args| installing.handle_install_snapshot(args));
        vec![service]
    }

    /// Part 3B. A leader takes a command into its log; everybody else says `None`, at once.
    ///
    /// Figure 2, Leaders: "If command received from client: append entry to local log, respond after entry applied to
    /// state machine". The answer given *here* is only the place where the command will appear if it is committed; that
    /// it is comes through the apply channel, to the leader as to the others.
    ///
    /// - Append the entry, with the current term, and persist.
    /// - Send it now (`replicate_to_all`), not with the next heartbeat: a test that wants ten commands agreed on one
    ///   after the other would wait a second for them.
    /// - Return the entry's index and the term. Do not wait for anything.
    fn start(&self, command: Bytes) -> Option<Started> {
        let mut state = self.0.state.lock();
        if state.role != Role::Leader {
            return None;
        }
        unwritten(
            "Raft::start: take a command into the leader's log, and send it to the others",
            "Figure 2, Leaders: \"If command received from client: append entry to local log\" (section 5.3)",
        )
    }

    /// Given.
    fn get_state(&self) -> (Term, bool) {
        let state = self.0.state.lock();
        (state.current_term, state.role == Role::Leader)
    }

    /// Part 3D. The service has a snapshot of everything up to and including `index`: that part of the log may go.
    ///
    /// Figure 13 has only the leader's side of a snapshot; this is the other one, which every server does for itself
    /// (section 7: "Each server takes snapshots independently, covering just the committed entries in its log").
    ///
    /// - One that covers no more than an earlier one is ignored.
    /// - `Log::compact` the log, keep the snapshot in the state, and save both in one step (`Persister::save`): a log
    ///   that was cut without the snapshot saved beside it has a hole.
    /// - Wake nobody and deliver nothing: the service has all of it.
    fn snapshot(&self, index: Index, snapshot: Bytes) {
        unwritten(
            "Raft::snapshot: forget the log up to an index that a snapshot of the service covers",
            "section 7: \"Once the system completes writing a snapshot, it may delete all log entries up through the \
             last included index\"",
        )
    }

    /// Given.
    fn persist_bytes(&self) -> usize {
        self.0.persister.raft_state_size()
    }

    /// Given: the ticker and the applier look at `killed`. A thread of yours that lives longer than its RPC must look
    /// too.
    fn kill(&self) {
        self.0.state.lock().killed = true;
        self.0.to_apply.notify_all();
    }
}
