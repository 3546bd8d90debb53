//! AppendEntries: sections 5.3 and 5.4.2 of the paper. Part 3A needs heartbeats, part 3B the rest. While all logs are
//! empty (part 3A has no commands) nothing of part 3B is called.

use labstd::sync::Arc;
use labstd::thread;
use raftapi::{Index, Role, ServerId, Term, unwritten};

use crate::messages::{AppendEntriesArgs, AppendEntriesReply};
use crate::server::Server;
use crate::state::State;

/// As leader.
impl Server {
    /// Given: every other server is sent what it lacks, or a heartbeat.
    pub(crate) fn replicate_to_all(self: &Arc<Server>, state: &mut State) {
        for peer in self.others() {
            self.replicate(state, peer);
        }
    }

    /// Parts 3A and 3B. Sends one AppendEntries to `peer`, in the manner of `request_votes`: arguments under the lock,
    /// a thread, the call without the lock, and `on_append_entries_reply` with what comes back.
    ///
    /// Figure 2, Leaders: "If last log index >= nextIndex for a follower: send AppendEntries RPC with log entries
    /// starting at nextIndex". Without such entries it is a heartbeat, which has `prev_log_index`, `prev_log_term` and
    /// `leader_commit` like every other: a follower that treats it differently commits what it should not.
    ///
    /// - `prev_log_index` is `next_index - 1`; `Log::entries_from` is everything from `next_index` on, which is nothing
    ///   in 3A.
    /// - Part 3D: if the log no longer reaches back to `prev_log_index`, `send_snapshot` instead.
    pub(crate) fn replicate(self: &Arc<Server>, state: &mut State, peer: ServerId) {
        unwritten(
            "Server::replicate: send an AppendEntries to one server; without entries it is a heartbeat",
            "Figure 2, Leaders: \"Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server; \
             repeat during idle periods\" (section 5.2); \"send AppendEntries RPC with log entries starting at \
             nextIndex\" (section 5.3)",
        )
    }

    /// Given: a reply has come.
    pub(crate) fn on_append_entries_reply(
        self: &Arc<Server>,
        peer: ServerId,
        args: &AppendEntriesArgs,
        reply: &AppendEntriesReply,
    ) {
        let mut state = self.state.lock();
        let counts = state.reply_counts(Role::Leader, args.term, reply.term);
        // Part 3C: persist here if the term has changed.
        // Without entries there is nothing to learn of an answer: all that part 3A needs.
        if counts && state.log.last_index() > Index::ZERO {
            self.learn_from_reply(&mut state, peer, args, reply);
        }
    }

    /// Part 3B. What an answer says about the log of `peer`; it is of this term, and this server still leads.
    ///
    /// Figure 2, Leaders: "If successful: update nextIndex and matchIndex for follower. If AppendEntries fails because
    /// of log inconsistency: decrement nextIndex and retry".
    ///
    /// - What matches now follows from what was *sent*: `prev_log_index` and the number of entries in `args`. The log
    ///   and `next_index` may have changed meanwhile.
    /// - Answers overtake each other: a late one must not take `match_index` back.
    /// - After a success, `advance_commit_index`. After a refusal, try again at once, or with the next heartbeat.
    /// - One step back for each refusal is correct and too slow; `messages.rs` says where fast back-up has its place.
    pub(crate) fn learn_from_reply(
        self: &Arc<Server>,
        state: &mut State,
        peer: ServerId,
        args: &AppendEntriesArgs,
        reply: &AppendEntriesReply,
    ) {
        unwritten(
            "Server::learn_from_reply: move next_index and match_index of a server that has answered an AppendEntries",
            "Figure 2, Leaders: \"If successful: update nextIndex and matchIndex for follower; if AppendEntries \
             fails because of log inconsistency: decrement nextIndex and retry\" (section 5.3)",
        )
    }

