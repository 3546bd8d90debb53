//! Reads without the log, for the service: who waits for the core's answers (`core/reads.rs`).

use labstd::channel;
use labstd::sync::Arc;
use raftapi::Index;

use crate::core::{Read, ReadOutcome};
use crate::errands::Sending;
use crate::server::{Shared, State};

/// One that waits until its read is confirmed.
pub(crate) struct Reader {
    read: Read,
    /// Called once, without the lock.
    then: Box<dyn FnOnce(Option<Index>) + Send>,
}

impl Reader {
    /// The read is confirmed, up to this index, or has to go through the log.
    pub(crate) fn tell(self, index: Option<Index>) {
        (self.then)(index);
    }
}

impl State {
    /// Those whose reads are settled, and how; they wait no longer.
    pub(crate) fn settled_reads(&mut self) -> Vec<(Reader, Option<Index>)> {
        let core = &self.core;
        let settled = self.readers.extract_if(.., |reader| core.read_outcome(&reader.read) != ReadOutcome::Waiting);
        settled
            .map(|reader| {
                let index = (core.read_outcome(&reader.read) == ReadOutcome::Confirmed).then_some(reader.read.index);
                (reader, index)
            })
            .collect()
    }
}

/// Has `then` called with how far the service must have applied to answer a read that begins now; with `None` if it has to go
/// through the log.
pub(crate) fn read_index_then(shared: &Arc<Shared>, then: Box<dyn FnOnce(Option<Index>) + Send>) {
    let errands = {
        let mut state = shared.state.lock();
        let begun = if shared.killed() { None } else { state.core.begin_read() };
        let Some((read, effects)) = begun else {
            drop(state);
            return then(None);
        };
        state.readers.push(Reader { read, then });
        shared.carry_out(&mut state, effects, Sending::Here)
    };
    shared.run(errands);
}

/// As [`read_index_then`], but waits.
pub(crate) fn read_index(shared: &Arc<Shared>) -> Option<Index> {
    let (sender, answer) = channel::bounded(1);
    let then = move |index| {
        // Somebody waits for it, unless the run is over.
        let _ = sender.try_send(index);
    };
    read_index_then(shared, Box::new(then));
    answer.recv().ok().flatten()
}
