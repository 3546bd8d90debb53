//! Messages that carry entries: an AppendEntries with entries is longer than a heartbeat.

use std::collections::BTreeMap;

use ids::ServerId;
use record::{Event, EventKind, Loss, Peer};

use super::replay::ReplayState;

/// Number of bytes by which a message with an entry is at least longer than a heartbeat. The indexes and terms in a
/// heartbeat differ by less.
const ENTRY_BYTES_MIN: u64 = 12;

/// Messages with entries, as far as their lengths show it.
#[derive(Debug, Default)]
pub(crate) struct Carriers {
    /// Length of the shortest AppendEntries.
    heartbeat: Option<u64>,
    /// Lengths of the calls in flight.
    lengths: BTreeMap<u64, u64>,
    /// Time at which the latest answered call with entries was sent, by caller and server.
    answered: BTreeMap<(ServerId, ServerId), u64>,
}

impl Carriers {
    /// Examines an event before it is applied to the state.
    pub(crate) fn observe(&mut self, state: &ReplayState, event: &Event) {
        match &event.kind {
            EventKind::RpcSent { call, from: Some(_), to: Peer::Server(_), method, bytes, .. }
                if method.contains("Append") =>
            {
                self.heartbeat = Some(self.heartbeat.map_or(*bytes, |shortest| shortest.min(*bytes)));
                self.lengths.insert(*call, *bytes);
            }
            EventKind::RpcReplied { call, .. } | EventKind::RpcLost { call, reason: Loss::ReplyDropped } => {
                let Some(length) = self.lengths.remove(call) else { return };
                let heartbeat = self.heartbeat.unwrap_or(length);
                let Some(call) = state.calls.get(call).filter(|_| length >= heartbeat + ENTRY_BYTES_MIN) else {
                    return;
                };
                if let (Some(from), Some(to)) = (call.from, call.to) {
                    let latest = self.answered.entry((from, to)).or_default();
                    *latest = call.sent.max(*latest);
                }
            }
            EventKind::RpcLost { call, .. } => drop(self.lengths.remove(call)),
            _ => {}
        }
    }

    /// Returns whether `server` has received a message with entries that `leader` sent after `since`.
    pub(crate) fn received(&self, state: &ReplayState, leader: ServerId, server: ServerId, since: u64) -> bool {
        let carries = |call: &u64| {
            self.lengths
                .get(call)
                .zip(self.heartbeat)
                .is_some_and(|(length, shortest)| *length >= shortest + ENTRY_BYTES_MIN)
        };
        let arrived = state.calls.iter().any(|(number, call)| {
            (call.from, call.to) == (Some(leader), Some(server))
                && call.delivered.is_some()
                && call.sent >= since
                && carries(number)
        });
        arrived || self.answered.get(&(leader, server)).is_some_and(|&sent| sent >= since)
    }
}
