//! Votes and terms: who voted for whom, with which log, and who leads with how many votes.

use record::{Event, EventKind, Role, ServerId, Term};

use super::finding::{Findings, time};
use super::replay::{OldAnswer, Vote, World};
use super::rule::Rule;

/// Looks at an event, before it has changed the world.
pub(crate) fn look(world: &World, event: &Event, found: &mut Findings) {
    let Some((server, its)) = world.of(event).filter(|(_, its)| its.running) else { return };
    match event.kind {
        EventKind::VoteGranted { term, to } => {
            voted(world, event, server, term, to, found);
        }
        EventKind::RoleChanged { role: Role::Leader, term } => elected(world, event, server, term, found),
        _ => {}
    }
    if let EventKind::RoleChanged { term, .. } | EventKind::TermChanged { term } | EventKind::VoteGranted { term, .. } =
        event.kind
        && term < its.term.value
    {
        let (before, now) = (its.term.value, time(event.at));
        found.add(Rule::TermOnlyGrows, format!("{server} went back from term {before} to term {term} at {now}"), &[]);
    }
}

fn voted(world: &World, event: &Event, server: ServerId, term: Term, to: ServerId, found: &mut Findings) {
    let its = &world.servers[server.0];
    if let Some(Vote { term: before, to: first, at, .. }) = its.vote
        && before == term
        && first != to
    {
        let (then, now) = (time(at), time(event.at));
        let seen = format!("{server} voted for {first} at {then} and for {to} at {now}, both in term {term}");
        found.add(Rule::OneVoteATerm, seen, &[]);
    }
    let mine = (its.log.last_term(), its.log.last());
    if to != server
        && let Some(&theirs) = world.candidacies.get(&(term, to))
        && mine > theirs
        && its.log_known()
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

fn elected(world: &World, event: &Event, server: ServerId, term: Term, found: &mut Findings) {
    let Some(voters) = world.votes.get(&(term, server)) else { return };
    // Who reports its own vote only, says nothing of the others'.
    if world.reports_votes && voters.contains(&server) && !world.is_majority(voters.len()) {
        let names: Vec<String> = voters.iter().map(ToString::to_string).collect();
        let seen = format!(
            "{server} leads in term {term} since {}, with the votes of {} of {} servers: {}",
            time(event.at),
            voters.len(),
            world.servers.len(),
            names.join(", ")
        );
        match world.servers[server.0].old_answer(event.at) {
            Some(OldAnswer { from, asked_in, .. }) => {
                let why = format!("; what came then was the answer of {from} to what it had asked in term {asked_in}");
                found.add(Rule::DropOldReplies, seen + &why, &[]);
            }
            None => found.add(Rule::MajorityOfVotes, seen, &[]),
        }
    }
}
