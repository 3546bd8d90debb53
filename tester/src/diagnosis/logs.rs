//! Logs and commit indexes: what was removed that should have stayed, added where it does not fit, or committed too early.

use record::{Event, EventKind, Index, Role, ServerId, Term};

use super::finding::{Findings, new_standing, time};
use super::replay::{OldAnswer, Server, World};
use super::rule::Rule;

/// Remembers what each server has just removed.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    removed: Vec<Option<Removed>>,
}

/// The end of a log, that was removed.
#[derive(Clone, Copy, Debug)]
struct Removed {
    /// The first index that is gone, and the term that its entry had.
    first: (Index, Term),
    /// The last index that is gone.
    last: Index,
    at: u64,
}

impl Logs {
    /// Looks at an event, before it has changed the world.
    pub(crate) fn look(&mut self, world: &World, event: &Event, found: &mut Findings) {
        self.removed.resize(world.servers.len(), None);
        let Some((server, its)) = world.of(event).filter(|(_, its)| its.log_known()) else { return };
        match event.kind {
            EventKind::LogTruncated { last } => self.truncated(world, event, server, last, found),
            EventKind::LogAppended { term, first, .. } => {
                if let Some(Removed { first: (index, before), last, at }) = self.removed[server.0].take()
                    && (first, term) == (index, before)
                {
                    let seen = format!(
                        "{server} removed {} at {}, and added the entry at index {index}, of the same term {term}, again at {}",
                        indexes(index, last),
                        time(at),
                        time(event.at)
                    );
                    found.add(Rule::TruncateOnConflict, seen, &[server]);
                }
                appended(world, event, server, its, first, found);
            }
            EventKind::LogCompacted { index, term } => {
                let removed = self.removed[server.0].take();
                compacted(event, server, its, (index, term), removed, found);
            }
            EventKind::Committed { index } => committed(world, event, server, its, index, found),
            _ => {}
        }
    }

    fn truncated(&mut self, world: &World, event: &Event, server: ServerId, last: Index, found: &mut Findings) {
        let its = &world.servers[server.0];
        let (first, end) = (last.next(), its.log.last());
        let Some(term) = its.log.entry(first).map(|entry| entry.term) else { return };
        self.removed[server.0] = Some(Removed { first: (first, term), last: end, at: event.at });
        let (gone, now) = (indexes(first, end), time(event.at));
        if its.role == Some(Role::Leader) {
            let leads_in = its.term.value;
            let seen = format!("{server}, leader of term {leads_in}, removed {gone} from its own log at {now}");
            found.add_unless(event, new_standing, Rule::LeaderAppendOnly, seen, &[server]);
            return;
        }
        let Some((leader, theirs)) = world.leader_of(server) else { return };
        if theirs.log.term_at(first) == Some(term) {
            let seen = format!(
                "{server} removed {gone} at {now}, though the entry at index {first}, of term {term}, is also in the log of its \
                 leader {leader}"
            );
            let explained = |kind: &EventKind| new_standing(kind) || matches!(kind, EventKind::LogCompacted { .. });
            found.add_unless(event, explained, Rule::TruncateOnConflict, seen, &[server, leader]);
        }
    }
}

fn appended(world: &World, event: &Event, server: ServerId, its: &Server, first: Index, found: &mut Findings) {
    let Some((leader, theirs)) = world.leader_of(server).filter(|_| first > Index::ZERO) else { return };
    let before = first.prev();
    if its.role != Some(Role::Leader)
        && let (Some(here), Some(there)) = (its.log.term_at(before), theirs.log.term_at(before))
        && here != there
    {
        let seen = format!(
            "{server} added an entry at index {first} at {}, behind one of term {here}, where its leader {leader} has one of \
             term {there}",
            time(event.at)
        );
        found.add_unless(event, new_standing, Rule::PrevEntryMatches, seen, &[server, leader]);
    }
}

