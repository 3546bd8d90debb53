//! Log replication (Figure 2 "AppendEntries RPC" and "Rules for Servers: Leaders"; sections 5.3 and 5.4.2). The
//! functions are in the order in which an entry travels. The leader accepts a command and sends it, and the follower
//! stores it. The leader counts the replies and commits, and the follower learns that the entry is committed. The code
//! around the core decides when a heartbeat is due and when a reply is overdue.

use bytes::Bytes;
use raftapi::{Index, ServerId, Started, Term};

use super::{
    AppendEntriesArgs, AppendEntriesReply, Core, Effects, Entry, LogChange, LostEntry, Progress, Role, SentRequest,
};

/// Limit of the bytes of entries in one AppendEntries; a single larger entry is sent alone. The limit bounds how long
/// one message keeps a follower busy that has fallen behind.
pub const MAX_BATCH_BYTES: usize = 1 << 20;

/// Bytes that an entry counts in a batch in addition to its command, so that a batch of empty commands is bounded too.
const ENTRY_OVERHEAD_BYTES: usize = 8;

/// The leader's side: sending.
impl Core {
    /// Appends a command: "If command received from client: append entry to local log, respond after entry applied to
    /// state machine" (Figure 2, Rules for Leaders; 5.3). Returns `None` if this server does not lead.
    pub fn propose(&mut self, command: Bytes) -> Option<(Started, Effects)> {
        self.propose_many([command])
    }

    /// Like [`propose`](Core::propose), for several commands at consecutive indexes. Returns the index of the first
    /// one. All of them are saved in one step and sent together.
    pub fn propose_many(&mut self, commands: impl IntoIterator<Item = Bytes>) -> Option<(Started, Effects)> {
        if !self.is_leader() {
            return None;
        }
        let mut effects = Effects::default();
        let (first, term) = (self.log.last_index().next(), self.current_term);
        commands.into_iter().for_each(|command| self.log.push(Entry { term, command }));
        let last = self.log.last_index();
        if first <= last {
            effects.persist.log = Some(LogChange { truncates: false, first, last });
        }

        // A cluster of one server is its own majority.
        self.advance_commit_index(&mut effects);
        self.replicate_to_all(&mut effects);
        Some((Started { index: first, term }, effects))
    }

    /// Returns the entries to send to `peer` now, and the record to keep until the reply. It takes all pending entries,
    /// up to [`MAX_BATCH_BYTES`]. Returns `None` if there are none, if they may not be sent now, or if this server does
    /// not lead.
    pub fn append_entries(&mut self, peer: ServerId) -> Option<(AppendEntriesArgs, SentRequest)> {
        let progress = self.progress(peer)?;
        if !progress.may_send_entries(self.log.base_index(), self.log.last_index()) {
            return None;
        }
        let entries = self.batch_from(progress.next_index());
        self.make_append_entries(peer, entries, self.commit_index)
    }

    /// Returns a heartbeat for `peer` (5.2): an AppendEntries without entries. A leader sends heartbeats in every state
    /// of the peer. A heartbeat prevents elections and carries the commit index. Its reply shows whether the peer can
    /// be reached and whether its log agrees. Returns `None` if this server does not lead.
    pub fn heartbeat(&mut self, peer: ServerId) -> Option<(AppendEntriesArgs, SentRequest)> {
        self.make_append_entries(peer, Vec::new(), self.commit_index)
    }

    /// Like [`heartbeat`](Core::heartbeat), but with a commit index that is at most the peer's `match_index`. The
    /// consistency check of the receiver makes both safe. This one is safe even for a receiver without that check.
    pub fn heartbeat_within_match(&mut self, peer: ServerId) -> Option<(AppendEntriesArgs, SentRequest)> {
        let known = self.progress(peer)?.match_index();
        self.make_append_entries(peer, Vec::new(), self.commit_index.min(known))
    }

