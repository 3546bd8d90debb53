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
    believed: Vec<(Finding, Vec<ServerId>)>,
    held: Vec<Held>,
}

/// A finding that would be none if its server's next report were another one.
#[derive(Debug)]
struct Held {
    finding: Finding,
    rests_on: Vec<ServerId>,
    server: ServerId,
    at: u64,
    /// Which reports take it back: a server may report two changes of one moment in the wrong order.
    unless: fn(&EventKind) -> bool,
}

/// So long after a report the next one may belong to the same moment, in nanoseconds.
pub(crate) const MOMENT: u64 = 1_000_000;

/// More than this are of no interest: what comes first counts.
const FINDINGS_MAX: usize = 64;

impl Findings {
    /// `rule` is broken, as `seen`; it rests on what these servers have reported of their logs.
    pub(crate) fn add(&mut self, rule: Rule, seen: String, rests_on: &[ServerId]) {
        if self.believed.len() < FINDINGS_MAX {
            self.believed.push((Finding { rule, seen }, rests_on.to_vec()));
        }
    }

    /// The same, unless the next report of the event's server belongs to the same moment and is one of `unless`.
    pub(crate) fn add_unless(
        &mut self,
        event: &Event,
        unless: fn(&EventKind) -> bool,
        rule: Rule,
        seen: String,
        rests_on: &[ServerId],
    ) {
        let Some(server) = event.server else { return };
        let finding = Finding { rule, seen };
        self.held.push(Held { finding, rests_on: rests_on.to_vec(), server, at: event.at, unless });
    }

    /// Looks at the next event: what is held is believed now, or not at all.
    pub(crate) fn settle(&mut self, event: &Event) {
        if self.held.is_empty() || !is_report(&event.kind) && event.at < self.held[0].at + MOMENT {
            return;
        }
        for held in std::mem::take(&mut self.held) {
            let of_its_moment = event.at < held.at + MOMENT;
            if of_its_moment && Some(held.server) != event.server {
                self.held.push(held);
            } else if !of_its_moment || !(held.unless)(&event.kind) {
                self.add(held.finding.rule, held.finding.seen, &held.rests_on);
            }
        }
    }

    /// The first of them. What rests on logs that turned out to be `inconsistent` counts for nothing.
    pub(crate) fn first(mut self, inconsistent: impl Fn(ServerId) -> bool) -> Option<Finding> {
        for held in std::mem::take(&mut self.held) {
            self.add(held.finding.rule, held.finding.seen, &held.rests_on);
        }
        let mut believed = self.believed.into_iter();
        believed.find(|(_, rests_on)| !rests_on.iter().any(|&server| inconsistent(server))).map(|(finding, _)| finding)
    }
}

/// The server has changed its role or its term.
pub(crate) fn new_standing(kind: &EventKind) -> bool {
    matches!(kind, EventKind::RoleChanged { .. } | EventKind::TermChanged { .. } | EventKind::Restored { .. })
}

/// A time as findings have it: `1.234 s`.
pub(crate) fn time(at: u64) -> String {
    format!("{:.3} s", at as f64 / 1e9)
}
