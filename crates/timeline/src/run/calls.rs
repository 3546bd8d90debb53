//! RPCs as columns, and the intervals of a long run in which they are only counted.

use std::collections::BTreeMap;

use ids::ServerId;
use record::{Loss, Peer};

use super::columns::{Columns, zigzag};

/// One RPC. Times are in nanoseconds on the run's clock.
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) sent: u64,
    pub(super) from: Option<ServerId>,
    pub(super) to: Peer,
    /// The index of the text of its method.
    pub(super) method: u32,
    pub(super) bytes: u64,
    pub(super) delivered: Option<u64>,
    /// The time at which its reply arrived or it was lost.
    pub(super) ended: Option<u64>,
    pub(super) reply_bytes: u64,
    pub(super) outcome: RpcOutcome,
}

/// The outcome of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RpcOutcome {
    /// The run ended first.
    InFlight,
    Replied,
    Lost(u8),
}

impl RpcOutcome {
    pub(super) fn lost(why: Loss) -> RpcOutcome {
        let why = match why {
            Loss::RequestDropped => 0,
            Loss::ReplyDropped => 1,
            Loss::Unreachable => 2,
            Loss::ServerGone => 3,
            Loss::NetworkGone => 4,
            Loss::Abandoned => 5,
            Loss::Intercepted => 6,
        };
        RpcOutcome::Lost(why)
    }

    /// The code in the data: 0 for in flight, 1 for replied, from 2 on for lost. `assets/calls.js` has the words.
    fn code(self) -> u64 {
        match self {
            RpcOutcome::InFlight => 0,
            RpcOutcome::Replied => 1,
            RpcOutcome::Lost(why) => 2 + u64::from(why),
        }
    }
}

/// A number of calls that are only counted: `[since, until, calls]`.
pub(super) type CallCount = [u64; 3];

/// Selects a `share` of `calls` to keep, and counts the others. Lost calls and calls in flight are always kept. So are
/// the beginning and the end of the run; the end gets more, because failures are there.
pub(super) fn thin_out(calls: &[Call], share: f64) -> (Vec<&Call>, Vec<CallCount>) {
    /// The fraction of the kept calls that belongs to the beginning.
    const BEGINNING: f64 = 0.3;
    /// The largest number of counts into which the middle is divided.
    const WINDOWS: usize = 300;
    let kept = (calls.len() as f64 * share) as usize;
    let first = (kept as f64 * BEGINNING) as usize;
    let last = calls.len() - (kept - first).min(calls.len() - first);
    let middle = &calls[first..last];
    let mut windows = Vec::new();
    for chunk in middle.chunks(middle.len().div_ceil(WINDOWS).max(1)) {
        let left_out = chunk.iter().filter(|call| call.outcome == RpcOutcome::Replied).count();
        let (since, until) = (chunk[0].sent, chunk[chunk.len() - 1].sent);
        if left_out > 0 {
            windows.push([since, until, left_out as u64]);
        }
    }
    let middle = middle.iter().filter(|call| call.outcome != RpcOutcome::Replied);
    (calls[..first].iter().chain(middle).chain(&calls[last..]).collect(), windows)
}

/// Adds the columns of `calls`, with times as multiples of `step` nanoseconds. Returns the distinct `[from, to, method,
/// outcome]` to which the column `call_shape` refers. The ends of a call are 0 for a client, 1 for S0, and so on;
/// receivers that are not servers are numbered after the servers.
pub(super) fn add_columns(
    calls: &[&Call],
    named: &BTreeMap<String, usize>,
    servers: usize,
    step: u64,
    columns: &mut Columns,
) -> Vec<[u64; 4]> {
    let end = |call: &Call| match &call.to {
        Peer::Server(to) => 1 + to.0 as u64,
        Peer::Named(name) => 1 + (servers + named[name.as_ref()]) as u64,
    };
    let shape = |call: &Call| {
        let from = call.from.map_or(0, |from| 1 + from.0 as u64);
        [from, end(call), u64::from(call.method), call.outcome.code()]
    };
    // The most frequent shapes get the smallest numbers.
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(shape(call)).or_insert(0u32) += 1;
    }
    let mut shapes: Vec<[u64; 4]> = counts.keys().copied().collect();
    shapes.sort_by_key(|shape| (std::cmp::Reverse(counts[shape]), *shape));
    let numbers: BTreeMap<[u64; 4], usize> = shapes.iter().enumerate().map(|(at, &shape)| (shape, at)).collect();
    let shape_of: Vec<usize> = calls.iter().map(|call| numbers[&shape(call)]).collect();

    let mut before = 0;
    columns
        .add("call_sent", calls.iter().map(|call| call.sent / step - std::mem::replace(&mut before, call.sent / step)));
    let mut next = 0;
    columns.add(
        "call_number",
        calls.iter().map(|call| {
            zigzag(
                (call.number as i64).wrapping_sub(std::mem::replace(&mut next, (call.number as i64).wrapping_add(1))),
            )
        }),
    );
    columns.add("call_shape", shape_of.iter().map(|&shape| shape as u64));
    // The time from one moment of a call to the next, plus one. 0 means that the next moment never came.
    columns.add(
        "call_delivered",
        calls.iter().map(|call| call.delivered.map_or(0, |at| 1 + (at / step).saturating_sub(call.sent / step))),
    );
    columns.add(
        "call_ended",
        calls.iter().map(|call| {
            call.ended.map_or(0, |at| 1 + (at / step).saturating_sub(call.delivered.unwrap_or(call.sent) / step))
        }),
    );
    // The difference from the previous length of the same shape.
    for (name, bytes) in
        [("call_bytes", (|call| call.bytes) as fn(&Call) -> u64), ("call_reply", |call| call.reply_bytes)]
    {
        let mut last = vec![0; shapes.len()];
        columns.add(
            name,
            calls.iter().zip(&shape_of).map(|(call, &shape)| {
                zigzag((bytes(call) as i64).wrapping_sub(std::mem::replace(&mut last[shape], bytes(call) as i64)))
            }),
        );
    }
    shapes
}
