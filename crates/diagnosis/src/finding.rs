//! Findings of the detectors, and when they are confirmed.

use ids::ServerId;
use record::{Event, EventKind};

use super::report::{MOMENT, is_report};
use super::rule::Rule;

/// A broken rule, and the evidence in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The broken rule.
    pub rule: Rule,
    /// The evidence: servers, terms, indexes, and times.
    pub seen: String,
}

/// All findings, the earliest first.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Confirmed findings, with the servers on whose logs they are based.
    confirmed: Vec<(Finding, Vec<ServerId>)>,
    tentative: Vec<TentativeFinding>,
}

/// A finding that the server's next report may retract.
#[derive(Debug)]
struct TentativeFinding {
    finding: Finding,
    log_sources: Vec<ServerId>,
    server: ServerId,
    at: u64,
    /// Returns whether a report retracts the finding: a server may report two changes of one moment in the wrong order.
    retracted_by: fn(&EventKind) -> bool,
}

/// Maximum number of findings that are kept; only the earliest ones matter.
const FINDINGS_MAX: usize = 64;

impl Findings {
    /// Adds a confirmed finding: `rule` is broken, as `seen` describes. The finding is based on the logs that
    /// `log_sources` reported.
    pub(crate) fn add(&mut self, rule: Rule, seen: String, log_sources: &[ServerId]) {
        if self.confirmed.len() < FINDINGS_MAX {
            self.confirmed.push((Finding { rule, seen }, log_sources.to_vec()));
        }
    }

    /// Adds a finding, unless the next report of the event's server belongs to the same moment and satisfies
    /// `retracted_by`.
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
        self.tentative.push(TentativeFinding {
            finding,
            log_sources: log_sources.to_vec(),
            server,
            at: event.at,
            retracted_by,
        });
    }

    /// Confirms or drops tentative findings, given the next event.
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

    /// Returns the first finding whose logs are all consistent.
    pub(crate) fn first(mut self, inconsistent: impl Fn(ServerId) -> bool) -> Option<Finding> {
        for tentative in std::mem::take(&mut self.tentative) {
            self.add(tentative.finding.rule, tentative.finding.seen, &tentative.log_sources);
        }
        let mut confirmed = self.confirmed.into_iter();
        confirmed
            .find(|(_, log_sources)| !log_sources.iter().any(|&server| inconsistent(server)))
            .map(|(finding, _)| finding)
    }
}

/// Returns whether the server has changed its role or its term.
pub(crate) fn changes_role_or_term(kind: &EventKind) -> bool {
    matches!(kind, EventKind::RoleChanged { .. } | EventKind::TermChanged { .. } | EventKind::Restored { .. })
}

/// Formats a time as findings show it: `1.234 s`.
pub(crate) fn time(at: u64) -> String {
    format!("{:.3} s", at as f64 / 1e9)
}
