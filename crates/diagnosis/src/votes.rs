//! Votes and terms: who voted for whom, with which log, and which leader has how many votes.

use ids::{ServerId, Term};
use record::{Event, EventKind, Role};

use super::finding::{Findings, time};
use super::replay::{ReplayState, StaleReply, Vote};
use super::rule::Rule;

/// Examines an event before it is applied to the state.
pub(crate) fn observe(state: &ReplayState, event: &Event, found: &mut Findings) {
    let Some((server, replica)) = state.of(event).filter(|(_, replica)| replica.running) else { return };
    match event.kind {
        EventKind::VoteGranted { term, to } => {
            voted(state, event, server, term, to, found);
        }
        EventKind::RoleChanged { role: Role::Leader, term } => elected(state, event, server, term, found),
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
        let seen = format!("{server} voted for {first} at {then} and for {to} at {now}, both in term {term}");
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
