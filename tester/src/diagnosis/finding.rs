//! What a detector has found, and when it is believed.

use record::{Event, EventKind, ServerId};

use super::replay::is_report;
use super::rule::Rule;

/// A rule that was broken, and how the record shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// What was seen: servers, terms, indexes, and when.
    pub seen: String,
}

/// Everything that was found, the earliest first.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// With the servers on whose logs they rest.
    confirmed: Vec<(Finding, Vec<ServerId>)>,
    tentative: Vec<TentativeFinding>,
}

/// A finding that would be none if its server's next report were another one.
#[derive(Debug)]
struct TentativeFinding {
    finding: Finding,
    log_sources: Vec<ServerId>,
    server: ServerId,
    at: u64,
    /// Which reports take it back: a server may report two changes of one moment in the wrong order.
    retracted_by: fn(&EventKind) -> bool,
}

/// So long after a report the next one may belong to the same moment, in nanoseconds.
pub(crate) const MOMENT: u64 = 1_000_000;

/// More than this are of no interest: what comes first counts.
const FINDINGS_MAX: usize = 64;

impl Findings {
    /// `rule` is broken, as `seen`; it rests on what these servers have reported of their logs.
    pub(crate) fn add(&mut self, rule: Rule, seen: String, log_sources: &[ServerId]) {
        if self.confirmed.len() < FINDINGS_MAX {
            self.confirmed.push((Finding { rule, seen }, log_sources.to_vec()));
        }
    }

    /// The same, unless the next report of the event's server belongs to the same moment and is one of `retracted_by`.
    pub(crate) fn add_unless_retracted(
        &mut self,
        event: &Event,
        retracted_by: fn(&EventKind) -> bool,
        rule: Rule,
        seen: String,
        log_sources: &[ServerId],
    ) {
        let Some(server) = event.server else { return };
        let finding = Finding { rule, seen };
        self.tentative.push(TentativeFinding { finding, log_sources: log_sources.to_vec(), server, at: event.at, retracted_by });
    }

    /// Looks at the next event: what is held is believed now, or not at all.
    pub(crate) fn settle(&mut self, event: &Event) {
        if self.tentative.is_empty() || !is_report(&event.kind) && event.at < self.tentative[0].at + MOMENT {
            return;
        }
        for tentative in std::mem::take(&mut self.tentative) {
            let of_its_moment = event.at < tentative.at + MOMENT;
            if of_its_moment && Some(tentative.server) != event.server {
                self.tentative.push(tentative);
            } else if !of_its_moment || !(tentative.retracted_by)(&event.kind) {
                self.add(tentative.finding.rule, tentative.finding.seen, &tentative.log_sources);
            }
        }
    }

    /// The first of them. What rests on logs that turned out to be `inconsistent` counts for nothing.
    pub(crate) fn first(mut self, inconsistent: impl Fn(ServerId) -> bool) -> Option<Finding> {
        for tentative in std::mem::take(&mut self.tentative) {
            self.add(tentative.finding.rule, tentative.finding.seen, &tentative.log_sources);
        }
        let mut confirmed = self.confirmed.into_iter();
        confirmed.find(|(_, log_sources)| !log_sources.iter().any(|&server| inconsistent(server))).map(|(finding, _)| finding)
    }
}

/// The server has changed its role or its term.
pub(crate) fn changes_role_or_term(kind: &EventKind) -> bool {
    matches!(kind, EventKind::RoleChanged { .. } | EventKind::TermChanged { .. } | EventKind::Restored { .. })
}

/// A time as findings have it: `1.234 s`.
pub(crate) fn time(at: u64) -> String {
    format!("{:.3} s", at as f64 / 1e9)
}
