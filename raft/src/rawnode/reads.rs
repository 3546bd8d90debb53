//! Reads that do not go through the log (ReadIndex; `core/reads.rs` explains why they are linearizable).

use raftapi::Index;

use super::{NotLeader, RawNode, ReadRefused};
use crate::core::{Read, ReadOutcome};

/// The outcome of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReadState {
    /// The value that the owner passed to [`RawNode::read_index`].
    pub context: u64,
    /// The read's index: the node led when the read began, and the owner may answer as soon as this index is applied.
    /// `None` if the node lost its leadership before that was confirmed. Then repeat the read on another node.
    pub index: Option<Index>,
}

impl RawNode {
    /// Begins a read of the present committed state. The outcome is in a later [`Ready::reads`](super::Ready::reads),
    /// together with `context`, by which the owner recognises the read. One call is enough for all reads that have
    /// arrived together.
    ///
    /// # Errors
    ///
    /// If the node does not lead, or has committed nothing in its term yet.
    pub fn read_index(&mut self, context: u64) -> Result<(), ReadRefused> {
        if !self.core.is_leader() {
            return Err(ReadRefused::NotLeader(NotLeader { leader: self.core.soft_state().leader }));
        }
        let (read, effects) = self.core.begin_read().ok_or(ReadRefused::NothingCommitted)?;
        self.reads_waiting.push((context, read));
        self.collect(effects);
        Ok(())
    }

    /// Moves the reads that are confirmed or lost to the next Ready.
    pub(super) fn settle_reads(&mut self) {
        let RawNode { core, reads_waiting, reads_done, .. } = self;
        reads_waiting.retain(|(context, read): &(u64, Read)| {
            let index = match core.read_outcome(read) {
                ReadOutcome::Waiting => return true,
                ReadOutcome::Confirmed => Some(read.index),
                ReadOutcome::Lost => None,
            };
            reads_done.push(ReadState { context: *context, index });
            false
        });
    }
}