fn compacted(
    event: &Event,
    server: ServerId,
    its: &Server,
    (index, term): (Index, Term),
    removed: Option<Removed>,
    found: &mut Findings,
) {
    let now = time(event.at);
    if index < its.log.base || index < its.commit && its.log.last() < its.commit {
        let seen = format!(
            "{server} went back to a snapshot up to index {index} at {now}, though everything up to index {} was committed \
             there already",
            its.commit.max(its.log.base)
        );
        found.add(Rule::OldSnapshot, seen, &[server]);
    } else if let Some(Removed { first, last, at }) = removed
        && first.0 == index.next()
        && its.log.term_at(index) == Some(term)
        && event.at == at
    {
        let seen = format!(
            "{server} removed {} at {now}, when it was sent a snapshot up to index {index}, whose last entry, of term {term}, \
             was in its log",
            indexes(first.0, last)
        );
        found.add(Rule::RetainBehindSnapshot, seen, &[server]);
    }
}

fn committed(world: &World, event: &Event, server: ServerId, its: &Server, index: Index, found: &mut Findings) {
    let now = time(event.at);
    if index < its.commit {
        let before = its.commit;
        // A log that begins there has just been taken from a snapshot.
        let (rule, why) = if its.log.base == index {
            (Rule::OldSnapshot, ", with an old snapshot")
        } else {
            (Rule::CommitOnlyGrows, "")
        };
        found.add(rule, format!("the commit index of {server} went back from {before} to {index} at {now}{why}"), &[]);
        return;
    }
    if index == its.commit {
        return;
    }
    let Some(term) = its.log.term_at(index) else {
        if index > its.log.last() {
            let last = its.log.last();
            let seen = format!("{server} committed index {index} at {now}, though its log ended at index {last}");
            let explained =
                |kind: &EventKind| matches!(kind, EventKind::LogAppended { .. } | EventKind::LogCompacted { .. });
            found.add_unless(event, explained, Rule::CommitLastNewEntry, seen, &[server]);
        }
        return;
    };
    if its.role == Some(Role::Leader) {
        leader_committed(world, event, server, its, (index, term), found);
    } else if let Some((leader, theirs)) = world.leader_of(server)
        && index > theirs.log.base
        && theirs.log.term_at(index) != Some(term)
    {
        let there = theirs.log.term_at(index);
        let there = there.map_or("nothing".to_string(), |there| format!("an entry of term {there}"));
        let seen = format!(
            "{server} committed index {index} at {now}, where it has an entry of term {term}, and its leader {leader} has \
             {there}"
        );
        found.add_unless(event, new_standing, Rule::CommitLastNewEntry, seen, &[server, leader]);
    }
}

fn leader_committed(
    world: &World,
    event: &Event,
    server: ServerId,
    its: &Server,
    (index, term): (Index, Term),
    found: &mut Findings,
) {
    let (now, leads_in) = (time(event.at), its.term.value);
    if term < leads_in {
        let seen = format!(
            "{server}, leader of term {leads_in}, committed index {index} at {now}, where the entry is of the older term {term}, \
             and none of its own term"
        );
        found.add_unless(event, new_standing, Rule::CommitOwnTerm, seen, &[server]);
        return;
    }
    let has = |other: &Server| other.inconsistent || other.log.base >= index || other.log.term_at(index) == Some(term);
    let holders: Vec<ServerId> =
        (0..world.servers.len()).map(ServerId).filter(|&other| has(&world.servers[other.0])).collect();
    if !world.is_majority(holders.len()) {
        let names: Vec<String> = holders.iter().map(ToString::to_string).collect();
        let seen = format!(
            "{server}, leader of term {leads_in}, committed index {index} at {now}, when the entry was in {} of {} logs: {}",
            holders.len(),
            world.servers.len(),
            names.join(", ")
        );
        let all: Vec<ServerId> = (0..world.servers.len()).map(ServerId).collect();
        let (rule, seen) = match its.old_answer(event.at) {
            Some(OldAnswer { from, asked_in, .. }) => {
                let why = format!("; what came then was the answer of {from} to what it had sent in term {asked_in}");
                (Rule::DropOldReplies, seen + &why)
            }
            None => (Rule::CommitMajority, seen),
        };
        found.add_unless(event, new_standing, rule, seen, &all);
    }
}

/// `index 5`, or `indexes 5 to 7`
pub(crate) fn indexes(first: Index, last: Index) -> String {
    if first == last { format!("index {first}") } else { format!("indexes {first} to {last}") }
}
