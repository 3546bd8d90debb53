//! Log replication (Figure 2 "AppendEntries RPC" and "Rules for Servers: Leaders"; sections 5.3 and 5.4.2), in the
//! order in which an entry travels: the leader takes a command, sends it, the follower stores it, the leader counts the
//! answers and commits, the follower learns of it. When a heartbeat is due, and when an answer is overdue, is decided
//! outside.

use bytes::Bytes;
use raftapi::{Index, ServerId, Started, Term};

use super::{AppendEntriesArgs, AppendEntriesReply, Core, Effects, Entry, LogChange, Progress, Role, SentRequest};

/// The most bytes of entries in one AppendEntries, unless its first entry alone is larger. It bounds how long a
/// follower that was away for a while keeps one message busy.
pub const MAX_BATCH_BYTES: usize = 1 << 20;

/// What an entry is taken to cost in a batch beside its command, so that empty commands are bounded too.
const ENTRY_OVERHEAD_BYTES: usize = 8;

/// The leader sends.
impl Core {
    /// "If command received from client: append entry to local log, respond after entry applied to state machine"
    /// (Figure 2, Rules for Leaders; 5.3). `None` if this server does not lead.
    pub fn propose(&mut self, command: Bytes) -> Option<(Started, Effects)> {
        self.propose_many([command])
    }

    /// As [`propose`](Core::propose), with several commands that take places one behind the other; says where the first one
    /// is. All of them are saved in one step, and go out together.
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

        // The only server of a cluster is a majority.
        self.advance_commit_index(&mut effects);
        self.replicate_to_all(&mut effects);
        Some((Started { index: first, term }, effects))
    }

    /// What to send to `peer` now, if there are entries for it and it may be sent to; and what to remember until the
    /// answer. The entries are all that are pending, up to [`MAX_BATCH_BYTES`]. `None` also if this server does not
    /// lead.
    pub fn append_entries(&mut self, peer: ServerId) -> Option<(AppendEntriesArgs, SentRequest)> {
        let progress = self.progress(peer)?;
        if !progress.may_send_entries(self.log.base_index(), self.log.last_index()) {
            return None;
        }
        let entries = self.batch_from(progress.next_index());
        self.make_append_entries(peer, entries, self.commit_index)
    }

    /// A heartbeat for `peer` (5.2): an AppendEntries without entries. It is sent in every state of the peer, keeps
    /// elections away, tells the commit index, and by its answer shows whether the peer is there and whether its log
    /// agrees. `None` if this server does not lead.
    pub fn heartbeat(&mut self, peer: ServerId) -> Option<(AppendEntriesArgs, SentRequest)> {
        self.make_append_entries(peer, Vec::new(), self.commit_index)
    }

    /// As [`heartbeat`](Core::heartbeat), but with a commit index that is not beyond what the peer is known to have. The
    /// consistency check of the receiver makes both safe; this one is right even of a receiver that left it out.
    pub fn heartbeat_within_match(&mut self, peer: ServerId) -> Option<(AppendEntriesArgs, SentRequest)> {
        let known = self.progress(peer)?.match_index();
        self.make_append_entries(peer, Vec::new(), self.commit_index.min(known))
    }

    /// Whether `peer` has entries of which it has not been told that they are committed. Whoever sends heartbeats may
    /// send one sooner for this; entries that go out in the meantime carry the commit index as well.
    pub fn needs_commit_notice(&self, peer: ServerId) -> bool {
        self.progress(peer).is_some_and(|progress| progress.needs_commit_notice(self.commit_index))
    }

    /// `peer` has not answered `sent` within the time in which an answer was expected; one may still come. There is
    /// nothing to be done about it: no entries go to the peer until it answers something.
    pub fn request_timed_out(&mut self, peer: ServerId, sent: &SentRequest) {
        if let Some(progress) = self.progress_for(peer, sent) {
            progress.on_timeout(sent);
        }
    }

    /// The call that carried `sent` to `peer` failed: no answer will come. If that was soon, the network may just have
    /// lost it, and the peer is sent to again at once, a few times. Reads that it was to confirm are a question for the others.
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

    /// An AppendEntries that carries `entries`, which begin at the peer's `next_index` if there are any.
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
        // A peer that needs the snapshot is asked about the entry before the log's first. Its answer shows that it is
        // there, and whether it needs the snapshot still.
        let prev_log_index = progress.next_index().prev().max(self.log.base_index());
        let args = AppendEntriesArgs {
            term: self.current_term,
            leader_id: self.me,
            prev_log_index,
            prev_log_term: self.log.term(prev_log_index).expect("a leader sends what it has"),
            entries,
            leader_commit,
        };
        let sent = progress.record_append_entries(&args, reads.begun());
        Some((args, sent))
    }

    /// The entries from `first` on that fit into one message: at least one, if there is one.
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

