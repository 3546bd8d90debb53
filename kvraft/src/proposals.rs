//! Proposals: an operation becomes an entry of the log, and its request waits for the result.

use raftapi::{RaftExt, Started};

#[cfg(feature = "fast")] // fast: batcher
use crate::fast; // fast: batcher
use crate::messages::{Command, GetArgs, Operation, OperationId};
use crate::recipient::Recipient;
use crate::shared::Shared;

/// Proposes `command` to Raft. The applier settles the request when the entry is applied.
pub(crate) fn propose<R: RaftExt>(shared: &Shared<R>, command: &Command, recipient: Recipient) {
    let entry = labgob::encode(command);
    #[cfg(feature = "fast")] // fast: batcher
    fast::batcher::submit(shared, command.id, entry, recipient); // fast: batcher
    #[cfg(not(feature = "fast"))] // fast: batcher
    start(shared, command.id, recipient, |raft| raft.start(entry));
}

/// Proposes a Get, which changes nothing. Its entry tells the leader that no later leader has committed anything
/// before.
pub(crate) fn propose_get<R: RaftExt>(shared: &Shared<R>, GetArgs { id, key }: GetArgs, recipient: Recipient) {
    propose(shared, &Command { id, operation: Operation::Get { key } }, recipient);
}

/// Registers the request of operation `id`, and then calls `start`, which gives the entry to Raft and returns its place
/// in the log. No lock is held meanwhile, because Raft takes its own lock and saves the entry.
pub(crate) fn start<R: RaftExt>(
    shared: &Shared<R>,
    id: OperationId,
    recipient: Recipient,
    start: impl FnOnce(&R) -> Option<Started>,
) {
    let waiter = shared.with_state(|state| state.waiters.register(id, recipient));
    let started = start(&shared.raft);
    shared.with_state(|state| {
        match started {
            Some(started) => state.waiters.set_started(waiter, started),
            None => state.waiters.refuse(waiter),
        }
        shared.complete_proposal(state);
    });
}
