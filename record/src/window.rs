//! How a long record is made shorter: in a window of it, calls that were sent and answered become a count. Calls that were
//! lost, and those that reach across the edge of the window, stay; so does every other event.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::recorder::Events;
use crate::{Event, EventKind};

/// How many chunks a window has.
pub(crate) const CHUNKS: usize = 4;

/// A piece of a stream.
pub(crate) struct Chunk {
    /// Whole events, encoded.
    pub(crate) events: Bytes,
    /// The time of the last of them, in nanoseconds.
    pub(crate) until: u64,
}

/// The events of a window without the calls that were sent and answered in it, and how many events that leaves out.
pub(crate) fn without_answered_calls(window: &[Chunk]) -> (Chunk, u64) {
    let events = || Events::of(window.iter().map(|chunk| chunk.events.clone()).collect());
    let (mut sent, mut whole) = (BTreeSet::new(), BTreeSet::new());
    for event in events() {
        match event.kind {
            EventKind::RpcSent { call, .. } => {
                sent.insert(call);
            }
            EventKind::RpcAnswered { call, .. } if sent.contains(&call) => {
                whole.insert(call);
            }
            _ => {}
        }
    }
    let (mut thin, mut omitted, mut bytes_omitted, mut since) = (Vec::new(), 0, 0, None);
    for event in events() {
        since.get_or_insert(event.at);
        match event.kind {
            EventKind::RpcSent { call, bytes, .. } | EventKind::RpcAnswered { call, bytes }
                if whole.contains(&call) =>
            {
                bytes_omitted += bytes;
                omitted += 1;
            }
            EventKind::RpcDelivered { call } if whole.contains(&call) => omitted += 1,
            _ => labgob::encode_into(&event, &mut thin),
        }
    }
    let until = window.last().map_or(0, |chunk| chunk.until);
    if !whole.is_empty() {
        let (since, calls) = (since.unwrap_or(until), whole.len() as u64);
        let kind = EventKind::CallsOmitted { since, calls, bytes: bytes_omitted };
        labgob::encode_into(&Event { at: until, server: None, kind }, &mut thin);
    }
    (Chunk { events: thin.into(), until }, omitted)
}