    /// Returns whether `peer` has committed entries, but was not sent a commit index that covers them. The code around
    /// the core may then send a heartbeat earlier than planned. Entries that it sends in the meantime carry the commit
    /// index as well.
    pub fn needs_commit_notice(&self, peer: ServerId) -> bool {
        self.progress(peer).is_some_and(|progress| progress.needs_commit_notice(self.commit_index))
    }

    /// Handles the timeout of `sent`: `peer` has not replied in the expected time, but may still reply. The core sends
    /// no entries to the peer until it replies to something.
    pub fn request_timed_out(&mut self, peer: ServerId, sent: &SentRequest) {
        if let Some(progress) = self.progress_for(peer, sent) {
            progress.on_timeout(sent);
        }
    }

    /// Handles the failure of the call that carried `sent` to `peer`: no reply will come. If the call failed early, the
    /// network may have lost it, so the core retries at once, a few times. Other peers must confirm the reads that this
    /// request was to confirm.
    pub fn request_failed(&mut self, peer: ServerId, sent: &SentRequest) -> Effects {
        let mut effects = Effects::default();
        if let Some(progress) = self.progress_for(peer, sent) {
            progress.on_failure(sent);
            self.replicate_to_peer(peer, &mut effects);
            self.confirm_reads(&mut effects);
            effects.confirm_leadership_with.remove(peer);
        }
        effects
    }

    /// Builds an AppendEntries with `entries`. If there are any, they begin at the peer's `next_index`.
    fn make_append_entries(
        &mut self,
        peer: ServerId,
        entries: Vec<Entry>,
        leader_commit: Index,
    ) -> Option<(AppendEntriesArgs, SentRequest)> {
        let Role::Leader { peers, reads } = &mut self.role else {
            return None;
        };
        let progress = peers.get_mut(peer)?;
        // If the peer needs the snapshot, probe the entry before the log's first one. The reply shows that the peer can
        // be reached, and whether it still needs the snapshot.
        let prev_log_index = progress.next_index().prev().max(self.log.base_index());
        let args = AppendEntriesArgs {
            term: self.current_term,
            leader_id: self.me,
            prev_log_index,
            prev_log_term: self.log.term(prev_log_index).expect("a leader has the term of the entry before next_index"),
            entries,
            leader_commit,
        };
        let sent = progress.record_append_entries(&args, reads.begun());
        Some((args, sent))
    }

    /// Returns the entries from `first` on that fit into one message; at least one, if there is one.
    fn batch_from(&self, first: Index) -> Vec<Entry> {
        let pending = self.log.entries(first, self.log.last_index());
        let mut bytes = 0;
        let fitting = pending.iter().take_while(|entry| {
            bytes += entry.command.len() + ENTRY_OVERHEAD_BYTES;
            bytes <= MAX_BATCH_BYTES
        });
        let count = fitting.count().max(1).min(pending.len());
        pending[..count].to_vec()
    }
}

/// The follower's side.
impl Core {
    /// Handles entries or a heartbeat from the leader of a term.
    pub fn handle_append_entries(&mut self, args: AppendEntriesArgs) -> (AppendEntriesReply, Effects) {
        let mut effects = Effects::default();
        // 1. "Reply false if term < currentTerm" (5.1). The sender no longer leads, so the election timer is not reset.
        if args.term < self.current_term {
            return (AppendEntriesReply::stale(self.current_term), effects);
        }
        self.follow_leader(args.term, args.leader_id, &mut effects);

        // 2. "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm" (5.3).
        if !self.log.matches(args.prev_log_index, args.prev_log_term) {
            return (self.conflict_at(args.prev_log_index, args.prev_log_term), effects);
        }
        // 3 and 4. Delete conflicting entries and append new ones.
        let last_new_index = args.last_index();
        self.store_entries(args.prev_log_index, args.entries, &mut effects);

        // 5. "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)". After the
        //    last new entry this log may hold entries that the leader has never seen, even if the leader has committed
        //    other entries at those indexes.
        let known_to_be_committed = args.leader_commit.min(last_new_index);
        if known_to_be_committed > self.commit_index {
            self.commit_up_to(known_to_be_committed, &mut effects);
        }
        (AppendEntriesReply::success(self.current_term), effects)
    }

