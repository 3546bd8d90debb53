//! Diagnosis of a failed run: the broken rule, found in the record of the run or suggested by the check that did not
//! hold.
//!
//! A record says, event by event, what the network, the tester and the servers did. `replay.rs` reconstructs the state
//! of each server at each moment. Each detector looks for the first moment at which a rule of its topic is broken. The
//! topics are `votes.rs`, `campaigns.rs`, `logs.rs` (with commit indexes), `restarts.rs`, election `timers.rs`,
//! `traffic.rs`, missing progress (`stalls.rs`), the entries that services apply (`services.rs`), and the replies to
//! clients (`clients.rs`).
//!
//! The detectors cannot see state that a Raft does not report (`raftapi::report`). Then only the network, the faults
//! and the check itself remain. The check names the rules that it considers, the most likely first, and the record
//! rules some of them out (`evidence.rs`).
//!
//! A diagnosis is a function of the record and of the failure. Only failed runs are diagnosed.

mod campaigns;
mod carriers;
mod clients;
mod evidence;
mod finding;
mod locks;
mod logs;
mod replay;
mod report;
mod restarts;
mod rule;
mod services;
mod stalls;
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

use campaigns::Campaigns;
use clients::Clients;
use evidence::Evidence;
use finding::Findings;
use logs::Logs;
use replay::ReplayState;
use restarts::Restarts;
use services::Services;
use stalls::Stalls;
use timers::Timers;
use traffic::Traffic;

/// Maximum number of likely rules that are named if no broken rule is proved.
const LIKELY_MAX: usize = 3;

/// Rules that a failed run broke or may have broken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// The earliest broken rule that the record proves.
    pub found: Option<Finding>,
    /// If the record proves none: the likely rules of the failed check, the most likely first, at most three.
    pub likely: Vec<Rule>,
}

impl Diagnosis {
    /// Returns the first rule that the diagnosis names.
    pub fn first(&self) -> Option<Rule> {
        self.found.as_ref().map(|found| found.rule).or(self.likely.first().copied())
    }

    /// Inserts the diagnosis below the first line of `text`. The rest of the text may be long, such as the activities
    /// of all threads.
    pub fn insert_into(&self, text: &str) -> String {
        let (first, rest) = text.split_once('\n').map_or((text, None), |(first, rest)| (first, Some(rest)));
        let found = self.to_string();
        let found = (!found.is_empty()).then_some(found.as_str());
        [Some(first), found, rest].into_iter().flatten().collect::<Vec<_>>().join("\n")
    }
}

/// One line per rule; below a proved rule, one line with the evidence.
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

/// Finds the broken rule of a run that failed because a check did not hold. `likely` contains the rules that the check
/// considers, `threads` the activity of each thread at that time.
pub fn diagnose_check(events: impl Iterator<Item = Event>, likely: &[Rule], threads: &[ThreadStatus]) -> Diagnosis {
    match locks::diagnose_threads(threads) {
        Some(found) => Diagnosis { found: Some(found), likely: Vec::new() },
        None => diagnose_record(events, likely),
    }
}

/// Finds the broken rule of a run that failed in another way.
pub fn diagnose_failure(events: impl Iterator<Item = Event>, failure: &Failure) -> Diagnosis {
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

/// Returns the first rule that the events prove broken. If there is none, returns those rules of `likely` that the
/// events do not rule out.
pub fn diagnose_record(events: impl Iterator<Item = Event>, likely: &[Rule]) -> Diagnosis {
    let mut detectors = Detectors::default();
    events.for_each(|event| detectors.observe(&event));
    detectors.finish(likely)
}

/// All detectors, and the state that they examine.
#[derive(Debug, Default)]
struct Detectors {
    state: ReplayState,
    found: Findings,
    evidence: Evidence,
    logs: Logs,
    restarts: Restarts,
    timers: Timers,
    campaigns: Campaigns,
    stalls: Stalls,
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
        self.campaigns.observe(state, event, found);
        self.stalls.observe(state, event);
        self.traffic.observe(event, found);
        self.services.observe(state, event, found);
        self.clients.observe(state, event, found);
        self.evidence.observe(event);
        self.state.apply(event);
    }

    fn finish(mut self, likely: &[Rule]) -> Diagnosis {
        self.restarts.finish(&self.state, &mut self.found);
        self.campaigns.finish(&mut self.found);
        self.stalls.finish(&self.state, self.latest, &mut self.found);
        self.timers.finish(&self.state, self.latest, &mut self.found);
        if let Some(rule) = self.timers.stuck_rule {
            self.evidence.propose(rule);
        }
        self.clients.finish(&self.state, self.latest, &mut self.evidence);
        self.evidence.finish();
        let state = self.state;
        let unreliable = |server: ids::ServerId| state.servers.get(server.0).is_none_or(|replica| replica.inconsistent);
        match self.found.first(unreliable) {
            Some(found) => Diagnosis { found: Some(found), likely: Vec::new() },
            None => Diagnosis { found: None, likely: self.evidence.choose(likely, LIKELY_MAX) },
        }
    }
}
