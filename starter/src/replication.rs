//! AppendEntries: sections 5.3 and 5.4.2 of the paper. Part 3A needs heartbeats; part 3B needs the rest. As long as all
//! logs are empty (part 3A has no commands), no function of part 3B is called.

use labstd::sync::Arc;
use labstd::thread;
use raftapi::{Index, Role, ServerId, Term, unwritten};

use crate::messages::{AppendEntriesArgs, AppendEntriesReply};
use crate::server::Server;
use crate::state::State;

/// The leader.
impl Server {
    /// Given. Sends each of the other servers its missing entries, or a heartbeat.
    pub(crate) fn replicate_to_all(self: &Arc<Server>, state: &mut State) {
        for peer in self.others() {
            self.replicate_to(state, peer);
        }
    }

    /// Parts 3A and 3B. Sends one AppendEntries to `peer`. Follow the example of `request_votes`: build the arguments
    /// under the lock, spawn a thread, make the call without the lock, and pass the reply to
    /// `receive_append_entries_reply`.
    ///
    /// Figure 2, Leaders: "If last log index >= nextIndex for a follower: send AppendEntries RPC with log entries
    /// starting at nextIndex". Without such entries the message is a heartbeat. A heartbeat carries `prev_log_index`,
    /// `prev_log_term` and `leader_commit` like every other AppendEntries. A follower that treats heartbeats
    /// differently commits wrong entries.
    ///
    /// - Set `prev_log_index` to `next_index - 1`. `Log::entries_from` returns all entries from `next_index` on; in
    ///   part 3A there are none.
    /// - Part 3D: if the log no longer contains `prev_log_index`, call `send_snapshot` instead.
    pub(crate) fn replicate_to(self: &Arc<Server>, state: &mut State, peer: ServerId) {
        unwritten(
            "Server::replicate_to: send an AppendEntries to one server; without entries it is a heartbeat",
            "Figure 2, Leaders: \"Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server; \
             repeat during idle periods\" (section 5.2); \"send AppendEntries RPC with log entries starting at \
             nextIndex\" (section 5.3)",
        )
    }

    /// Given. Receives a reply.
    pub(crate) fn receive_append_entries_reply(
        self: &Arc<Server>,
        peer: ServerId,
        args: &AppendEntriesArgs,
        reply: &AppendEntriesReply,
    ) {
        let mut state = self.state.lock();
        let counts = state.check_reply_term(Role::Leader, args.term, reply.term);
        // Part 3C: persist here if the term has changed.
        // While the log is empty, a reply says nothing about it. Part 3A needs no more than this.
        if counts && state.log.last_index() > Index::ZERO {
            self.handle_append_entries_reply(&mut state, peer, args, reply);
        }
    }

    /// Part 3B. Updates `next_index` and `match_index` of `peer` from its reply. The reply is of this term, and this
    /// server is still the leader.
    ///
    /// Figure 2, Leaders: "If successful: update nextIndex and matchIndex for follower. If AppendEntries fails because
    /// of log inconsistency: decrement nextIndex and retry".
    ///
    /// - Compute the new `match_index` from the request: `prev_log_index` plus the number of entries in `args`. Do not
    ///   use the log or `next_index`, because both may have changed since.
    /// - Never decrease `match_index`, because replies overtake each other.
    /// - After a success, call `advance_commit_index`. After a refusal, retry at once or with the next heartbeat.
    /// - Going back one entry per refusal is correct but too slow; `messages.rs` says where fast backup belongs.
    pub(crate) fn handle_append_entries_reply(
        self: &Arc<Server>,
        state: &mut State,
        peer: ServerId,
        args: &AppendEntriesArgs,
        reply: &AppendEntriesReply,
    ) {
        unwritten(
            "Server::handle_append_entries_reply: update next_index and match_index of the server that replied",
            "Figure 2, Leaders: \"If successful: update nextIndex and matchIndex for follower; if AppendEntries \
             fails because of log inconsistency: decrement nextIndex and retry\" (section 5.3)",
        )
    }

