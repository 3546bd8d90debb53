//! Logs and commit indexes: entries removed without need, entries added where they do not fit, and entries committed
//! too early.

use ids::{Index, ServerId, Term};
use record::{Event, EventKind, Role};

use super::carriers::Carriers;
use super::finding::{Findings, changes_role_or_term, time};
use super::replay::{ReplayState, ServerState, StaleReply};
use super::rule::Rule;

/// Remembers the entries that each server has just removed.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    removed: Vec<Option<Removed>>,
    carriers: Carriers,
    /// Time at which each server last reported its restored state, which its saved entries follow.
    restored: Vec<Option<u64>>,
}

/// The removed end of a log.
#[derive(Clone, Copy, Debug)]
struct Removed {
    /// First removed index, and the term of its entry.
    first: (Index, Term),
    /// Last removed index.
    last: Index,
    at: u64,
}

impl Logs {
    /// Examines an event before it is applied to the state.
    pub(crate) fn observe(&mut self, state: &ReplayState, event: &Event, found: &mut Findings) {
        self.removed.resize(state.servers.len(), None);
        self.carriers.observe(state, event);
        self.restored.resize(state.servers.len(), None);
        if let (EventKind::Restored { .. }, Some(server)) = (&event.kind, event.server) {
            self.removed[server.0] = None;
            self.restored[server.0] = Some(event.at);
        }
        let Some((server, replica)) = state.of(event).filter(|(_, replica)| replica.log_known()) else { return };
        match event.kind {
            EventKind::LogTruncated { last } => self.truncated(state, event, server, last, found),
            EventKind::LogAppended { term, first, last } => {
                if let Some(Removed { first: (index, before), last, at }) = self.removed[server.0].take()
                    && (first, term) == (index, before)
                {
                    let seen = format!(
                        "{server} removed {} at {}, and added the entry at index {index}, of the same term {term}, \
                         again at {}",
                        indexes(index, last),
                        time(at),
                        time(event.at)
                    );
                    found.add(Rule::TruncateOnConflict, seen, &[server]);
                }
                if self.restored[server.0] == Some(event.at) {
                    return;
                }
                appended(state, event, server, replica, (term, first, last), found);
            }
            EventKind::LogCompacted { index, term } => {
                let removed = self.removed[server.0].take();
                compacted(event, server, replica, (index, term), removed, found);
                kept_after_snapshot(state, event, server, (index, term), found);
            }
            EventKind::Committed { index } => {
                committed(state, event, server, replica, (index, &self.carriers), found);
            }
            _ => {}
        }
    }

    fn truncated(&mut self, state: &ReplayState, event: &Event, server: ServerId, last: Index, found: &mut Findings) {
        let replica = &state.servers[server.0];
        let (first, end) = (last.next(), replica.log.last());
        let Some(term) = replica.log.entry(first).map(|entry| entry.term) else { return };
        self.removed[server.0] = Some(Removed { first: (first, term), last: end, at: event.at });
        let (gone, now) = (indexes(first, end), time(event.at));
        if replica.role == Some(Role::Leader) {
            let leads_in = replica.term.value;
            let seen = format!("{server}, leader of term {leads_in}, removed {gone} from its own log at {now}");
            found.add_unless_retracted(event, changes_role_or_term, Rule::LeaderAppendOnly, seen, &[server]);
            return;
        }
        let Some((leader, leader_replica)) = state.leader_of(server) else { return };
        if leader_replica.log.term_at(first) == Some(term) {
            let seen = format!(
                "{server} removed {gone} at {now}, though its leader {leader} also has the entry at index {first}, of \
                 term {term}"
            );
            let explained =
                |kind: &EventKind| changes_role_or_term(kind) || matches!(kind, EventKind::LogCompacted { .. });
            found.add_unless_retracted(event, explained, Rule::TruncateOnConflict, seen, &[server, leader]);
        }
    }
}

