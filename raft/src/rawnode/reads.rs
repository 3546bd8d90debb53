//! Reads that do not go through the log (ReadIndex; `core/reads.rs` says why they are linearizable).

use raftapi::Index;

use super::{NotLeader, RawNode, ReadRefused};
use crate::core::{Read, ReadOutcome};

/// What has become of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReadState {
    /// What the owner gave to [`RawNode::read_index`].
    pub context: u64,
    /// The node led when the read began: it may be answered as soon as this index is applied. `None` if the node lost its
    /// leadership before that was known: ask another.
    pub index: Option<Index>,
}

impl RawNode {
    /// Clients want to read what is committed now. The answer comes in a later [`Ready::reads`](super::Ready::reads),
    /// together with `context`, by which the owner knows what it was about. One call will do for all reads that have come
    /// together.
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

    /// Reads are confirmed, or never will be.
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
