//! The faults that chance brings to one call, and their probabilities and delays (spec of the course's labrpc:
//! constants).
//!
//! All numbers of a call are drawn at its beginning, always in the same order and always in full. So switching a fault
//! on or off changes the faults of an end's calls, but not the numbers that later calls draw.

use labstd::rng::{self, Rng, Stream};
use labstd::time::Duration;

/// An unreliable network delays requests by less than this, in milliseconds.
const SHORT_DELAY_MS: u32 = 27;
/// Without long delays, a call that cannot reach its server fails in less than this, in milliseconds.
const FAILURE_MS: u32 = 100;
/// With long delays, a call that cannot reach its server fails in less than this, in milliseconds.
const LONG_DELAY_MS: u32 = 7000;
/// Requests that an unreliable network loses, in a thousand. It loses the same share of the replies to the others.
const LOST_PERMILLE: u32 = 100;
/// Replies in [`REORDERED_OF`] that long reordering delays.
const REORDERED: u32 = 600;
const REORDERED_OF: u32 = 900;
/// The shortest delay of a reordered reply, in milliseconds.
const REORDERED_MS_MIN: u32 = 200;
/// The longest delay of a reordered reply beyond [`REORDERED_MS_MIN`], in milliseconds.
const REORDERED_MS_MORE: u32 = 1999;
/// The shortest hop of a message in a simulation, 0.2 ms.
const HOP_NANOS_MIN: u32 = 200_000;
/// The upper bound of a hop, 1 ms.
const HOP_NANOS_MAX: u32 = 1_000_000;
/// The largest share of calls that a simulation lets complete inline, in a thousand. The others must take time:
/// otherwise a closed loop of calls would keep the clock from moving.
const INLINE_PERMILLE_MAX: u32 = 900;
/// One in this many seeds lets no call complete inline.
const SEEDS_WITHOUT_INLINE_CALLS: u32 = 4;

/// The faults and delays of one call. None, by default.
#[derive(Clone, Copy, Default)]
pub(crate) struct CallFaults {
    /// The delay of the request before it is lost or goes on.
    pub(crate) request_delay: Duration,
    pub(crate) request_lost: bool,
    pub(crate) reply_lost: bool,
    /// The extra delay of a reordered reply.
    pub(crate) reply_delay: Duration,
    /// The travel times of the request and of the reply.
    pub(crate) request_hop: Duration,
    pub(crate) reply_hop: Duration,
    /// The time after which a call that cannot reach its server fails, without and with long delays.
    pub(crate) failure_delay: Duration,
    pub(crate) long_failure_delay: Duration,
}

/// The faults that are switched on for a call.
#[derive(Clone, Copy)]
pub(crate) struct FaultConfig {
    pub(crate) unreliable: bool,
    pub(crate) long_reordering: bool,
    /// The call reaches no server.
    pub(crate) unreachable: bool,
    /// An interceptor decides about the messages.
    pub(crate) intercepted: bool,
    /// In a simulation messages take time even without faults, except those of a share of the calls.
    pub(crate) hops: Option<InlineShare>,
}

/// The share of the calls without faults that complete inline in one simulated run.
///
/// On threads all of them do. A simulation has to reach what threads reach, so it lets a share of the calls complete
/// inline: their messages take no time. The seed decides how large the share is, because schedules of different kinds
/// find different mistakes.
#[derive(Clone, Copy)]
pub(crate) struct InlineShare {
    permille: u32,
}

impl InlineShare {
    /// Draws the share of the current run; 0 in one of four seeds.
    pub(crate) fn draw() -> InlineShare {
        let mut stream = rng::stream("network/inline share");
        let (none, permille) = (Draw(stream.next_u32()), Draw(stream.next_u32()));
        let some = none.below(SEEDS_WITHOUT_INLINE_CALLS) > 0;
        InlineShare { permille: if some { permille.below(INLINE_PERMILLE_MAX + 1) } else { 0 } }
    }
}

impl CallFaults {
    /// Draws the faults of the next call of an end.
    pub(crate) fn draw(stream: &mut Stream, config: FaultConfig) -> CallFaults {
        let drawn: [Draw; 11] = std::array::from_fn(|_| Draw(stream.next_u32()));
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
            long_failure,
            inline,
        ] = drawn;
        let millis = |number: u32| Duration::from_millis(number.into());
        let nanos = |number: u32| Duration::from_nanos(number.into());

        let mut faults = CallFaults::default();
        if config.unreliable {
            faults.request_delay = millis(request_delay.below(SHORT_DELAY_MS));
            faults.request_lost = request_lost.below(1000) < LOST_PERMILLE;
            faults.reply_lost = reply_lost.below(1000) < LOST_PERMILLE;
        }
        if config.long_reordering && reordered.below(REORDERED_OF) < REORDERED {
            // The bound of the second number is drawn too, so small values are the most frequent.
            let more = more.below(REORDERED_MS_MORE + 1);
            faults.reply_delay = millis(REORDERED_MS_MIN + reply_delay.below(more + 1));
        }
        let completes_inline = |share: InlineShare| config.is_direct() && inline.below(1000) < share.permille;
        if config.hops.is_some_and(|share| !completes_inline(share)) {
            faults.request_hop = nanos(HOP_NANOS_MIN + request_hop.below(HOP_NANOS_MAX - HOP_NANOS_MIN));
            faults.reply_hop = nanos(HOP_NANOS_MIN + reply_hop.below(HOP_NANOS_MAX - HOP_NANOS_MIN));
        }
        if config.unreachable {
            faults.failure_delay = millis(failure.below(FAILURE_MS));
            faults.long_failure_delay = millis(long_failure.below(LONG_DELAY_MS));
        }
        faults
    }
}

/// One of the numbers that are drawn for a call. It is converted only if the call needs it.
#[derive(Clone, Copy)]
struct Draw(u32);

impl Draw {
    /// Returns a number less than `bound`. All are equally likely, to one part in 2^32 / `bound`.
    fn below(self, bound: u32) -> u32 {
        ((u64::from(self.0) * u64::from(bound)) >> 32) as u32
    }
}

impl FaultConfig {
    /// Reports whether no fault and no delay can happen to the call.
    pub(crate) fn is_fault_free(self) -> bool {
        self.hops.is_none() && !(self.unreliable || self.long_reordering || self.unreachable)
    }

    /// Reports whether the call reaches its server without faults, and without an interceptor.
    pub(crate) fn is_direct(self) -> bool {
        !(self.unreliable || self.long_reordering || self.unreachable || self.intercepted)
    }
}
