//! Votes and terms: who voted for whom, with which log, and which leader has how many votes.

use ids::{ServerId, Term};
use record::{Event, EventKind, Role};

use super::finding::{Findings, changes_role_or_term, time};
use super::replay::{ReplayState, StaleReply, Vote};
use super::rule::Rule;

/// Examines an event before it is applied to the state.
pub(crate) fn observe(state: &ReplayState, event: &Event, found: &mut Findings) {
    if let EventKind::RpcReplied { call, .. } = event.kind {
        refused(state, event, call, found);
    }
    let Some((server, replica)) = state.of(event).filter(|(_, replica)| replica.running) else { return };
    match event.kind {
        EventKind::VoteGranted { term, to } => {
            voted(state, event, server, term, to, found);
        }
        EventKind::RoleChanged { role: Role::Leader, term } => elected(state, event, server, term, found),
        EventKind::TermChanged { term } if term > replica.term.value && replica.role == Some(Role::Leader) => {
            let seen = format!(
                "{server}, leader of term {}, learned of term {term} at {}, and went on leading",
                replica.term.value,
                time(event.at)
            );
            found.add_unless_retracted(event, changes_role_or_term, Rule::StepDown, seen, &[]);
        }
        _ => {}
    }
    if let EventKind::RoleChanged { term, .. } | EventKind::TermChanged { term } | EventKind::VoteGranted { term, .. } =
        event.kind
        && term < replica.term.value
    {
        let (before, now) = (replica.term.value, time(event.at));
        found.add(Rule::TermOnlyGrows, format!("{server} went back from term {before} to term {term} at {now}"), &[]);
    }
}

fn voted(state: &ReplayState, event: &Event, server: ServerId, term: Term, to: ServerId, found: &mut Findings) {
    let replica = &state.servers[server.0];
    if let Some(Vote { term: before, to: first, at, .. }) = replica.vote
        && before == term
        && first != to
    {
        let (then, now) = (time(at), time(event.at));
        let (rule, seen) = if to == server {
            let what = format!("{server} voted for {first} in term {term} at {then}, and campaigned in the same term");
            (Rule::CampaignInNewTerm, format!("{what} at {now}"))
        } else {
            let what = format!("{server} voted for {first} at {then} and for {to} at {now}, both in term {term}");
            (Rule::OneVotePerTerm, what)
        };
        found.add(rule, seen, &[]);
    } else if to != server
        && state.candidacies.contains_key(&(term, server))
        && replica.vote.is_none_or(|vote| vote.term != term)
    {
        let now = time(event.at);
        let seen =
            format!("{server} was a candidate of term {term}, which is a vote for itself, and voted for {to} at {now}");
        found.add(Rule::OneVotePerTerm, seen, &[]);
    }
    let mine = (replica.log.last_term(), replica.log.last());
    if to != server
        && let Some(&theirs) = state.candidacies.get(&(term, to))
        && mine > theirs
        && replica.log_known()
    {
        let seen = format!(
            "{server} voted for {to} in term {term} at {}, though its own log ends at index {} of term {}, and the \
             log of {to} ends at index {} of term {}",
            time(event.at),
            mine.1,
            mine.0,
            theirs.1,
            theirs.0
        );
        found.add(Rule::UpToDateCandidate, seen, &[server, to]);
    }
}

/// Finds a vote that was refused without a reason: the request brought the voter into a new term, so it had not voted
/// in it, and the log of the candidate is up to date.
fn refused(state: &ReplayState, event: &Event, call: u64, found: &mut Findings) {
    let Some(call) = state.calls.get(&call).filter(|call| call.method.contains("Vote")) else { return };
    let (Some(candidate), Some(voter), Some((delivered, _))) = (call.from, call.to, call.delivered) else { return };
    let replica = &state.servers[voter.0];
    let (term, vote) = (replica.term, replica.vote);
    let Some(theirs) = state.candidacies.get(&(term.value, candidate)) else { return };
    let mine = (replica.log.last_term(), replica.log.last());
    let adopted = term.seq > delivered && call.sent >= state.servers[candidate.0].term.at;
    let same_term = state.servers[candidate.0].term.value == term.value;
    if !adopted || !same_term || !state.reports_self_votes || !replica.log_known() || mine > *theirs {
        return;
    }
    if vote.is_some_and(|vote| vote.term == term.value) || state.candidacies.contains_key(&(term.value, voter)) {
        return;
    }
    // A server that compares logs wrongly refuses logs that are not ahead in every way.
    let shorter = theirs.1 < mine.1;
    let equal = *theirs == mine;
    let rule = if shorter || equal && vote.is_none() { Rule::UpToDateCandidate } else { Rule::VoteInNewTerm };
    let earlier = vote.map_or("no server before".to_string(), |vote| format!("{} in term {}", vote.to, vote.term));
    let seen = format!(
        "{voter} learned of term {} from the request of {candidate}, and refused its vote at {}; its own log ends at \
         index {} of term {}, that of {candidate} at index {} of term {}, and it had voted for {earlier}",
        term.value,
        time(event.at),
        mine.1,
        mine.0,
        theirs.1,
        theirs.0
    );
    found.add(rule, seen, &[voter, candidate]);
}

fn elected(state: &ReplayState, event: &Event, server: ServerId, term: Term, found: &mut Findings) {
    let Some(voters) = state.votes.get(&(term, server)) else { return };
    // A server that reports only its own vote says nothing about the votes of others.
    if state.reports_votes && voters.contains(&server) && !state.is_majority(voters.len()) {
        let names: Vec<String> = voters.iter().map(ToString::to_string).collect();
        let seen = format!(
            "{server} became leader in term {term} at {}, with the votes of {} of {} servers: {}",
            time(event.at),
            voters.len(),
            state.servers.len(),
            names.join(", ")
        );
        match state.servers[server.0].stale_reply(event.at) {
            Some(StaleReply { from, sent_in, .. }) => {
                let why = format!(
                    "; {server} had just received the reply of {from} to a request that it had sent in \
                                   term {sent_in}"
                );
                found.add(Rule::DropStaleReplies, seen + &why, &[]);
            }
            None => found.add(Rule::MajorityOfVotes, seen, &[]),
        }
    }
}
