//! Elections: section 5.2 of the paper, and the restriction on votes of section 5.4.1. Part 3A. The functions stand in
//! the order in which a run reaches them.
//!
//! The code that sends a RequestVote (`request_votes`, `receive_request_vote_reply`) is given. It is the example for
//! the other two RPCs.

use labstd::rng::RngExt;
use labstd::sync::Arc;
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{Index, Role, ServerId, Term, unwritten};

use crate::messages::{RequestVoteArgs, RequestVoteReply};
use crate::server::Server;
use crate::state::State;

impl State {
    /// Part 3A, the first function to write. Draws a new election timeout: the time that this server waits for a leader
    /// before it starts an election. Draw a different one each time.
    ///
    /// Section 5.2: "Raft uses randomized election timeouts to ensure that split votes are rare and that they are
    /// resolved quickly". The paper's 150 to 300 ms are too short here, because heartbeats come ten times a second and
    /// one or two of them may be lost. Timeouts of seconds are too long, because the tests expect a new leader within
    /// five seconds, even after one or two split votes. Start with 300 to 600 ms.
    ///
    /// - Draw with `self.rng.random_range(a..b)`, from this server's own random stream. Do not use `rand::rng()` or the
    ///   like: its numbers differ in each run, so a failure could not be replayed.
    pub(crate) fn election_timeout(&mut self) -> Duration {
        unwritten(
            "State::election_timeout: draw a new random election timeout",
            "section 5.2: \"election timeouts are chosen randomly from a fixed interval\"; 300 to 600 ms suit the \
             lab's heartbeats",
        )
    }

    /// Part 3A. Compares the term of a reply with this server's, and returns whether the reply still counts. Each
    /// handler of a reply calls it first. `role` and `sent_term` are this server's role and term when it sent the
    /// request.
    ///
    /// - Figure 2, All Servers: "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert
    ///   to follower". `become_role` does both. Part 3C: the caller persists. Such a reply does not count.
    /// - The lock was not held while the RPC was in flight. If this server's role or term has changed since, the reply
    ///   belongs to an earlier election or leadership and does not count either. An old vote must not elect a leader
    ///   today.
    pub(crate) fn check_reply_term(&mut self, role: Role, sent_term: Term, reply_term: Term) -> bool {
        unwritten(
            "State::check_reply_term: step down if the term of a reply is higher, and ignore the reply if your role or \
             term has changed since the request",
            "Figure 2, All Servers: \"If RPC request or response contains term T > currentTerm: set currentTerm = T, \
             convert to follower\" (section 5.1)",
        )
    }
}

/// The candidate.
impl Server {
    /// Part 3A. Starts an election, because the election timer has fired. The ticker calls it under the lock.
    ///
    /// Figure 2, Candidates: "On conversion to candidate, start election: increment currentTerm, vote for self, reset
    /// election timer, send RequestVote RPCs to all other servers".
    ///
    /// - Call `become_role(Role::Candidate, ...)` with the next term. Empty `votes` and put this server into it. Call
    ///   `vote_for`, which reports the vote.
    /// - Call `request_votes`: it sends the requests and returns at once.
    /// - If the timer of a candidate fires, it starts another election in the same way.
    /// - Part 3C: persist before you send the requests.
    pub(crate) fn start_election(self: &Arc<Server>, state: &mut State) {
        unwritten(
            "Server::start_election: become a candidate in the next term, vote for yourself, and ask the other servers \
             for their votes",
            "Figure 2, Candidates: \"On conversion to candidate, start election: increment currentTerm, vote for \
             self, reset election timer, send RequestVote RPCs to all other servers\" (section 5.2)",
        )
    }

    /// Given, as the example of an RPC. Sends a RequestVote to each of the other servers. Each call has a thread of its
    /// own, so the calls run in parallel and a slow server delays no other call. The arguments are built here, under
    /// the lock, so they all belong to one moment. The call itself is made without the lock, because it may take
    /// seconds to fail. `None` means that the request or the reply was lost; the caller cannot tell which.
    ///
    /// One thread per call is the simplest way. `ClientEnd::call_async` does the same with a pool of threads.
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
                    server.receive_request_vote_reply(peer, &args, &reply);
                }
            });
        }
    }

    /// Given. Receives a reply. It takes the lock again, so it first checks whether the reply still counts.
    fn receive_request_vote_reply(
        self: &Arc<Server>,
        peer: ServerId,
        args: &RequestVoteArgs,
        reply: &RequestVoteReply,
    ) {
        let mut state = self.state.lock();
        let counts = state.check_reply_term(Role::Candidate, args.term, reply.term);
        // Part 3C: persist here if the term has changed.
        if counts && reply.vote_granted {
            self.count_vote(&mut state, peer);
        }
    }

    /// Part 3A. Counts the vote of `peer`. This server is still a candidate in the term of its request.
    ///
    /// Figure 2, Candidates: "If votes received from majority of servers: become leader".
    ///
    /// - Use `is_majority` on the size of `votes`. This server's own vote is in `votes` since `start_election`.
    pub(crate) fn count_vote(self: &Arc<Server>, state: &mut State, peer: ServerId) {
        unwritten(
            "Server::count_vote: record the vote, and become the leader once a majority has voted for you",
            "Figure 2, Candidates: \"If votes received from majority of servers: become leader\" (section 5.2)",
        )
    }

    /// Part 3A. Makes this server the leader, because it has won the election.
    ///
    /// Figure 2, Leaders: "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server; repeat
    /// during idle periods to prevent election timeouts". And "nextIndex\[\]: initialized to leader last log index +
    /// 1", "matchIndex\[\]: initialized to 0", one for each server.
    ///
    /// - The ticker sends heartbeats once `next_heartbeat` is past. Set it to now, and the first heartbeat leaves 10 ms
    ///   later; or call `replicate_to_all` yourself.
    pub(crate) fn become_leader(self: &Arc<Server>, state: &mut State) {
        unwritten(
            "Server::become_leader: take the role of the leader, initialize next_index and match_index, and send \
             heartbeats",
            "Figure 2, Leaders: \"Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server\"; \
             State: \"nextIndex[]: initialized to leader last log index + 1\" (section 5.2)",
        )
    }
}

/// The voter.
impl Server {
    /// Part 3A. Handles a candidate's request for this server's vote. Registered in `raft.rs`; each call runs on its
    /// own thread.
    ///
    /// Figure 2, RequestVote RPC, receiver: "1. Reply false if term < currentTerm. 2. If votedFor is null or
    /// candidateId, and candidate's log is at least as up-to-date as receiver's log, grant vote". Before these two,
    /// apply the rule for all servers about higher terms.
    ///
    /// - Section 5.4.1 defines "up-to-date": the log with the higher last term wins; if the last terms are equal, the
    ///   longer log wins. In part 3A all logs are empty, so no test notices if this check is missing. In part 3B a
    ///   missing check loses committed entries.
    /// - Reset the election timer if you grant the vote. Do not reset it if you refuse.
    /// - Reply with this server's term as it is after these steps.
    /// - Part 3C: persist before you reply.
    pub(crate) fn handle_request_vote(&self, args: RequestVoteArgs) -> RequestVoteReply {
        let mut state = self.state.lock();
        unwritten(
            "Server::handle_request_vote: decide whether a candidate gets your vote",
            "Figure 2, RequestVote RPC: \"If votedFor is null or candidateId, and candidate's log is at least as \
             up-to-date as receiver's log, grant vote\" (sections 5.2, 5.4.1)",
        )
    }
}
