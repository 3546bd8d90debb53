//! Log compaction: section 7 of the paper and its Figure 13, with snapshots in one piece.

use bytes::Bytes;
use labstd::sync::Arc;
use raftapi::{Index, Role, ServerId, Term, report};

use crate::Mistake;
use crate::messages::{InstallSnapshotArgs, InstallSnapshotReply};
use crate::server::Server;
use crate::state::State;

impl Server {
    /// Compacts the log after the service has made a snapshot up to `index`.
    pub(crate) fn snapshot_taken(&self, state: &mut State, index: Index, snapshot: Bytes) {
        // A leader's snapshot may have been installed before.
        if index > state.log.base() && !self.makes(Mistake::NeverCompactsItsLog) {
            let term = state.log.entry(index).term;
            self.compact_and_save(state, (index, term), snapshot);
            if self.makes(Mistake::DoesNotSaveAnInstalledSnapshot) {
                state.previous_snapshot = state.snapshot.clone();
            }
            if self.makes(Mistake::ForgetsTheTermOfItsSnapshot) {
                state.log.set_base_term(Term::ZERO);
                state.unsaved = true;
                report::compacted(index, Term::ZERO);
            }
        }
    }

    /// Sends the leader's snapshot to `to`, because the log no longer has the entries that `to` needs.
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
            me.update(|state| {
                me.check_reply_term(state, reply.term);
                if state.current_term == term && state.role == Role::Leader {
                    me.advance_match_index(state, to, index);
                }
            });
        });
    }

    /// Figure 13, "InstallSnapshot RPC".
    pub(crate) fn handle_install_snapshot(&self, state: &mut State, args: InstallSnapshotArgs) -> InstallSnapshotReply {
        self.adopt_higher_term(state, args.term);
        let reply = InstallSnapshotReply { term: state.current_term };
        if args.term < state.current_term && !self.makes(Mistake::AcceptsASnapshotOfAnOlderTerm) {
            return reply;
        }
        self.follow_leader(state);
        let index = args.last_included_index;
        // An old snapshot covers only entries that this server has committed, and has delivered or is about to deliver.
        let old = index <= state.commit_index;
        if old && self.makes(Mistake::RemovesEntriesAfterASnapshot) && index == state.log.base() {
            state.truncate(index);
            report::compacted(index, args.last_included_term);
        }
        if !old || self.makes(Mistake::InstallsAnOldSnapshot) {
            let kept = state.log.term_at(index).filter(|_| self.makes(Mistake::KeepsALogThatConflictsWithASnapshot));
            let saved = state.previous_snapshot.clone();
            self.compact_and_save(state, (index, kept.unwrap_or(args.last_included_term)), args.data);
            if self.makes(Mistake::DoesNotSaveAnInstalledSnapshot) {
                state.previous_snapshot = saved;
                state.unsaved = true;
            }
            state.commit_index = index;
            state.last_applied = index;
            state.snapshot_to_deliver = !self.makes(Mistake::DoesNotDeliverAnInstalledSnapshot);
            report::committed(index);
            self.to_apply.notify_all();
        }
        reply
    }
}
