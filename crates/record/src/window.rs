//! Shortens a long record: in a window of it, calls that were sent and received their replies become a count. Lost
//! calls stay, and so do calls that reach across the edge of the window, and all other events.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::decode::Events;
use crate::{Event, EventKind};

/// The number of chunks in a window.
pub(crate) const CHUNKS: usize = 4;

/// A piece of a stream.
pub(crate) struct Chunk {
    /// Whole events, encoded.
    pub(crate) events: Bytes,
    /// The time of the last event, in nanoseconds.
    pub(crate) until: u64,
}

/// Returns the events of a window without the calls that completed in it, and the number of omitted events.
pub(crate) fn omit_completed_calls(window: &[Chunk]) -> (Chunk, u64) {
    let events = || Events::new(window.iter().map(|chunk| chunk.events.clone()).collect());
    let (mut sent, mut completed) = (BTreeSet::new(), BTreeSet::new());
    for event in events() {
        match event.kind {
            EventKind::RpcSent { call, .. } => {
                sent.insert(call);
            }
            EventKind::RpcReplied { call, .. } if sent.contains(&call) => {
                completed.insert(call);
            }
            _ => {}
        }
    }
    let (mut kept, mut omitted, mut bytes_omitted, mut since) = (Vec::new(), 0, 0, None);
    for event in events() {
        since.get_or_insert(event.at);
        match event.kind {
            EventKind::RpcSent { call, bytes, .. } | EventKind::RpcReplied { call, bytes }
                if completed.contains(&call) =>
            {
                bytes_omitted += bytes;
                omitted += 1;
            }
            EventKind::RpcDelivered { call } if completed.contains(&call) => omitted += 1,
            _ => labgob::encode_into(&event, &mut kept),
        }
    }
    let until = window.last().map_or(0, |chunk| chunk.until);
    if !completed.is_empty() {
        let (since, calls) = (since.unwrap_or(until), completed.len() as u64);
        let kind = EventKind::CallsOmitted { since, calls, bytes: bytes_omitted };
        labgob::encode_into(&Event { at: until, server: None, kind }, &mut kept);
    }
    (Chunk { events: kept.into(), until }, omitted)
}