fn appended(
    state: &ReplayState,
    event: &Event,
    server: ServerId,
    replica: &ServerState,
    (term, first, last): (Term, Index, Index),
    found: &mut Findings,
) {
    let Some((leader, leader_replica)) = state.leader_of(server).filter(|_| first > Index::ZERO) else { return };
    let before = first.prev();
    let end = leader_replica.log.last();
    if replica.role != Some(Role::Leader) && last > end && state.simulated {
        let seen = format!(
            "{server} added {} at {}, but the log of its leader {leader} ends at index {end}: it added entries that it \
             had already",
            indexes(first, last),
            time(event.at)
        );
        found.add_unless_retracted(event, changes_role_or_term, Rule::TruncateOnConflict, seen, &[server, leader]);
    }
    let there = leader_replica.log.term_at(first);
    if let Some(there) = there.filter(|there| replica.role != Some(Role::Leader) && *there != term) {
        let seen = format!(
            "{server} added an entry of term {term} at index {first} at {}, where its leader {leader} has one of term \
             {there}",
            time(event.at)
        );
        found.add_unless_retracted(event, changes_role_or_term, Rule::PrevEntryMatches, seen, &[server, leader]);
    }
    if replica.role != Some(Role::Leader)
        && let (Some(here), Some(there)) = (replica.log.term_at(before), leader_replica.log.term_at(before))
        && here != there
    {
        let seen = format!(
            "{server} added an entry at index {first} at {}, after one of term {here}, where its leader {leader} has \
             one of term {there}",
            time(event.at)
        );
        found.add_unless_retracted(event, changes_role_or_term, Rule::PrevEntryMatches, seen, &[server, leader]);
    }
}

fn compacted(
    event: &Event,
    server: ServerId,
    replica: &ServerState,
    (index, term): (Index, Term),
    removed: Option<Removed>,
    found: &mut Findings,
) {
    let now = time(event.at);
    if let Some(Removed { first, last, at }) = removed
        && first.0 == index.next()
        && replica.log.term_at(index) == Some(term)
        && event.at == at
    {
        let seen = format!(
            "{server} removed {} at {now}, when it was sent a snapshot up to index {index}; the last entry of the \
             snapshot, of term {term}, was in its log",
            indexes(first.0, last)
        );
        found.add(Rule::RetainAfterSnapshot, seen, &[server]);
    } else if index < replica.log.base || index < replica.commit && replica.log.last() < replica.commit {
        let seen = format!(
            "{server} went back to a snapshot up to index {index} at {now}, though it had already committed \
             everything up to index {}",
            replica.commit.max(replica.log.base)
        );
        found.add(Rule::IgnoreOldSnapshot, seen, &[server]);
    } else if index <= replica.commit && replica.log.term_at(index).is_some_and(|known| known != term) {
        let seen = format!(
            "{server} replaced everything up to index {index} by a snapshot at {now}, and took {term} for the term of \
             its last entry, which was {}",
            replica.log.term_at(index).unwrap_or_default()
        );
        found.add(Rule::KeepSnapshotTerm, seen, &[server]);
    }
}

/// Finds a log that was kept although it has another entry at the last index of the leader's snapshot.
fn kept_after_snapshot(
    state: &ReplayState,
    event: &Event,
    server: ServerId,
    (index, term): (Index, Term),
    found: &mut Findings,
) {
    let Some((leader, leader_replica)) = state.leader_of(server) else { return };
    if state.servers[server.0].log.term_at(index) != Some(term) {
        return;
    }
    if let Some(there) = leader_replica.log.term_at(index).filter(|there| *there != term) {
        let seen = format!(
            "{server} kept its log at {} when its leader {leader} had sent a snapshot up to index {index}, although \
             its own entry at that index is of term {term}, and that of {leader} of term {there}",
            time(event.at)
        );
        found.add_unless_retracted(event, changes_role_or_term, Rule::DiscardConflictingLog, seen, &[server, leader]);
    }
}

