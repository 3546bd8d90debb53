//! Votes and leaders: section 5.2 of the paper, and which votes may be given (section 5.4.1). Part 3A, in the order in
//! which a run comes upon it.
//!
//! How a RequestVote is sent (`request_votes`, `on_request_vote_reply`) is given, as the example for the other two
//! RPCs.

use labstd::rng::RngExt;
use labstd::sync::Arc;
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{Index, Role, ServerId, Term, unwritten};

use crate::messages::{RequestVoteArgs, RequestVoteReply};
use crate::server::Server;
use crate::state::State;

impl State {
    /// Part 3A, the first thing to write. How long this server waits for a leader before it campaigns: another time
    /// each time.
    ///
    /// Section 5.2: "Raft uses randomized election timeouts to ensure that split votes are rare and that they are
    /// resolved quickly". The paper's 150 to 300 ms are too short here: heartbeats come ten times a second, and one or
    /// two of them may be lost. They must not be too long either, because the tests expect a new leader within five
    /// seconds, even if a vote is split or two. So begin with something like 300 to 600 ms.
    ///
    /// - `self.rng.random_range(a..b)` draws from this server's own stream of chance. `rand::rng()` and its like are
    ///   different in each run, and no failure could be replayed.
    pub(crate) fn election_timeout(&mut self) -> Duration {
        unwritten(
            "State::election_timeout: how long to wait for a leader before an election, drawn anew each time",
            "section 5.2: \"election timeouts are chosen randomly from a fixed interval\"; 300 to 600 ms suit the \
             lab's heartbeats",
        )
    }

    /// Part 3A. What the term of a reply says, before anything else in it is looked at: whether it still counts. `role`
    /// and `sent_in` are what this server was, and in which term, when it sent the request.
    ///
    /// - Figure 2, All Servers: "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert
    ///   to follower" (`become_role` does both; part 3C: persist, in the caller). Such a reply does not count.
    /// - The lock was not held while the RPC was under way. If this server has another role or another term now, the
    ///   reply is an answer to a question of the past, and does not count either: an old vote must not elect anybody
    ///   today.
    pub(crate) fn reply_counts(&mut self, role: Role, sent_in: Term, reply_term: Term) -> bool {
        unwritten(
            "State::reply_counts: step down if a reply is of a later term, and drop replies to what was asked in \
             another term",
            "Figure 2, All Servers: \"If RPC request or response contains term T > currentTerm: set currentTerm = T, \
             convert to follower\" (section 5.1)",
        )
    }
}

/// As candidate.
impl Server {
    /// Part 3A. Nobody has been heard of for too long: this server campaigns. The ticker calls it under the lock.
    ///
    /// Figure 2, Candidates: "On conversion to candidate, start election: increment currentTerm, vote for self, reset
    /// election timer, send RequestVote RPCs to all other servers".
    ///
    /// - `become_role(Role::Candidate, ...)` in the next term; `votes` begins anew, with this server in it; `vote_for`
    ///   reports the vote.
    /// - A candidate whose timer runs out again starts another election in the same way.
    /// - Part 3C: persist before the requests go out.
    /// - `request_votes` sends the requests and returns at once.
    pub(crate) fn start_election(self: &Arc<Server>, state: &mut State) {
        unwritten(
            "Server::start_election: become a candidate in the next term, vote for yourself, ask the others for \
             their votes",
            "Figure 2, Candidates: \"On conversion to candidate, start election: increment currentTerm, vote for \
             self, reset election timer, send RequestVote RPCs to all other servers\" (section 5.2)",
        )
    }

