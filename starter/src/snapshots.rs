//! Snapshots that a leader sends when a follower's next entry is no longer in the log: section 7 and Figure 13. Part
//! 3D. `Raft::snapshot` and `Log::compact` belong to it.

use labstd::sync::Arc;
use labstd::thread;
use raftapi::{Role, ServerId, unwritten};

use crate::messages::{InstallSnapshotArgs, InstallSnapshotReply};
use crate::server::Server;
use crate::state::State;

impl Server {
    /// Part 3D. Sends the leader's snapshot to `peer`, because the log no longer contains the peer's next entry. Follow
    /// the example of `request_votes`.
    ///
    /// Section 7: "the leader must occasionally send snapshots to followers that lag behind".
    ///
    /// - Keep the snapshot in `State`, in a field `snapshot: Bytes` that is empty at first. This function and `persist`
    ///   need it.
    /// - If the reply counts (`check_reply_term`), `peer` has all entries up to `last_included_index` of the arguments.
    ///   Move `match_index` and `next_index` forward, never back.
    pub(crate) fn send_snapshot(self: &Arc<Server>, state: &mut State, peer: ServerId) {
        unwritten(
            "Server::send_snapshot: send the snapshot to a server whose next entry is no longer in the log",
            "section 7: \"the leader must occasionally send snapshots to followers that lag behind\"",
        )
    }

    /// Part 3D. Handles a leader's snapshot. Registered in `raft.rs`.
    ///
    /// Figure 13, receiver: "1. Reply immediately if term < currentTerm", then steps 5 to 8: "Save snapshot file,
    /// discard any existing or partial snapshot with a smaller index. If existing log entry has same index and term as
    /// snapshot's last included entry, retain log entries following it and reply. Discard the entire log. Reset state
    /// machine using snapshot contents".
    ///
    /// - Call `follow_leader` first: the message comes from a leader, like an AppendEntries.
    /// - If the snapshot covers no more than your commit index, reply and do nothing else. Delivering it would take the
    ///   service back to an older state.
    /// - Change the log, the snapshot and the commit index under one lock, and save them in one step.
    /// - Do not deliver the snapshot here. The applier delivers it, without the lock, before the entries after it. Move
    ///   the commit index to the snapshot's last index with `commit_up_to`, which wakes the applier.
    ///   `State::take_committed` sees that the log starts after `last_applied`, so the snapshot has to come first.
    pub(crate) fn handle_install_snapshot(&self, args: InstallSnapshotArgs) -> InstallSnapshotReply {
        let mut state = self.state.lock();
        unwritten(
            "Server::handle_install_snapshot: replace the log with the leader's snapshot, and let the applier deliver it",
            "Figure 13, InstallSnapshot RPC, receiver implementation (section 7)",
        )
    }
}
