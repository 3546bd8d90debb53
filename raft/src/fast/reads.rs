//! Reads without the log: the reads of the service that wait for the core's confirmation (`core/reads.rs`;
//! dissertation, 6.4).

use labstd::sync::Arc;
use labstd::time::Instant;
use raftapi::{Index, ServerId};

use crate::core::{Effects, Read, ReadOutcome, ServerSet};
use crate::state::{Shared, State};

/// Number of consecutive replies after which a peer counts as reliable. On an unreliable network, which loses one call
/// in five, hardly any peer ever reaches it.
const RELIABLE_AFTER_REPLIES: u32 = 16;

/// State of the reads, under the server's lock.
#[derive(Default)]
pub(crate) struct Reads {
    /// Reads that wait for a confirmation.
    pending: Vec<PendingRead>,
    /// For each server, the calls in a row that it replied to, up to now.
    consecutive_replies: Vec<u32>,
}

/// Callback of a read; called once, without the lock.
type OnSettled = Box<dyn FnOnce(Option<Index>) + Send>;

/// A read that waits for its confirmation.
struct PendingRead {
    read: Read,
    on_settled: OnSettled,
}

/// A read that waits no longer: its callback, and the index up to which it is confirmed. Without an index it has to go
/// through the log.
pub(crate) type SettledRead = (OnSettled, Option<Index>);

/// Begins a read. Calls `on_settled` with the index up to which the service must have applied to answer it, or with
/// `None` if the read has to go through the log.
pub(crate) fn read_index_then(shared: &Arc<Shared>, on_settled: OnSettled) {
    shared.step_with_timers(|state| {
        let begun = if shared.killed() { None } else { state.core.begin_read() };
        match begun {
            Some((read, effects)) => {
                state.fast.reads.pending.push(PendingRead { read, on_settled });
                ((), effects)
            }
            None => {
                state.fast.work.settled_reads.push((on_settled, None));
                Default::default()
            }
        }
    });
}

/// Carries out those effects of an event that concern reads, under the lock.
pub(crate) fn carry_out(shared: &Shared, state: &mut State, effects: &Effects, now: Instant) {
    for peer in select_quorum(state, effects.confirm_leadership_with).iter() {
        state.peer_timers[peer.0].heartbeat_due = now;
        shared.replicate_to(state, peer);
    }
    if effects.reads_settled {
        let State { core, fast, .. } = state;
        let settled = fast.reads.pending.extract_if(.., |read| core.read_outcome(&read.read) != ReadOutcome::Waiting);
        fast.work.settled_reads.extend(settled.map(|PendingRead { read, on_settled }| {
            let confirmed = core.read_outcome(&read) == ReadOutcome::Confirmed;
            (on_settled, confirmed.then_some(read.index))
        }));
    }
}

/// Returns the `candidates` to ask whether this server leads: as many as a quorum needs if that many are reliable, or
/// all of them. A lost request would cost the waiting reads more than a few messages.
fn select_quorum(state: &State, candidates: ServerSet) -> ServerSet {
    let replies = &state.fast.reads.consecutive_replies;
    let is_reliable = |peer: &ServerId| replies.get(peer.0).is_some_and(|&count| count >= RELIABLE_AFTER_REPLIES);
    let needed = state.core.acks_needed();
    if candidates.iter().filter(|peer| is_reliable(peer)).count() < needed {
        return candidates;
    }
    candidates.iter().filter(is_reliable).take(needed).collect()
}

/// Counts a reply of `peer`, or a failed call.
pub(crate) fn count_reply(state: &mut State, peer: ServerId, replied: bool) {
    let replies = &mut state.fast.reads.consecutive_replies;
    if replies.len() <= peer.0 {
        replies.resize(peer.0 + 1, 0);
    }
    replies[peer.0] = if replied { replies[peer.0].saturating_add(1) } else { 0 };
}

/// Ends all pending reads: the server was killed.
pub(crate) fn end_all(state: &mut State) -> Vec<SettledRead> {
    std::mem::take(&mut state.fast.reads.pending).into_iter().map(|read| (read.on_settled, None)).collect()
}

/// Calls the callbacks of settled reads, without the lock.
pub(crate) fn complete(settled: Vec<SettledRead>) {
    settled.into_iter().for_each(|(on_settled, index)| on_settled(index));
}
