//! Messages without new content that are sent far more often than heartbeats may be.

use std::collections::BTreeMap;

use ids::ServerId;
use record::{Event, EventKind, Peer};

use super::finding::{Findings, time};
use super::rule::Rule;

/// Length of the examined period, in nanoseconds.
const WINDOW: u64 = 1_000_000_000;

/// Time after something new, in nanoseconds, within which messages may still result from it.
const SETTLE_TIME: u64 = 300_000_000;

/// Maximum number of messages from one server to another in an idle second that still count as heartbeats. The lab
/// allows twenty in all to each server of three.
const MESSAGES_MAX: u64 = 40;

/// Messages that are sent while there is nothing new.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Time since which there has been nothing new.
    idle_since: u64,
    /// Number of messages of one length since then, by sender and receiver.
    sent: BTreeMap<(ServerId, ServerId, u64), u64>,
    reported: bool,
}

impl Traffic {
    /// Examines an event.
    pub(crate) fn observe(&mut self, event: &Event, found: &mut Findings) {
        match &event.kind {
            EventKind::RpcSent { from: Some(from), to: Peer::Server(to), method, bytes, .. }
                if method.starts_with("Raft.") =>
            {
                if event.at < self.idle_since {
                    return;
                }
                *self.sent.entry((*from, *to, *bytes)).or_default() += 1;
                if event.at - self.idle_since >= WINDOW {
                    self.check_window(event.at, found);
                    self.start_window(event.at);
                }
            }
            EventKind::RpcDelivered { .. }
            | EventKind::RpcReplied { .. }
            | EventKind::RpcSent { from: Some(_), .. }
            | EventKind::RpcLost { .. }
            | EventKind::Persisted { .. }
            | EventKind::LogLine { .. }
            | EventKind::Annotated { .. } => {}
            EventKind::Check { .. } => {}
            _ => self.start_window(event.at + SETTLE_TIME),
        }
    }

    fn start_window(&mut self, at: u64) {
        self.idle_since = at;
        self.sent.clear();
    }

    fn check_window(&mut self, at: u64, found: &mut Findings) {
        let most = self.sent.iter().max_by_key(|(_, count)| **count);
        let Some((&(from, to, _), &count)) = most.filter(|(_, count)| **count > MESSAGES_MAX && !self.reported) else {
            return;
        };
        self.reported = true;
        let seconds = (at - self.idle_since) as f64 / 1e9;
        let (since, at) = (time(self.idle_since), time(at));
        let seen = format!(
            "{from} sent {count} messages of one length to {to} within {seconds:.1} s, from {since} to {at}, while \
             there was nothing new to send"
        );
        found.add(Rule::HeartbeatWhenIdle, seen, &[]);
    }
}
