//! Log compaction (section 7, Figure 13 "InstallSnapshot RPC"). The functions are in the order in which a snapshot
//! travels. The service hands it over, and the log loses its beginning. A leader sends it to a follower that is too far
//! behind. The follower installs it in place of the entries that it covers.
//!
//! A snapshot covers only committed entries, and committed entries never change. So a server that already has as many
//! committed entries, in its log or in a later snapshot, ignores the snapshot.

use bytes::Bytes;
use raftapi::{Index, ServerId};

use super::{Core, Effects, InstallSnapshotArgs, InstallSnapshotReply, NewSnapshot, Role, SentRequest};

/// The service hands a snapshot over.
impl Core {
    /// Handles a snapshot of the service: `data` is its state after the entry at `index`. "Once a server completes
    /// writing a snapshot, it may delete all log entries up through the last included index, as well as any prior
    /// snapshot" (section 7). Does nothing if the present snapshot covers as much already.
    ///
    /// # Panics
    ///
    /// If the entry at `index` was not yet handed out to be applied: the snapshot cannot contain it.
    pub fn snapshot_taken(&mut self, index: Index, data: Bytes) -> Effects {
        let mut effects = Effects::default();
        if index <= self.log.base_index() {
            return effects;
        }
        let applied = self.last_applied;
        assert!(
            index <= applied,
            "the service has a snapshot up to index {index}, but received entries only up to {applied}"
        );
        self.log.discard_up_to(index);
        self.snapshot = data;
        effects.persist.snapshot = Some(NewSnapshot::Taken);
        effects
    }
}

/// The leader's side.
impl Core {
    /// Returns the snapshot if `peer` needs it and it may be sent now: "when the leader has already discarded the next
    /// log entry that it needs to send to a follower" (section 7). Returns `None` otherwise, and if this server does
    /// not lead.
    pub fn install_snapshot(&mut self, peer: ServerId) -> Option<(InstallSnapshotArgs, SentRequest)> {
        let Role::Leader { peers, reads } = &mut self.role else {
            return None;
        };
        let progress = peers.get_mut(peer)?;
        let last_included_index = self.log.base_index();
        if !progress.may_send_snapshot(last_included_index) {
            return None;
        }
        let args = InstallSnapshotArgs {
            term: self.current_term,
            leader_id: self.me,
            last_included_index,
            last_included_term: self.log.base_term(),
            data: self.snapshot.clone(),
        };
        let sent = progress.record_install_snapshot(self.current_term, last_included_index, reads.begun());
        Some((args, sent))
    }

    /// Handles the reply of `from` to the snapshot `sent`.
    pub fn handle_install_snapshot_reply(
        &mut self,
        from: ServerId,
        sent: &SentRequest,
        reply: InstallSnapshotReply,
    ) -> Effects {
        let mut effects = Effects::default();
        self.adopt_higher_term(reply.term, &mut effects);

        if let Some(progress) = self.progress_for(from, sent) {
            progress.on_reply(sent);
            progress.on_success(sent);
            self.confirm_reads(&mut effects);
            self.replicate_to_peer(from, &mut effects);
        }
        effects
    }
}

/// The follower's side.
impl Core {
    /// Handles the snapshot of the leader of a term. The numbers are those of Figure 13. Rules 2 to 4 concern chunks,
    /// and this message carries the whole snapshot.
    pub fn handle_install_snapshot(&mut self, args: InstallSnapshotArgs) -> (InstallSnapshotReply, Effects) {
        let mut effects = Effects::default();
        // 1. "Reply immediately if term < currentTerm". The sender no longer leads, so the election timer is not reset.
        if args.term < self.current_term {
            return (InstallSnapshotReply { term: self.current_term }, effects);
        }
        self.follow_leader(args.term, args.leader_id, &mut effects);

        // Entries that are committed here agree with the snapshot, and may already be applied. Installing an overtaken
        // snapshot would set the service back.
        if args.last_included_index > self.commit_index {
            self.install_snapshot_state(args, &mut effects);
        }
        (InstallSnapshotReply { term: self.current_term }, effects)
    }

    /// Rules 5 to 8: the snapshot replaces everything that it covers.
    fn install_snapshot_state(&mut self, args: InstallSnapshotArgs, effects: &mut Effects) {
        let InstallSnapshotArgs { last_included_index: index, last_included_term: term, data, .. } = args;
        // 6. "If existing log entry has same index and term as snapshot's last included entry, retain log entries
        //    following it": the leader may have counted them. 7. Otherwise "discard the entire log": it conflicts with
        //    committed entries, or ends before the snapshot does.
        if self.log.term(index) == Some(term) {
            self.log.discard_up_to(index);
        } else {
            self.log.restart_after(index, term);
        }
        // 5. "Save snapshot file, discard any existing or partial snapshot with a smaller index": in one step with the
        //    log.
        self.snapshot = data;
        effects.persist.snapshot = Some(NewSnapshot::Installed);
        // 8. "Reset state machine using snapshot contents": the applier delivers the snapshot before the entries after
        //    it.
        self.commit_up_to(index, effects);
    }
}
