//! The handlers of Put and Append. The last part also serves a Get that has to go through the log. The operation
//! becomes a log entry (`batcher.rs`). Its request is answered when the entry is applied, or when it can no longer be
//! applied.

use labrpc::Answer;
use raftapi::Raft;

use crate::batcher::{self, Entries, Proposal};
use crate::messages::{Command, OperationId, Reply, WriteManyArgs};
use crate::server::Shared;

/// Handles a Put or an Append.
pub(crate) fn handle_write<R: Raft>(shared: &Shared<R>, command: &Command, answer: Answer<Reply>) {
    if was_executed(shared, command.id) {
        return answer.give(&Reply::Written);
    }
    propose(shared, command, answer);
}

/// Handles several Puts and Appends of one client. The result of the last one stands for all, because the log holds
/// them in their order.
pub(crate) fn handle_write_many<R: Raft>(shared: &Shared<R>, args: WriteManyArgs, answer: Answer<Reply>) {
    let WriteManyArgs { last, commands } = args;
    if commands.is_empty() || was_executed(shared, last) {
        return answer.give(&Reply::Written);
    }
    batcher::submit(shared, Proposal { id: last, entries: Entries::Many(commands), answer });
}

/// Proposes `command` to Raft. The applier, the watcher or the shutdown of the server gives the answer later.
pub(crate) fn propose<R: Raft>(shared: &Shared<R>, command: &Command, answer: Answer<Reply>) {
    batcher::submit(shared, Proposal { id: command.id, entries: Entries::One(labgob::encode(command)), answer });
}

/// Reports whether write `id` is in the duplicate table.
///
/// The table holds only applied writes, and applied entries are committed. So the write was executed after its client
/// began it, and nothing can undo it. Any server may confirm this, even a deposed leader or a server that is cut off. A
/// client that retries because a reply was lost need not wait for a leader. If a write is *not* in the table, only the
/// log can decide.
fn was_executed<R: Raft>(shared: &Shared<R>, id: OperationId) -> bool {
    shared.state.lock().store.has_written(id)
}
