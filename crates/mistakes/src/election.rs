//! Leader election: section 5.2 of the paper, and the restriction on votes of section 5.4.1.

use std::collections::BTreeSet;

use labstd::sync::Arc;
use raftapi::{Role, ServerId, Term};

use crate::Mistake;
use crate::messages::{RequestVoteArgs, RequestVoteReply};
use crate::server::Server;
use crate::state::State;

impl Server {
    /// Figure 2, All Servers: "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert
    /// to follower".
    pub(crate) fn adopt_higher_term(&self, state: &mut State, term: Term) {
        if term > state.current_term {
            let unsaved = state.unsaved;
            state.enter_term(term);
            state.become_role(Role::Follower);
            if self.makes(Mistake::DoesNotSaveAnAdoptedTerm) {
                state.unsaved = unsaved;
            }
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
        state.enter_term(state.current_term.next());
        state.vote_for(self.me);
        state.votes = BTreeSet::from([self.me]);
        state.become_role(Role::Candidate);
        state.reset_election_timer();
        self.save(state);
        let term = state.current_term;
        let args = RequestVoteArgs {
            term,
            candidate_id: self.me,
            last_log_index: state.log.last_index(),
            last_log_term: state.log.last_term(),
        };
        for peer in self.others() {
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
        self.adopt_higher_term(state, args.term);
        let vote_is_free = state.voted_for.is_none_or(|voted| voted == args.candidate_id);
        let may_vote = vote_is_free || self.makes(Mistake::VotesTwiceInATerm);
        let (last_log_term, last_log_index) = (state.log.last_term(), state.log.last_index());
        let as_long = args.last_log_index >= last_log_index || self.makes(Mistake::GrantsAVoteToAShorterLog);
        let up_to_date = args.last_log_term > last_log_term || args.last_log_term == last_log_term && as_long;
        let of_this_term = args.term == state.current_term || self.makes(Mistake::VotesForAnOlderTerm);
        let vote_granted = of_this_term && may_vote && up_to_date;
        if vote_granted {
            state.vote_for(args.candidate_id);
        }
        let resets_timer = vote_granted && !self.makes(Mistake::DoesNotResetTheTimerOnGrantingAVote);
        if resets_timer || self.makes(Mistake::ResetsTheTimerOnEveryRequestVote) {
            state.reset_election_timer();
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
        if !of_this_election || state.role != Role::Candidate || !reply.vote_granted {
            return;
        }
        state.votes.insert(voter);
        if self.is_majority(state.votes.len()) {
            self.become_leader(state);
        }
    }
}
