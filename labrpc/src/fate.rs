//! What chance decides about one call, and the numbers it decides by (spec of the course's labrpc: constants). All of
//! it is drawn at the beginning, always in the same order and always in full, so that switching a fault on or off
//! changes what befalls the calls of an end, but not the numbers that later calls draw.

use labstd::rng::{Rng, Stream};
use labstd::time::Duration;

/// An unreliable network delays requests by less than this, in milliseconds.
const SHORT_DELAY_MS: u32 = 27;
/// Without long delays, a call that cannot reach its server fails in less than this, in milliseconds.
const FAILURE_MS: u32 = 100;
/// With long delays, a call that cannot reach its server fails in less than this, in milliseconds.
const LONG_DELAY_MS: u32 = 7000;
/// An unreliable network loses this many requests in a thousand, and as many of the replies to those that are left.
const LOST_PERMILLE: u32 = 100;
/// Long reordering holds back this many replies in [`REORDERED_OF`].
const REORDERED: u32 = 600;
const REORDERED_OF: u32 = 900;
/// A reply that is held back waits at least this long, in milliseconds, ...
const REORDERED_MS_MIN: u32 = 200;
/// ... and at most this much longer.
const REORDERED_MS_MORE: u32 = 1999;
/// In a simulation each message takes from 0.2 ms ...
const HOP_NANOS_MIN: u32 = 200_000;
/// ... to 1 ms: on a network that takes no time, a closed loop of calls would never let the clock move.
const HOP_NANOS_MAX: u32 = 1_000_000;

/// What befalls one call. Nothing at all, by default.
#[derive(Clone, Copy, Default)]
pub(crate) struct Fate {
    /// How long the request is delayed before it is lost or goes on.
    pub(crate) request_delay: Duration,
    pub(crate) request_lost: bool,
    pub(crate) reply_lost: bool,
    /// How long the reply is held back.
    pub(crate) reply_delay: Duration,
    /// How long the request and the reply travel.
    pub(crate) request_hop: Duration,
    pub(crate) reply_hop: Duration,
    /// When the call fails, which cannot reach its server, without and with long delays.
    pub(crate) failure: Duration,
    pub(crate) failure_with_long_delays: Duration,
}

/// What the network may do to a call.
#[derive(Clone, Copy)]
pub(crate) struct Hazards {
    pub(crate) unreliable: bool,
    pub(crate) long_reordering: bool,
    pub(crate) hops: bool,
    /// The call reaches no server.
    pub(crate) unreachable: bool,
}

impl Fate {
    /// Draws what befalls the next call of an end.
    pub(crate) fn draw(stream: &mut Stream, hazards: Hazards) -> Fate {
        let drawn: [Draw; 10] = std::array::from_fn(|_| Draw(stream.next_u32()));
        let [
            request_delay,
            request_lost,
            reply_lost,
            reordered,
            more,
            reply_delay,
            request_hop,
            reply_hop,
            failure,
            late,
        ] = drawn;
        let millis = |number: u32| Duration::from_millis(number.into());
        let nanos = |number: u32| Duration::from_nanos(number.into());

        let mut fate = Fate::default();
        if hazards.unreliable {
            fate.request_delay = millis(request_delay.below(SHORT_DELAY_MS));
            fate.request_lost = request_lost.below(1000) < LOST_PERMILLE;
            fate.reply_lost = reply_lost.below(1000) < LOST_PERMILLE;
        }
        if hazards.long_reordering && reordered.below(REORDERED_OF) < REORDERED {
            // The bound of the second number is itself drawn, so that small values are the most frequent.
            let more = more.below(REORDERED_MS_MORE + 1);
            fate.reply_delay = millis(REORDERED_MS_MIN + reply_delay.below(more + 1));
        }
        if hazards.hops {
            fate.request_hop = nanos(HOP_NANOS_MIN + request_hop.below(HOP_NANOS_MAX - HOP_NANOS_MIN));
            fate.reply_hop = nanos(HOP_NANOS_MIN + reply_hop.below(HOP_NANOS_MAX - HOP_NANOS_MIN));
        }
        if hazards.unreachable {
            fate.failure = millis(failure.below(FAILURE_MS));
            fate.failure_with_long_delays = millis(late.below(LONG_DELAY_MS));
        }
        fate
    }
}

/// One of the numbers that are drawn for a call, read only if it matters.
#[derive(Clone, Copy)]
struct Draw(u32);

impl Draw {
    /// As a number less than `bound`; each is as likely as any other, to one part in 2^32 / `bound`.
    fn below(self, bound: u32) -> u32 {
        ((u64::from(self.0) * u64::from(bound)) >> 32) as u32
    }
}

impl Hazards {
    /// Whether the call meets with nothing at all.
    pub(crate) fn none(self) -> bool {
        !(self.unreliable || self.long_reordering || self.hops || self.unreachable)
    }
}
