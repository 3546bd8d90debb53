//! Elections (Figure 2 "RequestVote RPC" and "Rules for Servers: Followers, Candidates"; sections 5.2 and 5.4.1): how a
//! server becomes candidate and leader, and to whom it gives its vote. When a timer runs out is decided outside; what a
//! leader does is in `replication.rs`.

use std::collections::BTreeSet;

use raftapi::{ServerId, Term};

use super::reads::Reads;
use super::{Core, Effects, Peers, Progress, RequestVoteArgs, RequestVoteReply, Role};

impl Core {
    /// The election timer ran out.
    pub fn election_timeout(&mut self) -> Effects {
        let mut effects = Effects::default();
        match self.role {
            // "If election timeout elapses without receiving AppendEntries RPC from current leader or granting vote to
            // candidate: convert to candidate" (5.2).
            Role::Follower { .. } => self.start_election(&mut effects),
            // The vote was split, or the answers were lost: "start new election" (5.2). Random timeouts see to it that
            // one of the candidates is first the next time.
            Role::Candidate { .. } => self.start_election(&mut effects),
            // A leader waits for nobody: it stays leader until it hears of a higher term (5.1).
            Role::Leader { .. } => {}
        }
        effects
    }

    /// A candidate asks for this server's vote.
    pub fn handle_request_vote(&mut self, args: RequestVoteArgs) -> (RequestVoteReply, Effects) {
        let mut effects = Effects::default();
        self.adopt_higher_term(args.term, &mut effects);

        let vote_granted = self.may_vote_for(&args);
        if vote_granted {
            self.grant_vote(args.candidate_id, &mut effects);
        }
        (RequestVoteReply { term: self.current_term, vote_granted }, effects)
    }

    /// `from` answered a RequestVote that was sent in `sent_term`.
    pub fn handle_request_vote_reply(&mut self, from: ServerId, sent_term: Term, reply: RequestVoteReply) -> Effects {
        let mut effects = Effects::default();
        self.adopt_higher_term(reply.term, &mut effects);

        if sent_term != self.current_term {
            // The vote was for an election that is over; in this term it counts for nothing (5.2).
            return effects;
        }
        match &mut self.role {
            // Votes are a set of servers and not a number: a repeated answer is one vote still (5.2).
            Role::Candidate { votes } => {
                if reply.vote_granted {
                    votes.insert(from);
                    self.become_leader_if_elected(&mut effects);
                }
            }
            // Elected already, or another won: the vote changes nothing any more (5.2).
            Role::Follower { .. } | Role::Leader { .. } => {}
        }
        effects
    }

    /// Whether this server still asks for votes in `term` and has not got that of `peer`: then a request that was lost may
    /// be sent again ("servers retry RPCs if they do not receive a response in a timely manner", 5.1).
    pub fn needs_vote_of(&self, peer: ServerId, term: Term) -> bool {
        matches!(&self.role, Role::Candidate { votes } if term == self.current_term && !votes.contains(&peer))
    }

    /// What a candidate asks: once when it becomes one, and again of those that do not answer.
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
        self.current_term = self.current_term.next();
        self.voted_for = Some(self.me);
        self.role = Role::Candidate { votes: BTreeSet::from([self.me]) };

        self.save_hard_state(effects);
        self.announce_soft_state(effects);
        effects.reset_election_timer = true;
        let args = self.vote_request();
        effects.request_votes = self.peers().map(|peer| (peer, args)).collect();

        // The only server of a cluster has its majority already.
        self.become_leader_if_elected(effects);
    }

    /// "If votes received from majority of servers: become leader" (Figure 2, Rules for Candidates; 5.2). Each server
    /// has one vote a term and two majorities share a server, so no term has two leaders.
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
        of_this_term && vote_is_free && self.is_up_to_date(args)
    }

    /// The election restriction (5.4.1): whose log ends in the later term is more up to date; of two that end in the
    /// same term, the longer. A candidate that passes this with a majority has every committed entry.
    fn is_up_to_date(&self, args: &RequestVoteArgs) -> bool {
        (args.last_log_term, args.last_log_index) >= (self.log.last_term(), self.log.last_index())
    }

    /// Gives this server's vote, or confirms it if the request came twice.
    fn grant_vote(&mut self, candidate: ServerId, effects: &mut Effects) {
        if self.voted_for.is_none() {
            self.voted_for = Some(candidate);
            self.save_hard_state(effects);
        }
        // Whoever has just voted gives its candidate the time to win (5.2).
        effects.reset_election_timer = true;
    }
}
