//! Votes and terms: who voted for whom, with which log, and who leads with how many votes.

use record::{Event, EventKind, Role, ServerId, Term};

use super::finding::{Findings, time};
use super::replay::{StaleReply, Vote, ReplayState};
use super::rule::Rule;

/// Looks at an event, before it has changed the world.
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
            "{server} voted for {to} in term {term} at {}, though its own log ends at index {} of term {}, and that of {to} \
             at index {} of term {}",
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
    // Who reports its own vote only, says nothing of the others'.
    if state.reports_votes && voters.contains(&server) && !state.is_majority(voters.len()) {
        let names: Vec<String> = voters.iter().map(ToString::to_string).collect();
        let seen = format!(
            "{server} leads in term {term} since {}, with the votes of {} of {} servers: {}",
            time(event.at),
            voters.len(),
            state.servers.len(),
            names.join(", ")
        );
        match state.servers[server.0].stale_reply(event.at) {
            Some(StaleReply { from, sent_in, .. }) => {
                let why = format!("; what came then was the answer of {from} to what it had asked in term {sent_in}");
                found.add(Rule::DropStaleReplies, seen + &why, &[]);
            }
            None => found.add(Rule::MajorityOfVotes, seen, &[]),
        }
    }
}