    /// Recognises `leader` (5.2): a candidate that hears from the leader of its own term, or of a later one, has lost
    /// and becomes a follower. A server that hears from the current leader has no reason to start an election.
    ///
    /// # Panics
    ///
    /// If this server leads the same term. Two leaders of a term commit different entries at the same index.
    pub(super) fn follow_leader(&mut self, term: Term, leader: ServerId, effects: &mut Effects) {
        self.adopt_higher_term(term, effects);
        assert!(!self.is_leader(), "{} and {leader} both lead term {term}", self.me);
        if self.soft_state().leader != Some(leader) {
            self.become_follower(Some(leader), effects);
        }
        effects.reset_election_timer = true;
    }

    /// Returns the refusal of entries after `prev_log_index`, with the index at which the leader should retry (5.3,
    /// last paragraphs). It skips the whole conflicting term, or names the end of this log if the log ends before
    /// `prev_log_index`. The leader's log has no term above `prev_log_term` up to that index. So if this log has
    /// several such terms, it skips all of them together.
    fn conflict_at(&self, prev_log_index: Index, prev_log_term: Term) -> AppendEntriesReply {
        let conflict_term = self.log.term(prev_log_index);
        let conflict_index = match conflict_term {
            Some(term) => self.log.first_index_of(term.min(prev_log_term.next())),
            None => self.log.last_index().next(),
        };
        AppendEntriesReply { term: self.current_term, success: false, conflict_term, conflict_index }
    }

    /// "If an existing entry conflicts with a new one (same index but different terms), delete the existing entry and
    /// all that follow it. Append any new entries not already in the log" (Figure 2, AppendEntries RPC; 5.3).
    ///
    /// Only a conflict deletes entries. A request that was overtaken by a later one holds a prefix of the entries that
    /// are already here. Truncating the log at its end would remove entries that the leader has already counted.
    ///
    /// # Panics
    ///
    /// If a committed entry would be deleted. A leader has every committed entry (5.4), so another server has lost its
    /// data or is not a correct Raft.
    fn store_entries(&mut self, prev_log_index: Index, mut entries: Vec<Entry>, effects: &mut Effects) {
        let known = self.log.count_matching(prev_log_index.next(), &entries);
        if known == entries.len() {
            return;
        }

        let first = Index(prev_log_index.next().0 + known as u64);
        let truncates = first <= self.log.last_index();
        if truncates {
            let committed = self.commit_index;
            assert!(
                committed < first,
                "{} would delete its entry at {first}, but everything up to {committed} is committed: another server has \
                 lost data that it had acknowledged",
                self.me
            );
            self.log.truncate_from(first);
        }
        for entry in entries.drain(known..) {
            self.log.push(entry);
        }
        effects.persist.log = Some(LogChange { truncates, first, last: self.log.last_index() });
    }
}

/// The leader's side: replies.
impl Core {
    /// Handles the reply of `from` to `sent`.
    pub fn handle_append_entries_reply(
        &mut self,
        from: ServerId,
        sent: &SentRequest,
        reply: AppendEntriesReply,
    ) -> Effects {
        let mut effects = Effects::default();
        self.adopt_higher_term(reply.term, &mut effects);

        let next_index_after_conflict = self.next_index_after_conflict(sent, &reply);
        let Some(progress) = self.progress_for(from, sent) else {
            // The reply belongs to an earlier leadership; its indexes mean nothing now (5.1).
            return effects;
        };
        progress.on_reply(sent);
        if reply.success {
            progress.on_success(sent);
        } else {
            let is_evidence = progress.on_conflict(sent, next_index_after_conflict);
            effects.lost_entry = is_evidence.then_some(LostEntry { server: from, index: sent.prev_log_index });
        }
        self.advance_commit_index(&mut effects);
        self.confirm_reads(&mut effects);

        match effects.commit_advanced {
            // All peers must learn of a new commit index.
            Some(_) => self.replicate_to_all(&mut effects),
            // Otherwise only this peer can have something to receive: more entries, or the commit index if it has just
            // caught up with it.
            None => self.replicate_to_peer(from, &mut effects),
        }
        effects
    }

