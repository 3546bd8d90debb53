//! RPCs as columns, and the places in a long run where they are counts.

use std::collections::BTreeMap;

use record::{Loss, Peer, ServerId};

use super::columns::{Columns, zigzag};

/// One RPC. Times are nanoseconds on the run's clock.
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) sent: u64,
    pub(super) from: Option<ServerId>,
    pub(super) to: Peer,
    /// The number of its method's text.
    pub(super) method: u32,
    pub(super) bytes: u64,
    pub(super) delivered: Option<u64>,
    /// When it was answered or lost.
    pub(super) ended: Option<u64>,
    pub(super) reply_bytes: u64,
    pub(super) fate: Fate,
}

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// The run was over first.
    Open,
    Answered,
    Lost(u8),
}

impl Fate {
    pub(super) fn lost(why: Loss) -> Fate {
        let why = match why {
            Loss::RequestDropped => 0,
            Loss::ReplyDropped => 1,
            Loss::Unreachable => 2,
            Loss::ServerGone => 3,
            Loss::NetworkGone => 4,
            Loss::Abandoned => 5,
            Loss::Intercepted => 6,
        };
        Fate::Lost(why)
    }

    /// 0: open; 1: answered; from 2 on: lost. `assets/calls.js` has the words.
    fn code(self) -> u64 {
        match self {
            Fate::Open => 0,
            Fate::Answered => 1,
            Fate::Lost(why) => 2 + u64::from(why),
        }
    }
}

/// Calls that are only counted: `[since, until, calls]`.
pub(super) type Window = [u64; 3];

/// The calls of `calls` that are kept if `share` of them may be, and counts of the others. What was lost or is open stays, and
/// so do the beginning of the run and its end, of which the end gets more: that is where failures are.
pub(super) fn thinned(calls: &[Call], share: f64) -> (Vec<&Call>, Vec<Window>) {
    /// The part of what is kept that belongs to the beginning.
    const BEGINNING: f64 = 0.3;
    /// Into how many counts the middle is divided at most.
    const WINDOWS: usize = 300;
    let kept = (calls.len() as f64 * share) as usize;
    let first = (kept as f64 * BEGINNING) as usize;
    let last = calls.len() - (kept - first).min(calls.len() - first);
    let middle = &calls[first..last];
    let mut windows = Vec::new();
    for chunk in middle.chunks(middle.len().div_ceil(WINDOWS).max(1)) {
        let left_out = chunk.iter().filter(|call| call.fate == Fate::Answered).count();
        let (since, until) = (chunk[0].sent, chunk[chunk.len() - 1].sent);
        if left_out > 0 {
            windows.push([since, until, left_out as u64]);
        }
    }
    let middle = middle.iter().filter(|call| call.fate != Fate::Answered);
    (calls[..first].iter().chain(middle).chain(&calls[last..]).collect(), windows)
}

/// Adds the columns of `calls`, with times as multiples of `step` nanoseconds, and gives the distinct
/// `[from, to, method, fate]` that the column `call_shape` refers to. Ends are 0 for a client, 1 for S0, and so on; names
/// that are no server come behind the servers.
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
        [from, end(call), u64::from(call.method), call.fate.code()]
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
    // From one moment of a call to its next, and one more, so that 0 says that there was none.
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
    // Lengths differ from those of the call of the same shape before.
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
