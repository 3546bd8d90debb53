//! Reads without the log, for the service: who waits for the core's answers (`core/reads.rs`).

use labstd::channel;
use labstd::sync::Arc;
use raftapi::Index;

use crate::core::{Read, ReadOutcome};
use crate::follow_ups::SendPolicy;
use crate::server::{Shared, State};

/// One that waits until its read is confirmed.
pub(crate) struct PendingRead {
    read: Read,
    /// Called once, without the lock.
    on_settled: Box<dyn FnOnce(Option<Index>) + Send>,
}

impl PendingRead {
    /// The read is confirmed, up to this index, or has to go through the log.
    pub(crate) fn complete(self, index: Option<Index>) {
        (self.on_settled)(index);
    }
}

impl State {
    /// Those whose reads are settled, and how; they wait no longer.
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

/// Has `on_settled` called with how far the service must have applied to answer a read that begins now; with `None` if it has to go
/// through the log.
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

/// As [`read_index_then`], but waits.
pub(crate) fn read_index(shared: &Arc<Shared>) -> Option<Index> {
    let (sender, answer) = channel::bounded(1);
    let on_settled = move |index| {
        // Somebody waits for it, unless the run is over.
        let _ = sender.try_send(index);
    };
    read_index_then(shared, Box::new(on_settled));
    answer.recv().ok().flatten()
}
