//! Clients of a key/value service: how their operations end, and what those wait for that do not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use record::{Event, EventKind, OperationKind, Role, ServerId};

use super::evidence::Evidence;
use super::finding::{Findings, time};
use super::replay::ReplayState;
use super::rule::Rule;

/// What a client asked during the last while is looked at when its operation never ended, in nanoseconds.
const RECENT: u64 = 1_500_000_000;

/// Fewer calls than this tell nothing of how a clerk chooses.
const CALLS_MIN: usize = 4;

/// Operations under way, and the calls of clerks.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    in_flight: BTreeMap<u64, (u32, OperationKind, String)>,
    /// Whether somebody has read a value that has the same element twice, one not far from the other.
    duplicate_seen: bool,
    /// When a clerk's call was last answered.
    answered_at: Option<u64>,
    /// The clerk's call that was lost last, and to whom it went.
    lost: Option<(u64, Option<ServerId>)>,
    /// When clerks' calls were sent, and to whom; the last ones alone.
    sent: VecDeque<(u64, ServerId)>,
    /// Clerks' calls that a server has, and since when.
    waiting: BTreeMap<u64, (u64, ServerId)>,
}

impl Clients {
    /// Looks at an event, before it has changed the world.
    pub(crate) fn observe(&mut self, state: &ReplayState, event: &Event, found: &mut Findings) {
        if !state.kv {
            return;
        }
        let at = event.at;
        let clerk_call = |call: &u64| state.calls.get(call).filter(|call| call.from.is_none());
        match &event.kind {
            EventKind::OperationBegun { operation, client, what, key, .. } => {
                self.in_flight.insert(*operation, (*client, *what, key.clone()));
            }
            EventKind::OperationEnded { operation, value } => {
                self.duplicate_seen |= has_duplicate_element(&value.end);
                let begun = self.in_flight.remove(operation);
                // In a simulation a call's end and what follows from it have the same time.
                if state.simulated
                    && let (Some((client, what, key)), Some((lost_at, to))) = (begun, self.lost)
                    && lost_at == at
                    && self.answered_at != Some(at)
                {
                    let to = to.map_or("nobody".to_string(), |to| to.to_string());
                    let seen = format!(
                        "client {client} took its {what} of key '{key}' for done at {}, when its call to {to} was lost",
                        time(at)
                    );
                    found.add(Rule::RetryUntilReply, seen, &[]);
                }
            }
            EventKind::RpcSent { from: None, to: record::Peer::Server(to), .. } => {
                while self.sent.front().is_some_and(|(sent, _)| sent + RECENT <= at) {
                    self.sent.pop_front();
                }
                self.sent.push_back((at, *to));
            }
            EventKind::RpcDelivered { call } => {
                if let Some(to) = clerk_call(call).and_then(|call| call.to) {
                    self.waiting.insert(*call, (at, to));
                }
            }
            EventKind::RpcAnswered { call, .. } => {
                self.waiting.remove(call);
                if clerk_call(call).is_some() {
                    self.answered_at = Some(at);
                }
            }
            EventKind::RpcLost { call, .. } => {
                self.waiting.remove(call);
                if let Some(lost) = clerk_call(call) {
                    self.lost = Some((at, lost.to));
                }
            }
            _ => {}
        }
    }

    /// What the last while of the record says about an operation that has no answer.
    pub(crate) fn finish(&self, state: &ReplayState, at: u64, evidence: &mut Evidence) {
        let all = [Rule::AnswerDuplicates, Rule::AnswerWaitingClients, Rule::DetectLostLeadership, Rule::TryAnotherServer];
        let decide = |evidence: &mut Evidence, rule| {
            all.into_iter().filter(|other| *other != rule).for_each(|other| evidence.rules_out(other));
            evidence.supports(rule);
        };
        if self.duplicate_seen {
            // What is there twice was not forgotten.
            let forgetful = [Rule::ReadsNeedQuorum, Rule::RestoreSnapshotOnStart, Rule::InstallResetsService];
            forgetful.into_iter().for_each(|rule| evidence.rules_out(rule));
        }
        if self.in_flight.is_empty() {
            return;
        }
        let waits = self.waiting.values().filter(|(since, _)| since + RECENT < at).map(|(_, server)| *server).next();
        let asked: BTreeSet<ServerId> =
            self.sent.iter().filter(|(sent, _)| sent + RECENT > at).map(|(_, server)| *server).collect();
        let leader = state.leaders.last_key_value().map(|(_, leader)| *leader);
        if let Some(server) = waits {
            let leads = Some(server) == leader && state.servers[server.0].role == Some(Role::Leader);
            decide(evidence, if leads { Rule::AnswerWaitingClients } else { Rule::DetectLostLeadership });
        } else if self.sent.len() >= CALLS_MIN {
            let one_server_only = asked.len() == 1 && asked.first().copied() != leader;
            decide(evidence, if one_server_only { Rule::TryAnotherServer } else { Rule::AnswerDuplicates });
        }
    }
}

/// Whether an element that a client appends, as `x 3 17 y`, is twice in the end of a value.
fn has_duplicate_element(end: &str) -> bool {
    let elements: Vec<&str> = end.split_inclusive('y').filter(|element| element.starts_with("x ")).collect();
    let mut seen = BTreeSet::new();
    elements.into_iter().any(|element| !seen.insert(element))
}
