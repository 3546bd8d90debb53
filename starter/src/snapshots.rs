//! Snapshots that a leader sends to a server that has missed what is no longer in the log: section 7 and Figure 13.
//! Part 3D; `Raft::snapshot` and `Log::compact` belong to it.

use labstd::sync::Arc;
use labstd::thread;
use raftapi::{Role, ServerId, unwritten};

use crate::messages::{InstallSnapshotArgs, InstallSnapshotReply};
use crate::server::Server;
use crate::state::State;

impl Server {
    /// Part 3D. As leader: sends the snapshot to `peer`, whose next entry has gone from the log; in the manner of
    /// `request_votes`.
    ///
    /// Section 7: "the leader must occasionally send snapshots to followers that lag behind".
    ///
    /// - Keep the snapshot in `State` (a field `snapshot: Bytes`, empty at first): it has to be there for this, and for
    ///   `persist`.
    /// - When the answer counts (`reply_counts`), `peer` has everything up to `last_included_index` of the arguments:
    ///   `match_index` and `next_index` move forward, never back.
    pub(crate) fn send_snapshot(self: &Arc<Server>, state: &mut State, peer: ServerId) {
        unwritten(
            "Server::send_snapshot: send the snapshot to a server whose next entry has gone from the log",
            "section 7: \"the leader must occasionally send snapshots to followers that lag behind\"",
        )
    }

    /// Part 3D. A leader sends its snapshot. Registered in `raft.rs`.
    ///
    /// Figure 13, receiver: "1. Reply immediately if term < currentTerm", then steps 5 to 8: "Save snapshot file,
    /// discard any existing or partial snapshot with a smaller index. If existing log entry has same index and term as
    /// snapshot's last included entry, retain log entries following it and reply. Discard the entire log. Reset state
    /// machine using snapshot contents".
    ///
    /// - `heed_leader` first: this is a sign of a leader, like an AppendEntries.
    /// - A snapshot that covers no more than is committed here already is of no use, and delivering it would take the
    ///   service back: reply, and that is all.
    /// - Log, snapshot and commit index change under one lock, and are saved in one step.
    /// - Do not deliver here: the applier does, without the lock, before the entries behind the snapshot. If `commit`
    ///   moves to the snapshot's last index, it wakes, and that the log begins behind `last_applied` tells
    ///   `State::take_committed` that the snapshot comes first.
    pub(crate) fn handle_install_snapshot(&self, args: InstallSnapshotArgs) -> InstallSnapshotReply {
        let mut state = self.state.lock();
        unwritten(
            "Server::handle_install_snapshot: let a leader's snapshot take the place of the log, and deliver it to \
             the service",
            "Figure 13, InstallSnapshot RPC, receiver implementation (section 7)",
        )
    }
}
