//! Log compaction: section 7 of the paper and its Figure 13, with snapshots in one piece.

use bytes::Bytes;
use labstd::sync::Arc;
use raftapi::{Index, Role, ServerId, report};

use crate::Mistake;
use crate::messages::{InstallSnapshotArgs, InstallSnapshotReply};
use crate::server::Server;
use crate::state::State;

impl Server {
    /// The service has made a snapshot of everything up to `index`.
    pub(crate) fn take_snapshot(&self, state: &mut State, index: Index, snapshot: Bytes) {
        // A leader's snapshot may have been faster.
        if index > state.log.base() {
            let term = state.log.entry(index).term;
            self.replace_log(state, (index, term), snapshot);
        }
    }

    /// As leader: what `to` lacks is no longer in the log.
    pub(crate) fn send_snapshot(self: &Arc<Server>, state: &State, to: ServerId) {
        let args = InstallSnapshotArgs {
            term: state.current_term,
            last_included_index: state.log.base(),
            last_included_term: state.log.base_term(),
            data: state.snapshot.clone(),
        };
        let (term, index) = (args.term, args.last_included_index);
        let me = Arc::clone(self);
        self.peers[to.0].call_async("Raft.InstallSnapshot", &args, move |reply: Option<InstallSnapshotReply>| {
            let Some(reply) = reply else { return };
            me.change(|state| {
                me.heed_reply(state, reply.term);
                if state.current_term == term && state.role == Role::Leader {
                    me.matches(state, to, index);
                }
            });
        });
    }

    /// Figure 13, "InstallSnapshot RPC".
    pub(crate) fn install_snapshot(&self, state: &mut State, args: InstallSnapshotArgs) -> InstallSnapshotReply {
        self.step_down_if_behind(state, args.term);
        let reply = InstallSnapshotReply { term: state.current_term };
        if args.term < state.current_term {
            return reply;
        }
        state.become_role(Role::Follower);
        state.reset_election_timer();
        let index = args.last_included_index;
        // Everything in it is committed here as well, and delivered or about to be.
        let old = index <= state.commit_index;
        if !old || self.makes(Mistake::GoesBackOnAnOldSnapshot) {
            self.replace_log(state, (index, args.last_included_term), args.data);
            state.commit_index = index;
            state.last_applied = index;
            state.snapshot_to_deliver = true;
            report::committed(index);
            self.to_apply.notify_all();
        }
        reply
    }
}