fn committed(
    state: &ReplayState,
    event: &Event,
    server: ServerId,
    replica: &ServerState,
    (index, carriers): (Index, &Carriers),
    found: &mut Findings,
) {
    let now = time(event.at);
    if index < replica.commit {
        let before = replica.commit;
        // If the log starts there, it has just been replaced by a snapshot.
        let (rule, why) = if replica.log.base == index {
            (Rule::IgnoreOldSnapshot, ", with an old snapshot")
        } else {
            (Rule::CommitOnlyGrows, "")
        };
        found.add(rule, format!("the commit index of {server} went back from {before} to {index} at {now}{why}"), &[]);
        return;
    }
    if index == replica.commit {
        return;
    }
    let Some(term) = replica.log.term_at(index) else {
        if index > replica.log.last() {
            let last = replica.log.last();
            let seen = format!("{server} committed index {index} at {now}, though its log ended at index {last}");
            let explained =
                |kind: &EventKind| matches!(kind, EventKind::LogAppended { .. } | EventKind::LogCompacted { .. });
            found.add_unless_retracted(event, explained, Rule::CommitLastNewEntry, seen, &[server]);
        }
        return;
    };
    if replica.role == Some(Role::Leader) {
        leader_committed(state, event, server, replica, (index, term), found);
    } else if let Some((leader, leader_replica)) = state.leader_of(server)
        && index > leader_replica.log.base
        && leader_replica.log.term_at(index) != Some(term)
    {
        if let Some(since) = leader_replica.log.entry(index).map(|entry| entry.at)
            && carriers.received(state, leader, server, since)
        {
            let seen = format!(
                "{server} has received messages with the entries of its leader {leader}, but at index {index} it \
                 kept an entry of term {term}, which it committed at {now}"
            );
            found.add_unless_retracted(event, changes_role_or_term, Rule::TruncateOnConflict, seen, &[server, leader]);
            return;
        }
        let there = leader_replica.log.term_at(index);
        let there = there.map_or("nothing".to_string(), |there| format!("an entry of term {there}"));
        let seen = format!(
            "{server} committed index {index} at {now}, where it has an entry of term {term}, but its leader {leader} \
             has {there}"
        );
        found.add_unless_retracted(event, changes_role_or_term, Rule::CommitLastNewEntry, seen, &[server, leader]);
    }
}

fn leader_committed(
    state: &ReplayState,
    event: &Event,
    server: ServerId,
    replica: &ServerState,
    (index, term): (Index, Term),
    found: &mut Findings,
) {
    let (now, leads_in) = (time(event.at), replica.term.value);
    if term < leads_in {
        let seen = format!(
            "{server}, leader of term {leads_in}, committed index {index} at {now}, although that entry is of the \
             older term {term}, not of its own term"
        );
        found.add_unless_retracted(event, changes_role_or_term, Rule::CommitOwnTerm, seen, &[server]);
        return;
    }
    let has =
        |other: &ServerState| other.inconsistent || other.log.base >= index || other.log.term_at(index) == Some(term);
    let holders: Vec<ServerId> =
        (0..state.servers.len()).map(ServerId).filter(|&other| has(&state.servers[other.0])).collect();
    if !state.is_majority(holders.len()) {
        let names: Vec<String> = holders.iter().map(ToString::to_string).collect();
        let seen = format!(
            "{server}, leader of term {leads_in}, committed index {index} at {now}, when the entry was in {} of {} logs: {}",
            holders.len(),
            state.servers.len(),
            names.join(", ")
        );
        let all: Vec<ServerId> = (0..state.servers.len()).map(ServerId).collect();
        let (rule, seen) = match replica.stale_reply(event.at) {
            Some(StaleReply { from, sent_in, .. }) => {
                let why = format!(
                    "; {server} had just received the reply of {from} to a request that it had sent in \
                                   term {sent_in}"
                );
                (Rule::DropStaleReplies, seen + &why)
            }
            None => (Rule::CommitMajority, seen),
        };
        found.add_unless_retracted(event, changes_role_or_term, rule, seen, &all);
    }
}

/// Formats `index 5`, or `indexes 5 to 7`.
pub(crate) fn indexes(first: Index, last: Index) -> String {
    if first == last { format!("index {first}") } else { format!("indexes {first} to {last}") }
}
