//! Restarts: what a server had told others, and did not know any more when it was started again.

use record::{Event, EventKind, Fault, Index, ServerId, Term};

use super::finding::{Findings, time};
use super::logs::indexes;
use super::replay::{Told, Vote, World, is_report};
use super::rule::Rule;

/// What servers had before they crashed.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    before: Vec<Option<Before>>,
}

/// A server, before it crashed.
#[derive(Debug)]
struct Before {
    term: Told<Term>,
    vote: Option<Vote>,
    log: super::replay::Log,
    /// When it had last saved something, if it ever said so.
    saved: u64,
    /// Since when it is back, when it has said so.
    back: Option<u64>,
}

impl Restarts {
    /// Looks at an event, before it has changed the world.
    pub(crate) fn look(&mut self, world: &World, event: &Event, found: &mut Findings) {
        self.before.resize_with(world.servers.len(), || None);
        if let EventKind::Fault(Fault::Restart(servers)) = &event.kind {
            for server in servers {
                if let Some(its) = world.servers.get(server.0).filter(|its| !its.inconsistent) {
                    let log = mark_told(world, *server);
                    let before = Before { term: its.term, vote: its.vote, log, saved: its.saved, back: None };
                    self.before[server.0] = Some(before);
                }
            }
            return;
        }
        let Some((server, its)) = world.of(event).filter(|_| is_report(&event.kind)) else { return };
        if let EventKind::Restored { term, vote, .. } = event.kind {
            if let Some(before) = &mut self.before[server.0] {
                before.back = Some(event.at);
                standing(server, before, term, vote, event, found);
            }
            return;
        }
        // The entries that it still has are reported first of all.
        let a_moment = if world.simulated { 0 } else { 1_000_000 };
        let back = self.before[server.0].as_ref().and_then(|before| before.back);
        let reads_back =
            matches!(event.kind, EventKind::LogAppended { .. }) && back.is_some_and(|back| event.at <= back + a_moment);
        if !reads_back && let Some(before) = self.before[server.0].take().filter(|before| before.back.is_some()) {
            entries(server, &before, &its.log, found);
        }
    }

    /// The record is over.
    pub(crate) fn end(&mut self, world: &World, found: &mut Findings) {
        for (number, before) in std::mem::take(&mut self.before).into_iter().enumerate() {
            if let Some(before) = before.filter(|before| before.back.is_some()) {
                entries(ServerId(number), &before, &world.servers[number].log, found);
            }
        }
    }
}

/// The log of `server`; entries that are in another log as well were told.
fn mark_told(world: &World, server: ServerId) -> super::replay::Log {
    let mut log = world.servers[server.0].log.clone();
    let others = || world.servers.iter().enumerate().filter(|(other, _)| *other != server.0).map(|(_, other)| other);
    log.mark_told(|index, term| others().any(|other| other.log.term_at(index) == Some(term)));
    log
}

/// Which rule is broken if something is lost: it was saved without it, or it was not yet saved.
fn not_in(before: &Before, seq: u64, what: Rule) -> (Rule, &'static str) {
    if before.saved > seq {
        (what, ", though it had saved its state since")
    } else {
        (Rule::SaveBeforeAnswering, ", since it had told others before it saved it")
    }
}

fn standing(
    server: ServerId,
    before: &Before,
    term: Term,
    vote: Option<ServerId>,
    event: &Event,
    found: &mut Findings,
) {
    let now = time(event.at);
    if let Some(Vote { term: voted_in, to, at, seq, told: true }) = before.vote
        && (voted_in > term || voted_in == term && vote != Some(to))
    {
        let (rule, why) = not_in(before, seq, Rule::SaveVote);
        let has = match vote {
            Some(other) => format!("{other} had its vote of term {term}"),
            None => format!("it was in term {term} and had voted for nobody"),
        };
        let then = time(at);
        let seen = format!(
            "{server} voted for {to} in term {voted_in} at {then}; when it was started again at {now}, {has}{why}"
        );
        found.add(rule, seen, &[]);
    } else if before.term.told && before.term.value > term {
        let (rule, why) = not_in(before, before.term.seq, Rule::SaveTerm);
        let (then, value) = (time(before.term.at), before.term.value);
        let seen = format!(
            "{server} was in term {value} since {then}, and in term {term} when it was started again at {now}{why}"
        );
        found.add(rule, seen, &[]);
    }
}

fn entries(server: ServerId, before: &Before, now: &super::replay::Log, found: &mut Findings) {
    let lost = |index: Index, term| index > now.base && now.term_at(index) != Some(term);
    let first = before.log.entries().find(|(index, entry)| entry.told && lost(*index, entry.term));
    let Some((index, entry)) = first else { return };
    let (rule, why) = not_in(before, entry.seq, Rule::SaveLog);
    let (gone, term, then) = (indexes(index, before.log.last()), entry.term, time(entry.at));
    let back = time(before.back.unwrap_or_default());
    let verb = if index == before.log.last() { "was" } else { "were" };
    let seen = format!(
        "{server} had added index {index} of term {term} at {then}; when it was started again at {back}, {gone} {verb} no \
         longer in its log{why}"
    );
    found.add(rule, seen, &[server]);
}
