//! What chance decides about one call, and the numbers it decides by (spec of the course's labrpc: constants). All of
//! it is drawn at the beginning, always in the same order and always in full, so that switching a fault on or off
//! changes what befalls the calls of an end, but not the numbers that later calls draw.

use labstd::rng::{RngExt, Stream};
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
    /// When the call fails if it cannot reach its server, without and with long delays.
    pub(crate) failure: Duration,
    pub(crate) failure_with_long_delays: Duration,
}

/// What the network may do to a call.
#[derive(Clone, Copy)]
pub(crate) struct Hazards {
    pub(crate) unreliable: bool,
    pub(crate) long_reordering: bool,
    pub(crate) hops: bool,
}

impl Fate {
    /// Draws what befalls the next call of an end.
    pub(crate) fn draw(stream: &mut Stream, hazards: Hazards) -> Fate {
        let millis = |number: u32| Duration::from_millis(number.into());
        let nanos = |number: u32| Duration::from_nanos(number.into());
        let request_delay = millis(stream.random_range(0..SHORT_DELAY_MS));
        let request_lost = stream.random_range(0..1000) < LOST_PERMILLE;
        let reply_lost = stream.random_range(0..1000) < LOST_PERMILLE;
        let reordered = stream.random_range(0..REORDERED_OF) < REORDERED;
        // The bound of the second draw is itself drawn, so that small values are the most frequent.
        let more = stream.random_range(0..=REORDERED_MS_MORE);
        let reply_delay = millis(REORDERED_MS_MIN + stream.random_range(0..=more));
        let request_hop = nanos(stream.random_range(HOP_NANOS_MIN..HOP_NANOS_MAX));
        let reply_hop = nanos(stream.random_range(HOP_NANOS_MIN..HOP_NANOS_MAX));
        let failure = millis(stream.random_range(0..FAILURE_MS));
        let failure_with_long_delays = millis(stream.random_range(0..LONG_DELAY_MS));

        let Hazards { unreliable, long_reordering, hops } = hazards;
        Fate {
            request_delay: if unreliable { request_delay } else { Duration::ZERO },
            request_lost: unreliable && request_lost,
            reply_lost: unreliable && reply_lost,
            reply_delay: if long_reordering && reordered { reply_delay } else { Duration::ZERO },
            request_hop: if hops { request_hop } else { Duration::ZERO },
            reply_hop: if hops { reply_hop } else { Duration::ZERO },
            failure,
            failure_with_long_delays,
        }
    }
}

impl Hazards {
    /// Whether a call that reaches its server meets with nothing at all.
    pub(crate) fn none(self) -> bool {
        !(self.unreliable || self.long_reordering || self.hops)
    }
}
