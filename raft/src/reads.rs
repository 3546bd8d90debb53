//! Reads without the log, for the service: waits on the caller's own thread until the core has the answers
//! (`core/reads.rs`).

use raftapi::Index;

use crate::core::ReadOutcome;
use crate::server::Shared;

/// How far the service must have applied to answer a read that begins now; `None` if it has to go through the log.
pub(crate) fn read_index(shared: &Shared) -> Option<Index> {
    let mut state = shared.state.lock();
    let (read, effects) = state.core.begin_read()?;
    let vote_requests = shared.carry_out(&mut state, effects);
    debug_assert!(vote_requests.is_empty(), "a read starts no election");
    while !shared.killed() {
        match state.core.read_outcome(&read) {
            ReadOutcome::Confirmed => return Some(read.index),
            ReadOutcome::Lost => return None,
            ReadOutcome::Waiting => shared.reads_settled.wait(&mut state),
        }
    }
    None
}