    /// Given, as the example of an RPC: a thread for each of the other servers, so that they are asked in parallel and
    /// a slow one keeps nobody waiting. The arguments are made here, under the lock, of one moment; the call is made
    /// without it. It may take seconds to fail: `None` means that request or reply was lost, and nobody knows which.
    ///
    /// A thread of its own for each call is the simplest way; `ClientEnd::call_async` does the same with threads of a
    /// pool.
    pub(crate) fn request_votes(self: &Arc<Server>, state: &State) {
        let args = RequestVoteArgs {
            term: state.current_term,
            candidate_id: self.me,
            last_log_index: state.log.last_index(),
            last_log_term: state.log.last_term(),
        };
        for peer in self.others() {
            let (server, args) = (Arc::clone(self), args.clone());
            thread::spawn(format!("request-vote-{}-{peer}", self.me), move || {
                let reply = server.peers[peer.0].call("Raft.RequestVote", &args);
                if let Some(reply) = reply {
                    server.on_request_vote_reply(peer, &args, &reply);
                }
            });
        }
    }

    /// Given: a reply has come. The lock is taken again, so first of all it has to be seen whether the reply still
    /// counts.
    fn on_request_vote_reply(self: &Arc<Server>, peer: ServerId, args: &RequestVoteArgs, reply: &RequestVoteReply) {
        let mut state = self.state.lock();
        let counts = state.reply_counts(Role::Candidate, args.term, reply.term);
        // Part 3C: persist here if the term has changed.
        if counts && reply.vote_granted {
            self.count_vote(&mut state, peer);
        }
    }

    /// Part 3A. `peer` votes for this server, which is still a candidate in the term that it asked for.
    ///
    /// Figure 2, Candidates: "If votes received from majority of servers: become leader".
    ///
    /// - `is_majority` counts this server's own vote as well: it is in `votes` since `start_election`.
    pub(crate) fn count_vote(self: &Arc<Server>, state: &mut State, peer: ServerId) {
        unwritten(
            "Server::count_vote: with the votes of a majority, become the leader",
            "Figure 2, Candidates: \"If votes received from majority of servers: become leader\" (section 5.2)",
        )
    }

    /// Part 3A. The election is won.
    ///
    /// Figure 2, Leaders: "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server; repeat
    /// during idle periods to prevent election timeouts". And "nextIndex\[\]: initialized to leader last log index +
    /// 1", "matchIndex\[\]: initialized to 0", one for each server.
    ///
    /// - The ticker sends heartbeats whenever `next_heartbeat` is past: set it to now, and the first goes out 10 ms
    ///   later, or call `replicate_to_all` yourself.
    pub(crate) fn become_leader(self: &Arc<Server>, state: &mut State) {
        unwritten(
            "Server::become_leader: take the role, begin next_index and match_index anew, and let everybody know",
            "Figure 2, Leaders: \"Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server\"; \
             State: \"nextIndex[]: initialized to leader last log index + 1\" (section 5.2)",
        )
    }
}

/// As voter.
impl Server {
    /// Part 3A. A candidate asks for this server's vote. Registered in `raft.rs`; each call runs on a thread of its
    /// own.
    ///
    /// Figure 2, RequestVote RPC, receiver: "1. Reply false if term < currentTerm. 2. If votedFor is null or
    /// candidateId, and candidate's log is at least as up-to-date as receiver's log, grant vote". Before that, the rule
    /// for all servers about later terms.
    ///
    /// - Up-to-date is section 5.4.1: the later last term wins; with equal terms, the longer log. In part 3A all logs
    ///   are empty, so nobody notices if this is missing; in part 3B committed entries are lost.
    /// - A vote that is granted resets the election timer, one that is refused does not.
    /// - The reply's term is this server's, after all that.
    /// - Part 3C: persist before the reply goes out.
    pub(crate) fn handle_request_vote(&self, args: RequestVoteArgs) -> RequestVoteReply {
        let mut state = self.state.lock();
        unwritten(
            "Server::handle_request_vote: decide whether a candidate gets this server's vote",
            "Figure 2, RequestVote RPC: \"If votedFor is null or candidateId, and candidate's log is at least as \
             up-to-date as receiver's log, grant vote\" (sections 5.2, 5.4.1)",
        )
    }
}
