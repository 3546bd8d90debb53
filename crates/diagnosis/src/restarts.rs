//! Restarts: state that a server had told others, and no longer had after a restart.

use ids::{Index, ServerId, Term};
use record::{Event, EventKind, Fault};

use super::finding::{Findings, time};
use super::logs::indexes;
use super::replay::{Log, ReplayState, Tracked, Vote};
use super::report::is_report;
use super::rule::Rule;

/// State of servers before they crashed.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    before: Vec<Option<BeforeCrash>>,
}

/// State of one server before it crashed.
#[derive(Debug)]
struct BeforeCrash {
    term: Tracked<Term>,
    vote: Option<Vote>,
    log: Log,
    /// Sequence number of its last save, if it reported any.
    saved: u64,
    /// Time when it reported its restored state, if it has.
    back: Option<u64>,
}

impl Restarts {
    /// Examines an event before it is applied to the state.
    pub(crate) fn observe(&mut self, state: &ReplayState, event: &Event, found: &mut Findings) {
        self.before.resize_with(state.servers.len(), || None);
        if let EventKind::Fault(Fault::Restart(servers)) = &event.kind {
            for server in servers {
                if let Some(replica) = state.servers.get(server.0).filter(|replica| !replica.inconsistent) {
                    let log = mark_known_to_others(state, *server);
                    let before =
                        BeforeCrash { term: replica.term, vote: replica.vote, log, saved: replica.saved, back: None };
                    self.before[server.0] = Some(before);
                }
            }
            return;
        }
        let Some((server, replica)) = state.of(event).filter(|_| is_report(&event.kind)) else { return };
        if let EventKind::Restored { term, vote, .. } = event.kind {
            if let Some(before) = &mut self.before[server.0] {
                before.back = Some(event.at);
                check_term_and_vote(server, before, term, vote, event, found);
            }
            return;
        }
        // A restarted server first reports the entries that it still has.
        let moment = if state.simulated { 0 } else { 1_000_000 };
        let back = self.before[server.0].as_ref().and_then(|before| before.back);
        let restores_entries =
            matches!(event.kind, EventKind::LogAppended { .. }) && back.is_some_and(|back| event.at <= back + moment);
        if !restores_entries && let Some(before) = self.before[server.0].take().filter(|before| before.back.is_some()) {
            check_entries(server, &before, &replica.log, found);
        }
    }

    /// Checks the remaining servers at the end of the record.
    pub(crate) fn finish(&mut self, state: &ReplayState, found: &mut Findings) {
        for (number, before) in std::mem::take(&mut self.before).into_iter().enumerate() {
            if let Some(before) = before.filter(|before| before.back.is_some()) {
                check_entries(ServerId(number), &before, &state.servers[number].log, found);
            }
        }
    }
}

/// Returns the log of `server`. Entries that it had first, and that are in another log now, are marked as known to
/// others: it has sent them. An entry that another server had before proves nothing, because `server` received it from
/// there.
fn mark_known_to_others(state: &ReplayState, server: ServerId) -> Log {
    let mut log = state.servers[server.0].log.clone();
    let others = || state.servers.iter().enumerate().filter(|(other, _)| *other != server.0).map(|(_, other)| other);
    log.mark_known_to_others(|index, entry| {
        let mut copies = others().filter_map(|other| other.log.entry(index)).filter(|copy| copy.term == entry.term);
        copies.next().is_some_and(|first| first.seq > entry.seq && copies.all(|copy| copy.seq > entry.seq))
    });
    log
}

/// Returns the broken rule for lost state, and the reason: the server saved its state without it,
/// or sent a message before it saved.
fn broken_save_rule(before: &BeforeCrash, seq: u64, what: Rule) -> (Rule, &'static str) {
    if before.saved > seq {
        (what, ", though it had saved its state since then")
    } else {
        (Rule::SaveBeforeReply, ", because it had sent a message before it saved its state")
    }
}

fn check_term_and_vote(
    server: ServerId,
    before: &BeforeCrash,
    term: Term,
    vote: Option<ServerId>,
    event: &Event,
    found: &mut Findings,
) {
    let now = time(event.at);
    if let Some(Vote { term: voted_in, to, at, seq, known_to_others: true }) = before.vote
        && (voted_in > term || voted_in == term && vote != Some(to))
    {
        let (rule, why) = broken_save_rule(before, seq, Rule::SaveVote);
        let has = match vote {
            Some(other) => format!("{other} had its vote of term {term}"),
            None => format!("it was in term {term} and had not voted"),
        };
        let then = time(at);
        let seen =
            format!("{server} voted for {to} in term {voted_in} at {then}; after its restart at {now}, {has}{why}");
        found.add(rule, seen, &[]);
    } else if before.term.known_to_others && before.term.value > term {
        let (rule, why) = broken_save_rule(before, before.term.seq, Rule::SaveTerm);
        let (then, value) = (time(before.term.at), before.term.value);
        let seen =
            format!("{server} was in term {value} from {then} on, but in term {term} after its restart at {now}{why}");
        found.add(rule, seen, &[]);
    }
}

fn check_entries(server: ServerId, before: &BeforeCrash, now: &Log, found: &mut Findings) {
    // The terms in a log never decrease. New entries may have come with a message since, but not these.
    let falls = now.entries().map(|(index, entry)| (index, entry.term)).find(|(index, term)| {
        *index > before.log.last() && now.term_at(index.prev()).is_some_and(|earlier| earlier > *term)
    });
    if let Some((index, term)) = falls {
        let back = time(before.back.unwrap_or_default());
        let seen = format!(
            "the log of {server} ended at index {} before its restart at {back}, and had {} of the older term {term} \
             after it: entries that it had removed from its log are back, because it had not saved that they were \
             removed",
            before.log.last(),
            indexes(index, now.last())
        );
        found.add(Rule::SaveLog, seen, &[server]);
    }
    let lost = |index: Index, term| index > now.base && now.term_at(index) != Some(term);
    let first = before.log.entries().find(|(index, entry)| entry.known_to_others && lost(*index, entry.term));
    let Some((index, entry)) = first else { return };
    let (rule, why) = broken_save_rule(before, entry.seq, Rule::SaveLog);
    let (gone, term, then) = (indexes(index, before.log.last()), entry.term, time(entry.at));
    let back = time(before.back.unwrap_or_default());
    let verb = if index == before.log.last() { "was" } else { "were" };
    let seen = format!(
        "{server} had added index {index} of term {term} at {then}; after its restart at {back}, {gone} \
         {verb} no longer in its log{why}"
    );
    found.add(rule, seen, &[server]);
}
