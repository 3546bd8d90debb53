//! Clients of a key/value service: how their operations end, and why some never end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ids::ServerId;
use record::{Event, EventKind, OperationKind, Role};

use super::evidence::Evidence;
use super::finding::{Findings, time};
use super::replay::ReplayState;
use super::rule::Rule;

/// Length of the recent window in nanoseconds. When an operation never ends, the calls in this window before the end of
/// the record are examined.
const RECENT: u64 = 1_500_000_000;

/// Minimum number of calls from which a clerk's choice of servers can be judged.
const CALLS_MIN: usize = 4;

/// Operations in flight, and the calls of clerks.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    in_flight: BTreeMap<u64, (u32, OperationKind, String)>,
    /// Whether some client has read a value that contains the same element twice, close together.
    duplicate_seen: bool,
    /// Time of the last reply to a clerk's call.
    answered_at: Option<u64>,
    /// Time and target server of the last lost call of a clerk.
    lost: Option<(u64, Option<ServerId>)>,
    /// Times and target servers of clerks' calls; only the recent ones.
    sent: VecDeque<(u64, ServerId)>,
    /// Clerks' calls that a server is handling, each with its arrival time and the server.
    waiting: BTreeMap<u64, (u64, ServerId)>,
}

impl Clients {
    /// Examines an event before it is applied to the state.
    pub(crate) fn observe(&mut self, state: &ReplayState, event: &Event, found: &mut Findings) {
        if !state.kv {
            return;
        }
        let at = event.at;
        let clerk_call = |call: &u64| state.calls.get(call).filter(|call| call.from.is_none());
        match &event.kind {
            EventKind::OperationBegun { operation, client, kind, key, .. } => {
                self.in_flight.insert(*operation, (*client, *kind, key.clone()));
            }
            EventKind::OperationEnded { operation, value } => {
                self.duplicate_seen |= has_duplicate_element(&value.end);
                let begun = self.in_flight.remove(operation);
                // In a simulation, the end of a call and its consequences have the same time.
                if state.simulated
                    && let (Some((client, kind, key)), Some((lost_at, to))) = (begun, self.lost)
                    && lost_at == at
                    && self.answered_at != Some(at)
                {
                    let to = to.map_or("no server".to_string(), |to| to.to_string());
                    let seen = format!(
                        "client {client} treated its {kind} of key '{key}' as done at {}, when its call to {to} was \
                         lost",
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
            EventKind::RpcReplied { call, .. } => {
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

    /// Evaluates the recent part of the record for an operation that was never answered.
    pub(crate) fn finish(&self, state: &ReplayState, at: u64, evidence: &mut Evidence) {
        let all =
            [Rule::AnswerDuplicates, Rule::AnswerWaitingClients, Rule::DetectLostLeadership, Rule::TryAnotherServer];
        let decide = |evidence: &mut Evidence, rule| {
            all.into_iter().filter(|other| *other != rule).for_each(|other| evidence.rules_out(other));
            evidence.supports(rule);
        };
        if self.duplicate_seen {
            // An element that is there twice was not forgotten.
            let forgetful = [Rule::ReadsNeedQuorum, Rule::RestoreSnapshotOnStart, Rule::InstallResetsService];
            forgetful.into_iter().for_each(|rule| evidence.rules_out(rule));
        }
        if self.in_flight.is_empty() {
            return;
        }
        let waits = self.waiting.values().filter(|(since, _)| since + RECENT < at).map(|(_, server)| *server).next();
        let called: BTreeSet<ServerId> =
            self.sent.iter().filter(|(sent, _)| sent + RECENT > at).map(|(_, server)| *server).collect();
        let leader = state.leaders.last_key_value().map(|(_, leader)| *leader);
        if let Some(server) = waits {
            let leads = Some(server) == leader && state.servers[server.0].role == Some(Role::Leader);
            decide(evidence, if leads { Rule::AnswerWaitingClients } else { Rule::DetectLostLeadership });
        } else if self.sent.len() >= CALLS_MIN {
            let one_server_only = called.len() == 1 && called.first().copied() != leader;
            decide(evidence, if one_server_only { Rule::TryAnotherServer } else { Rule::AnswerDuplicates });
        }
    }
}

/// Returns whether an element that a client appends, such as `x 3 17 y`, occurs twice in the end of a value.
fn has_duplicate_element(end: &str) -> bool {
    let elements: Vec<&str> = end.split_inclusive('y').filter(|element| element.starts_with("x ")).collect();
    let mut seen = BTreeSet::new();
    elements.into_iter().any(|element| !seen.insert(element))
}