    /// Part 3B. Commits the entries of this term that a majority of the servers has.
    ///
    /// Figure 2, Leaders: "If there exists an N such that N > commitIndex, a majority of matchIndex\[i\] >= N, and
    /// log\[N\].term == currentTerm: set commitIndex = N".
    ///
    /// - The last condition is section 5.4.2 and Figure 8: never commit an entry of an earlier term by counting its
    ///   copies.
    /// - Count the leader's own log too, whatever its own `match_index` says.
    /// - Call `Server::commit_up_to`: it moves the commit index and wakes the applier. The next AppendEntries tells the
    ///   other servers.
    pub(crate) fn advance_commit_index(&self, state: &mut State) {
        unwritten(
            "Server::advance_commit_index: commit the entries of this term that a majority of the servers has",
            "Figure 2, Leaders: \"If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, \
             and log[N].term == currentTerm: set commitIndex = N\" (sections 5.3, 5.4.2)",
        )
    }
}

/// The follower.
impl Server {
    /// Given. Handles the entries or the heartbeat of a leader. Registered in `raft.rs`; each call runs on its own
    /// thread.
    pub(crate) fn handle_append_entries(&self, args: AppendEntriesArgs) -> AppendEntriesReply {
        let mut state = self.state.lock();
        if !self.follow_leader(&mut state, args.term) {
            return AppendEntriesReply::refused(state.current_term);
        }
        // Two empty logs are equal. Part 3A needs no more than this.
        if state.log.last_index() == Index::ZERO && args.prev_log_index == Index::ZERO && args.entries.is_empty() {
            return AppendEntriesReply::accepted(state.current_term);
        }
        self.store_entries(&mut state, args)
    }

    /// Part 3A. Follows the server that leads in `term`. Returns false if `term` is an old one; then this server
    /// changes nothing.
    ///
    /// It implements four rules of Figure 2: "Reply false if term < currentTerm" (AppendEntries, 1); the rule for all
    /// servers about higher terms; Candidates: "If AppendEntries RPC received from new leader: convert to follower";
    /// and Followers: restart the election timer.
    ///
    /// - Do not follow a leader of an old term, and do not reset the timer for it.
    /// - A candidate *of the same term* becomes a follower too, because it has lost its election.
    /// - Part 3C: persist if the term has changed. Part 3D: InstallSnapshot calls this function too.
    pub(crate) fn follow_leader(&self, state: &mut State, term: Term) -> bool {
        unwritten(
            "Server::follow_leader: follow the leader of this term or a higher one, and reset the election timer",
            "Figure 2, AppendEntries RPC: \"1. Reply false if term < currentTerm\"; Candidates: \"If AppendEntries \
             RPC received from new leader: convert to follower\" (section 5.2)",
        )
    }

    /// Part 3B. Stores the entries of the current leader, if there are any, and replies.
    ///
    /// Figure 2, AppendEntries RPC, receiver: "2. Reply false if log doesn't contain an entry at prevLogIndex whose
    /// term matches prevLogTerm. 3. If an existing entry conflicts with a new one (same index but different terms),
    /// delete the existing entry and all that follow it. 4. Append any new entries not already in the log. 5. If
    /// leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)".
    ///
    /// - Take step 3 literally: delete only *if* an entry conflicts. Messages overtake each other, and a late message
    ///   ends before your log does. Keep the entries after its end.
    /// - "Last new entry" in step 5 is the last entry of this message: `prev_log_index` plus the number of its entries,
    ///   even if your log already had them. It is not the last entry of your log.
    /// - Part 3C: persist before you reply, if you changed the log.
    /// - Part 3D: `prev_log_index` may lie before the start of your log. The entries that are gone are committed, so
    ///   they match the leader's.
    pub(crate) fn store_entries(&self, state: &mut State, args: AppendEntriesArgs) -> AppendEntriesReply {
        unwritten(
            "Server::store_entries: check that your log matches at prev_log_index, then store the missing entries",
            "Figure 2, AppendEntries RPC, 2 to 5: \"Reply false if log doesn't contain an entry at prevLogIndex \
             whose term matches prevLogTerm\", and the steps after it (section 5.3)",
        )
    }
}