    /// Returns the index to send from after a conflict (5.3, last paragraphs). If this log has entries of the
    /// follower's conflicting term, the logs can agree up to the last of them. If not, no entry of that term is common
    /// to both logs, and the whole term is skipped. The entries of this log with later terms than the follower's are
    /// skipped as well.
    fn next_index_after_conflict(&self, sent: &SentRequest, reply: &AppendEntriesReply) -> Index {
        let term_here = self.log.term(sent.prev_log_index);
        match reply.conflict_term {
            Some(term) if Some(term) < term_here => {
                let last = self.log.last_index_up_to(term);
                if self.log.term(last) == Some(term) { last.next() } else { last.next().min(reply.conflict_index) }
            }
            _ => reply.conflict_index,
        }
    }

    /// "If there exists an N such that N > commitIndex, a majority of matchIndex\[i\] >= N, and log\[N\].term ==
    /// currentTerm: set commitIndex = N" (Figure 2, Rules for Leaders; 5.3, 5.4).
    ///
    /// The condition on the term is essential (5.4.2). A majority can store an entry of an earlier term, and a server
    /// with an entry of a later term can still overwrite it (Figure 8). Such an entry is committed together with the
    /// first entry of this term above it.
    fn advance_commit_index(&mut self, effects: &mut Effects) {
        if self.commit_index == self.log.last_index() {
            return;
        }
        let (committed, own) = (self.commit_index, self.log.last_index());
        if let Some(majority_index) = self.reached_by_majority(committed, own, |progress| progress.match_index())
            && self.log.term(majority_index) == Some(self.current_term)
        {
            self.commit_up_to(majority_index, effects);
        }
    }

    /// Returns the highest value above `floor` that a majority is known to have reached; this leader counts with its
    /// `own` value. Returns `None` if there is no such value, or if this server does not lead.
    pub(super) fn reached_by_majority<T>(&self, floor: T, own: T, of_peer: impl Fn(&Progress) -> T) -> Option<T>
    where
        T: Copy + Ord,
    {
        let Role::Leader { peers, .. } = &self.role else {
            return None;
        };
        peers.reached_by(self.majority(), floor, own, of_peer)
    }

    /// Returns the progress of the peer that `sent` went to; `None` if it was sent in another term or this server does
    /// not lead.
    pub(super) fn progress_for(&mut self, peer: ServerId, sent: &SentRequest) -> Option<&mut Progress> {
        match &mut self.role {
            Role::Leader { peers, .. } if sent.term == self.current_term => peers.get_mut(peer),
            _ => None,
        }
    }

    /// Orders replication to every peer for which there is something to send.
    fn replicate_to_all(&self, effects: &mut Effects) {
        for peer in self.peers() {
            self.replicate_to_peer(peer, effects);
        }
    }

    /// Orders replication to `peer` if there is something to send: entries, the snapshot, or the commit index.
    pub(super) fn replicate_to_peer(&self, peer: ServerId, effects: &mut Effects) {
        if self.has_content_for(peer) || self.needs_commit_notice(peer) {
            effects.replicate_to.insert(peer);
        }
    }

    /// Returns whether there are entries or a snapshot that may be sent to `peer` now.
    pub fn has_content_for(&self, peer: ServerId) -> bool {
        let (base_index, last_index) = (self.log.base_index(), self.log.last_index());
        self.progress(peer).is_some_and(|progress| {
            progress.check(last_index);
            progress.may_send_entries(base_index, last_index) || progress.may_send_snapshot(base_index)
        })
    }
}
