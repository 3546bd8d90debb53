//! Elections (Figure 2 "RequestVote RPC" and "Rules for Servers: Followers, Candidates"; sections 5.2 and 5.4.1): how a
//! server becomes a candidate and a leader, and which candidate it votes for. The code around the core decides when an
//! election timer fires. `replication.rs` contains the work of a leader.

use std::collections::BTreeSet;

use raftapi::{ServerId, Term};

use super::reads::Reads;
use super::{Core, Effects, HardState, Peers, Progress, RequestVoteArgs, RequestVoteReply, Role};

impl Core {
    /// Handles the election timer, which has fired.
    pub fn election_timeout(&mut self) -> Effects {
        let mut effects = Effects::default();
        match self.role {
            // A server that has lost its data does not know which entries are committed (`replacement.rs`).
            Role::Follower { .. } if self.catch_up_to.is_some() => effects.reset_election_timer = true,
            // "If election timeout elapses without receiving AppendEntries RPC from current leader or granting vote to
            // candidate: convert to candidate" (5.2).
            Role::Follower { .. } => self.start_election(&mut effects),
            // The vote was split, or replies were lost: "start new election" (5.2). Because timeouts are random, one of
            // the candidates is usually first the next time.
            Role::Candidate { .. } => self.start_election(&mut effects),
            // A leader has no election timer. It remains leader until it sees a higher term (5.1).
            Role::Leader { .. } => {}
        }
        effects
    }

    /// Handles a candidate's request for this server's vote.
    pub fn handle_request_vote(&mut self, args: RequestVoteArgs) -> (RequestVoteReply, Effects) {
        let mut effects = Effects::default();
        self.adopt_higher_term(args.term, &mut effects);

        let vote_granted = self.may_vote_for(&args);
        if vote_granted {
            self.grant_vote(args.candidate_id, &mut effects);
        }
        (RequestVoteReply { term: self.current_term, vote_granted }, effects)
    }

    /// Handles the reply of `from` to a RequestVote that this server sent in `sent_term`.
    pub fn handle_request_vote_reply(&mut self, from: ServerId, sent_term: Term, reply: RequestVoteReply) -> Effects {
        let mut effects = Effects::default();
        self.adopt_higher_term(reply.term, &mut effects);

        if sent_term != self.current_term {
            // The vote belongs to an election that is over. It does not count in this term (5.2).
            return effects;
        }
        match &mut self.role {
            // The votes are a set of servers, not a number, so a repeated reply still counts as one vote (5.2).
            Role::Candidate { votes } => {
                if reply.vote_granted {
                    votes.insert(from);
                    self.become_leader_if_elected(&mut effects);
                }
            }
            // This server is elected already, or another server won. The vote has no effect (5.2).
            Role::Follower { .. } | Role::Leader { .. } => {}
        }
        effects
    }

    /// Returns whether this server is still a candidate in `term` and does not have the vote of `peer`. If so, a lost
    /// request may be sent again ("servers retry RPCs if they do not receive a response in a timely manner", 5.1).
    pub fn needs_vote_of(&self, peer: ServerId, term: Term) -> bool {
        matches!(&self.role, Role::Candidate { votes } if term == self.current_term && !votes.contains(&peer))
    }

    /// Returns the request of a candidate. It sends this request when it becomes a candidate, and again to servers that
    /// do not reply.
    pub fn vote_request(&self) -> RequestVoteArgs {
        RequestVoteArgs {
            term: self.current_term,
            candidate_id: self.me,
            last_log_index: self.log.last_index(),
            last_log_term: self.log.last_term(),
        }
    }

    /// "On conversion to candidate, start election: increment currentTerm, vote for self, reset election timer, send
    /// RequestVote RPCs to all other servers" (Figure 2, Rules for Candidates; 5.2).
    fn start_election(&mut self, effects: &mut Effects) {
        self.set_hard_state(HardState { term: self.current_term.next(), voted_for: Some(self.me) }, effects);
        self.role = Role::Candidate { votes: BTreeSet::from([self.me]) };
        self.announce_soft_state(effects);
        effects.reset_election_timer = true;
        let args = self.vote_request();
        effects.request_votes = self.peers().map(|peer| (peer, args)).collect();

        // A cluster of one server has its majority already.
        self.become_leader_if_elected(effects);
    }

    /// "If votes received from majority of servers: become leader" (Figure 2, Rules for Candidates; 5.2). Each server
    /// has one vote in a term and any two majorities have a server in common, so no term has two leaders.
    fn become_leader_if_elected(&mut self, effects: &mut Effects) {
        if let Role::Candidate { votes } = &self.role
            && votes.len() >= self.majority()
        {
            self.become_leader(effects);
        }
    }

    /// "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server" (Figure 2, Rules for Leaders).
    fn become_leader(&mut self, effects: &mut Effects) {
        debug_assert_eq!(self.voted_for, Some(self.me), "a leader has voted for itself");
        let peers = Peers::new(self.me, self.servers, &Progress::new(self.log.last_index()));
        self.role = Role::Leader { peers, reads: Reads::default() };
        self.announce_soft_state(effects);
        effects.send_heartbeats = true;
    }

    /// "Reply false if term < currentTerm. If votedFor is null or candidateId, and candidate's log is at least as
    /// up-to-date as receiver's log, grant vote" (Figure 2, RequestVote RPC, receiver implementation).
    fn may_vote_for(&self, args: &RequestVoteArgs) -> bool {
        let of_this_term = args.term == self.current_term;
        let vote_is_free = self.voted_for.is_none_or(|candidate| candidate == args.candidate_id);
        of_this_term && vote_is_free && self.is_up_to_date(args) && self.catch_up_to.is_none()
    }

    /// The election restriction (5.4.1). The log whose last entry has the later term is more up-to-date. If the last
    /// terms are equal, the longer log is. A candidate whose log is up-to-date compared with a majority has every
    /// committed entry.
    fn is_up_to_date(&self, args: &RequestVoteArgs) -> bool {
        (args.last_log_term, args.last_log_index) >= (self.log.last_term(), self.log.last_index())
    }

    /// Grants this server's vote, or confirms it if the request came twice.
    fn grant_vote(&mut self, candidate: ServerId, effects: &mut Effects) {
        if self.voted_for.is_none() {
            self.set_hard_state(HardState { term: self.current_term, voted_for: Some(candidate) }, effects);
        }
        // A server that has just voted gives its candidate time to win (5.2).
        effects.reset_election_timer = true;
    }
}
