//! Reads without the log, for the service: the clients that wait for the core's outcome (`core/reads.rs`).

use labstd::channel;
use labstd::sync::Arc;
use raftapi::Index;

use crate::core::{Read, ReadOutcome};
use crate::follow_ups::SendPolicy;
use crate::server::{Shared, State};

/// A read that waits for confirmation.
pub(crate) struct PendingRead {
    read: Read,
    /// Called once, without holding the lock.
    on_settled: Box<dyn FnOnce(Option<Index>) + Send>,
}

impl PendingRead {
    /// Completes the read: with its index if it is confirmed, with `None` if it must go through the log.
    pub(crate) fn complete(self, index: Option<Index>) {
        (self.on_settled)(index);
    }
}

impl State {
    /// Removes the settled reads and returns them with their outcomes.
    pub(crate) fn take_settled_reads(&mut self) -> Vec<(PendingRead, Option<Index>)> {
        let core = &self.core;
        let settled = self.pending_reads.extract_if(.., |read| core.read_outcome(&read.read) != ReadOutcome::Waiting);
        settled
            .map(|read| {
                let index = (core.read_outcome(&read.read) == ReadOutcome::Confirmed).then_some(read.read.index);
                (read, index)
            })
            .collect()
    }
}

/// Begins a read. Calls `on_settled` with the index up to which the service must have applied before it answers the
/// read, or with `None` if the read must go through the log.
pub(crate) fn read_index_then(shared: &Arc<Shared>, on_settled: Box<dyn FnOnce(Option<Index>) + Send>) {
    let follow_ups = {
        let mut state = shared.state.lock();
        let begun = if shared.killed() { None } else { state.core.begin_read() };
        let Some((read, effects)) = begun else {
            drop(state);
            return on_settled(None);
        };
        state.pending_reads.push(PendingRead { read, on_settled });
        shared.carry_out(&mut state, effects, SendPolicy::CallingThread)
    };
    shared.run_follow_ups(follow_ups);
}

/// Like [`read_index_then`], but blocks until the outcome is known.
pub(crate) fn read_index(shared: &Arc<Shared>) -> Option<Index> {
    let (sender, outcome) = channel::bounded(1);
    let on_settled = move |index| {
        // The receiver waits for this, unless the run is over.
        let _ = sender.try_send(index);
    };
    read_index_then(shared, Box::new(on_settled));
    outcome.recv().ok().flatten()
}
