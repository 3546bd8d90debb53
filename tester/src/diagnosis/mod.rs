//! Why a run failed: the rule that was broken, found in the record of the run, or guessed from the check that did not hold.
//!
//! A record says, event by event, what the network, the tester and the servers did. The state of each server at each moment
//! is put together again from it (`replay.rs`), and detectors look for the first moment in which a rule is broken: in
//! `votes.rs`, in `logs.rs` and commit indexes, over `restarts.rs`, in election `timers.rs`, in the `traffic.rs`, in what
//! `services.rs` apply and how `clients.rs` are answered. What a Raft does not report of itself ([`raftapi::report`]) they
//! cannot see; then there is nothing but the network, the faults, and the check itself, which names the rules that it
//! considers, the likeliest first. The record strikes out those that it speaks against (`evidence.rs`).
//!
//! A diagnosis is a function of the record and of the failure. It is made of runs that failed, and of no others.

mod clients;
mod evidence;
mod finding;
mod locks;
mod logs;
mod replay;
mod restarts;
mod rule;
mod services;
mod timers;
mod traffic;
mod votes;

#[cfg(test)]
mod tests;

use std::fmt;

use labstd::{Failure, ThreadStatus};
use record::Event;

pub use finding::Finding;
pub use rule::Rule;

use clients::Clients;
use evidence::Evidence;
use finding::Findings;
use logs::Logs;
use replay::ReplayState;
use restarts::Restarts;
use services::Services;
use timers::Timers;
use traffic::Traffic;

/// So many rules are named at most where none is proved.
const LIKELY_MAX: usize = 3;

/// The rules that a failed run broke, or may have broken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// The earliest break of a rule that the record shows.
    pub found: Option<Finding>,
    /// If it shows none: what the check that did not hold takes for the cause, the likeliest first, at most three.
    pub likely: Vec<Rule>,
}

impl Diagnosis {
    /// The first rule that it names.
    pub fn first(&self) -> Option<Rule> {
        self.found.as_ref().map(|found| found.rule).or(self.likely.first().copied())
    }

    /// `text` with what was found below its first line: what follows there may be long, such as what each thread was doing.
    pub(crate) fn insert_into(&self, text: &str) -> String {
        let (first, rest) = text.split_once('\n').map_or((text, None), |(first, rest)| (first, Some(rest)));
        let found = self.to_string();
        let found = (!found.is_empty()).then_some(found.as_str());
        [Some(first), found, rest].into_iter().flatten().collect::<Vec<_>>().join("\n")
    }
}

/// A line a rule; below one that was found, a line with what was seen.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Finding { rule, seen }) = &self.found {
            return write!(f, "rule:    {rule}\nseen:    {seen}");
        }
        for (place, rule) in self.likely.iter().enumerate() {
            let what = if place == 0 { "likely rule:" } else { "\n    or rule:" };
            write!(f, "{what} {rule}")?;
        }
        Ok(())
    }
}

/// Finds the rule that was broken in a run that failed because a check did not hold. `likely` are the rules that the check
/// considers, and `threads` what each thread was doing then.
pub(crate) fn diagnose_check(events: impl Iterator<Item = Event>, likely: &[Rule], threads: &[ThreadStatus]) -> Diagnosis {
    match locks::diagnose_threads(threads) {
        Some(found) => Diagnosis { found: Some(found), likely: Vec::new() },
        None => diagnose_record(events, likely),
    }
}

/// Finds the rule that was broken in a run that came to an end of another sort.
pub(crate) fn diagnose_failure(events: impl Iterator<Item = Event>, failure: &Failure) -> Diagnosis {
    let likely: &[Rule] = match failure {
        Failure::TimeLimit { .. } => {
            &[Rule::AnswerDuplicates, Rule::AnswerWaitingClients, Rule::DetectLostLeadership, Rule::TryAnotherServer]
        }
        Failure::StepLimit { .. } => &[Rule::HeartbeatWhenIdle],
        _ => &[],
    };
    match locks::diagnose_failure(failure) {
        Some(found) => Diagnosis { found: Some(found), likely: Vec::new() },
        None => diagnose_record(events, likely),
    }
}

/// The first rule that the events show to be broken; if there is none, those of `likely` that they leave.
pub fn diagnose_record(events: impl Iterator<Item = Event>, likely: &[Rule]) -> Diagnosis {
    let mut detectors = Detectors::default();
    events.for_each(|event| detectors.observe(&event));
    detectors.finish(likely)
}

/// All detectors, and the world that they look at.
#[derive(Debug, Default)]
struct Detectors {
    state: ReplayState,
    found: Findings,
    evidence: Evidence,
    logs: Logs,
    restarts: Restarts,
    timers: Timers,
    traffic: Traffic,
    services: Services,
    clients: Clients,
    latest: u64,
}

impl Detectors {
    fn observe(&mut self, event: &Event) {
        let (state, found) = (&self.state, &mut self.found);
        self.latest = event.at;
        found.settle(event);
        votes::observe(state, event, found);
        self.logs.observe(state, event, found);
        self.restarts.observe(state, event, found);
        self.timers.observe(state, event, found);
        self.traffic.observe(event, found);
        self.services.observe(state, event, found);
        self.clients.observe(state, event, found);
        self.evidence.observe(event);
        self.state.apply(event);
    }

    fn finish(mut self, likely: &[Rule]) -> Diagnosis {
        self.restarts.finish(&self.state, &mut self.found);
        self.timers.finish(&self.state, self.latest, &mut self.found);
        if let Some(rule) = self.timers.stuck_rule {
            self.evidence.propose(rule);
        }
        self.clients.finish(&self.state, self.latest, &mut self.evidence);
        self.evidence.finish();
        let state = self.state;
        let unreliable = |server: record::ServerId| state.servers.get(server.0).is_none_or(|replica| replica.inconsistent);
        match self.found.first(unreliable) {
            Some(found) => Diagnosis { found: Some(found), likely: Vec::new() },
            None => Diagnosis { found: None, likely: self.evidence.choose(likely, LIKELY_MAX) },
        }
    }
}
