//! Leader election: section 5.2 of the paper, and the restriction on votes of section 5.4.1.

use std::collections::BTreeSet;

use labstd::sync::Arc;
use labstd::time::{Duration, Instant};
use raftapi::{Role, ServerId, Term};

use crate::Mistake;
use crate::messages::{RequestVoteArgs, RequestVoteReply};
use crate::server::Server;
use crate::state::State;

/// The election timeout of servers whose timeouts are all equal.
const EQUAL_TIMEOUT: Duration = Duration::from_millis(450);

impl Server {
    /// Figure 2, All Servers: "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert
    /// to follower".
    pub(crate) fn adopt_higher_term(&self, state: &mut State, term: Term) {
        let other = term != state.current_term && self.makes(Mistake::AdoptsALowerTerm);
        if term > state.current_term || other {
            let (unsaved, vote) = (state.unsaved, state.voted_for);
            state.enter_term(term);
            if self.makes(Mistake::KeepsItsVoteInANewTerm) {
                state.voted_for = vote;
            }
            if state.role != Role::Leader || !self.makes(Mistake::LeadsOnInAHigherTerm) {
                state.become_role(Role::Follower);
            }
            if self.makes(Mistake::DoesNotSaveAnAdoptedTerm) {
                state.unsaved = unsaved;
            }
        }
    }

    /// Reports whether this server, as a leader that makes `mistake`, ignores a request because of its higher term.
    pub(crate) fn ignores_higher_term(&self, state: &State, term: Term, mistake: Mistake) -> bool {
        self.makes(mistake) && state.role == Role::Leader && term > state.current_term
    }

    /// Starts a new election timeout. Section 5.2: "election timeouts are chosen randomly from a fixed interval".
    pub(crate) fn reset_election_timer(&self, state: &mut State) {
        state.reset_election_timer();
        if self.makes(Mistake::EqualTimeouts) {
            state.election_deadline = Instant::now() + EQUAL_TIMEOUT;
        }
    }

    /// Applies the same rule to the term of a reply.
    pub(crate) fn check_reply_term(&self, state: &mut State, term: Term) {
        if !self.makes(Mistake::IgnoresTheTermOfAReply) {
            self.adopt_higher_term(state, term);
        }
    }

    /// Figure 2, Candidates: "On conversion to candidate, start election".
    pub(crate) fn start_election(self: &Arc<Server>, state: &mut State) {
        if !self.makes(Mistake::CampaignsInItsPresentTerm) {
            state.enter_term(state.current_term.next());
        }
        if !self.makes(Mistake::CountsItsVoteWithoutCastingIt) {
            state.vote_for(self.me);
        }
        state.votes = BTreeSet::from([self.me]);
        state.become_role(Role::Candidate);
        if !self.makes(Mistake::CampaignsAtEveryTick) {
            self.reset_election_timer(state);
        }
        if self.makes(Mistake::CandidateSavesNothing) {
            state.unsaved = false;
        }
        self.save(state);
        let term = state.current_term;
        let args = RequestVoteArgs {
            term,
            candidate_id: self.me,
            last_log_index: state.log.last_index(),
            last_log_term: state.log.last_term(),
        };
        let asked = if self.makes(Mistake::AsksOnlyOneServer) { 1 } else { self.peers.len() };
        for peer in self.others().take(asked) {
            let me = Arc::clone(self);
            self.peers[peer.0].call_async("Raft.RequestVote", &args, move |reply| {
                if let Some(reply) = reply {
                    me.update(|state| me.handle_request_vote_reply(state, peer, term, &reply));
                }
            });
        }
    }

    /// Figure 2, "RequestVote RPC".
    pub(crate) fn handle_request_vote(&self, state: &mut State, args: &RequestVoteArgs) -> RequestVoteReply {
        if self.ignores_higher_term(state, args.term, Mistake::LeaderIgnoresTheTermOfACandidate) {
            return RequestVoteReply { term: state.current_term, vote_granted: false };
        }
        self.adopt_higher_term(state, args.term);
        let vote_is_free = state.voted_for.is_none_or(|voted| voted == args.candidate_id);
        let may_vote = vote_is_free || self.makes(Mistake::VotesTwiceInATerm);
        let (last_log_term, last_log_index) = (state.log.last_term(), state.log.last_index());
        let as_long = args.last_log_index >= last_log_index || self.makes(Mistake::GrantsAVoteToAShorterLog);
        let longer = args.last_log_index > last_log_index;
        let (newer, as_new) = (args.last_log_term > last_log_term, args.last_log_term == last_log_term);
        let up_to_date = match self.mistake {
            Some(Mistake::GrantsAVoteToAnOlderLog) => as_long,
            Some(Mistake::DemandsALongerLog) => (newer || as_new) && as_long,
            Some(Mistake::RefusesAnEqualLog) => newer || as_new && longer,
            _ => newer || as_new && as_long,
        };
        let of_this_term = args.term == state.current_term || self.makes(Mistake::VotesForAnOlderTerm);
        let vote_granted = of_this_term && may_vote && up_to_date;
        if vote_granted {
            state.vote_for(args.candidate_id);
        }
        let resets_timer = vote_granted && !self.makes(Mistake::DoesNotResetTheTimerOnGrantingAVote);
        if resets_timer || self.makes(Mistake::ResetsTheTimerOnEveryRequestVote) {
            self.reset_election_timer(state);
        }
        RequestVoteReply { term: state.current_term, vote_granted }
    }

    /// Handles the reply of `voter` to the RequestVote of `term`.
    fn handle_request_vote_reply(
        self: &Arc<Server>,
        state: &mut State,
        voter: ServerId,
        term: Term,
        reply: &RequestVoteReply,
    ) {
        self.check_reply_term(state, reply.term);
        let of_this_election = state.current_term == term || self.makes(Mistake::CountsOldVotes);
        let counts = reply.vote_granted || self.makes(Mistake::CountsARefusedVote);
        if !of_this_election || state.role != Role::Candidate || !counts {
            return;
        }
        state.votes.insert(voter);
        let enough = match self.mistake {
            Some(Mistake::LeadsWithoutAMajority) => state.votes.len() >= self.peers.len() / 2,
            Some(Mistake::NeedsEveryVote) => state.votes.len() == self.peers.len(),
            _ => self.is_majority(state.votes.len()),
        };
        if enough {
            self.become_leader(state);
        }
    }
}