    /// Part 3B. Commits what a majority has.
    ///
    /// Figure 2, Leaders: "If there exists an N such that N > commitIndex, a majority of matchIndex\[i\] >= N, and
    /// log\[N\].term == currentTerm: set commitIndex = N".
    ///
    /// - The last condition is section 5.4.2 and Figure 8: an entry of an earlier term is never committed by counting.
    /// - The leader's own log counts too, whatever its own `match_index` says.
    /// - `Server::commit` moves the index and wakes the applier. The others learn of it with the next AppendEntries.
    pub(crate) fn advance_commit_index(&self, state: &mut State) {
        unwritten(
            "Server::advance_commit_index: commit what a majority of the servers has, if it is of this term",
            "Figure 2, Leaders: \"If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, \
             and log[N].term == currentTerm: set commitIndex = N\" (sections 5.3, 5.4.2)",
        )
    }
}

/// As follower.
impl Server {
    /// Given: a leader sends entries, or a heartbeat. Registered in `raft.rs`; each call runs on a thread of its own.
    pub(crate) fn handle_append_entries(&self, args: AppendEntriesArgs) -> AppendEntriesReply {
        let mut state = self.state.lock();
        if !self.heed_leader(&mut state, args.term) {
            return AppendEntriesReply::refused(state.current_term);
        }
        // Two empty logs are equal: all that part 3A needs.
        if state.log.last_index() == Index::ZERO && args.prev_log_index == Index::ZERO && args.entries.is_empty() {
            return AppendEntriesReply::accepted(state.current_term);
        }
        self.take_entries(&mut state, args)
    }

    /// Part 3A. Somebody says that it leads in `term`; whether that is so now.
    ///
    /// Figure 2: "Reply false if term < currentTerm" (AppendEntries, 1); the rule for all servers about later terms;
    /// Candidates: "If AppendEntries RPC received from new leader: convert to follower"; and Followers: the election
    /// timer begins anew.
    ///
    /// - A leader of an old term is not heeded, and must not reset the timer.
    /// - A candidate *of the same term* becomes a follower as well: its election is lost.
    /// - Part 3C: persist if the term has changed. Part 3D calls this for InstallSnapshot too.
    pub(crate) fn heed_leader(&self, state: &mut State, term: Term) -> bool {
        unwritten(
            "Server::heed_leader: follow whoever leads in this term or a later one, and wait patiently again",
            "Figure 2, AppendEntries RPC: \"1. Reply false if term < currentTerm\"; Candidates: \"If AppendEntries \
             RPC received from new leader: convert to follower\" (section 5.2)",
        )
    }

    /// Part 3B. The entries of the current leader, perhaps none.
    ///
    /// Figure 2, AppendEntries RPC, receiver: "2. Reply false if log doesn't contain an entry at prevLogIndex whose
    /// term matches prevLogTerm. 3. If an existing entry conflicts with a new one (same index but different terms),
    /// delete the existing entry and all that follow it. 4. Append any new entries not already in the log. 5. If
    /// leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)".
    ///
    /// - 3 means what it says: *if* an entry conflicts. Messages overtake each other, and one that comes late has fewer
    ///   entries than the log has by now; what it does not mention stays.
    /// - "Last new entry" in 5 is the last of this message, `prev_log_index` plus the number of its entries, whether it
    ///   was there before or not; not the last of the log.
    /// - Part 3C: persist before the reply goes out, if something has changed.
    /// - Part 3D: `prev_log_index` may lie before the beginning of the log. What is not there any more is committed,
    ///   and equal.
    pub(crate) fn take_entries(&self, state: &mut State, args: AppendEntriesArgs) -> AppendEntriesReply {
        unwritten(
            "Server::take_entries: compare the log with the leader's, and take over what is missing",
            "Figure 2, AppendEntries RPC, 2 to 5: \"Reply false if log doesn't contain an entry at prevLogIndex \
             whose term matches prevLogTerm\", and what follows (section 5.3)",
        )
    }
}