/// The follower receives.
impl Core {
    /// The leader of a term sends entries, or a heartbeat.
    pub fn handle_append_entries(&mut self, args: AppendEntriesArgs) -> (AppendEntriesReply, Effects) {
        let mut effects = Effects::default();
        // 1. "Reply false if term < currentTerm" (5.1). Its sender leads no more, so the election timer runs on.
        if args.term < self.current_term {
            return (AppendEntriesReply::stale(self.current_term), effects);
        }
        self.follow_leader(args.term, args.leader_id, &mut effects);

        // 2. "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm" (5.3).
        if !self.log.matches(args.prev_log_index, args.prev_log_term) {
            return (self.conflict_at(args.prev_log_index, args.prev_log_term), effects);
        }
        // 3 and 4. Conflicting entries go, new ones come.
        let last_new_index = args.last_index();
        self.store_entries(args.prev_log_index, args.entries, &mut effects);

        // 5. "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)". Behind the
        // last new entry this log may hold what the leader has never seen, whatever the leader has committed there.
        let known_to_be_committed = args.leader_commit.min(last_new_index);
        if known_to_be_committed > self.commit_index {
            self.commit_up_to(known_to_be_committed, &mut effects);
        }
        (AppendEntriesReply::success(self.current_term), effects)
    }

    /// Recognises `leader` (5.2): a candidate that hears from the leader of its own term, or of a later one, has lost
    /// and follows. And whoever hears from the current leader has no reason for an election.
    pub(super) fn follow_leader(&mut self, term: Term, leader: ServerId, effects: &mut Effects) {
        self.adopt_higher_term(term, effects);
        debug_assert!(!self.is_leader(), "{} and {leader} both lead term {term}", self.me);
        if self.soft_state().leader != Some(leader) {
            self.become_follower(Some(leader), effects);
        }
        effects.reset_election_timer = true;
    }

    /// Refuses entries after `prev_log_index`, and says from where the leader might try again (5.3, last paragraphs):
    /// with the whole term that is wrong there skipped, or at the end of this log if it ends before. The leader's log
    /// has no term above `prev_log_term` up to there, so if this one has several, they are skipped together.
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
    /// Only a conflict deletes. A request that was overtaken by a later one holds a part of what is here already; to
    /// cut the log at its end would take back entries that the leader has counted.
    fn store_entries(&mut self, prev_log_index: Index, mut entries: Vec<Entry>, effects: &mut Effects) {
        let known = self.log.count_matching(prev_log_index.next(), &entries);
        if known == entries.len() {
            return;
        }

        let first = Index(prev_log_index.next().0 + known as u64);
        let truncates = first <= self.log.last_index();
        if truncates {
            debug_assert!(self.commit_index < first, "a committed entry at {first} would be deleted");
            self.log.truncate_from(first);
        }
        for entry in entries.drain(known..) {
            self.log.push(entry);
        }
        effects.persist.log = Some(LogChange { truncates, first, last: self.log.last_index() });
    }
}

/// The leader learns.
impl Core {
    /// `from` answered `sent`.
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
            // An answer to a leadership that is over; its indexes mean nothing now (5.1).
            return effects;
        };
        progress.on_reply(sent);
        if reply.success {
            progress.on_success(sent);
        } else {
            progress.on_conflict(sent, next_index_after_conflict);
        }
        self.advance_commit_index(&mut effects);
        self.confirm_reads(&mut effects);

        match effects.commit_advanced {
            // What is committed concerns every peer.
            Some(_) => self.replicate_to_all(&mut effects),
            // Else there can be news for this one alone: it is behind, or has caught up with the commit index.
            None => self.replicate_to_peer(from, &mut effects),
        }
        effects
    }

    /// Where the logs may agree, after a conflict (5.3, last paragraphs). If this log has entries of the follower's
    /// term, they can agree up to the last of them. If not, the follower has nothing of that term in common with this
    /// log, and the whole term is skipped; and so are the entries here that are of later terms than the follower's.
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
    /// The term matters (5.4.2): an entry of an earlier term can lie on a majority and still be overwritten by a server
    /// that has a later one (Figure 8). It is committed with the first entry of this term above it.
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

    /// The highest value that a majority is known to have reached, this leader with its `own` included, if it is above
    /// `floor`. `None` also if this server does not lead.
    pub(super) fn reached_by_majority<T>(&self, floor: T, own: T, of_peer: impl Fn(&Progress) -> T) -> Option<T>
    where
        T: Copy + Ord,
    {
        let Role::Leader { peers, .. } = &self.role else {
            return None;
        };
        peers.reached_by(self.majority(), floor, own, of_peer)
    }

    /// The progress that `sent` belongs to; `None` if it was sent in another term or this server does not lead.
    pub(super) fn progress_for(&mut self, peer: ServerId, sent: &SentRequest) -> Option<&mut Progress> {
        match &mut self.role {
            Role::Leader { peers, .. } if sent.term == self.current_term => peers.get_mut(peer),
            _ => None,
        }
    }

    /// Wakes the replicators of all peers for which there is something to send.
    fn replicate_to_all(&self, effects: &mut Effects) {
        for peer in self.peers() {
            self.replicate_to_peer(peer, effects);
        }
    }

    /// Wakes the replicator of `peer` if there is something to send: entries, the snapshot, or the commit index.
    pub(super) fn replicate_to_peer(&self, peer: ServerId, effects: &mut Effects) {
        if self.has_content_for(peer) || self.needs_commit_notice(peer) {
            effects.replicate_to.insert(peer);
        }
    }

    /// Whether there are entries, or a snapshot, that may be sent to `peer` now.
    pub fn has_content_for(&self, peer: ServerId) -> bool {
        let (base_index, last_index) = (self.log.base_index(), self.log.last_index());
        self.progress(peer).is_some_and(|progress| {
            progress.check(last_index);
            progress.may_send_entries(base_index, last_index) || progress.may_send_snapshot(base_index)
        })
    }
}
