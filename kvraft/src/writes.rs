//! What happens to a Put or an Append on the server that a clerk asks, and to a Get that has to go through the log: it
//! becomes an entry (`inbox.rs`), and its caller is answered when that is applied, or can be no more.

use labrpc::Answer;
use raftapi::Raft;

use crate::inbox::{self, Entries, Proposal};
use crate::messages::{Command, OperationId, Reply, WriteManyArgs};
use crate::server::Shared;

/// Handles a Put or an Append.
pub(crate) fn write<R: Raft>(shared: &Shared<R>, command: &Command, answer: Answer<Reply>) {
    if was_executed(shared, command.id) {
        return answer.give(&Reply::Written);
    }
    through_the_log(shared, command, answer);
}

/// Handles several of them: the last one's result is that of all, because they stand in the log in their order.
pub(crate) fn write_many<R: Raft>(shared: &Shared<R>, args: WriteManyArgs, answer: Answer<Reply>) {
    let WriteManyArgs { last, commands } = args;
    if commands.is_empty() || was_executed(shared, last) {
        return answer.give(&Reply::Written);
    }
    inbox::submit(shared, Proposal { id: last, entries: Entries::Many(commands), answer });
}

/// Has `command` agreed on. The applier, the watcher or the end of the server gives the answer.
pub(crate) fn through_the_log<R: Raft>(shared: &Shared<R>, command: &Command, answer: Answer<Reply>) {
    inbox::submit(shared, Proposal { id: command.id, entries: Entries::One(labgob::encode(command)), answer });
}

/// Whether write `id` is in the duplicate table.
///
/// What is in the table is applied, and what is applied is committed: the write has happened, after its client began it, and
/// nothing can undo that. So to say so is right on any server, deposed or cut off as it may be; a client that asks again
/// because an answer was lost need not wait for a leader. Of what is *not* in the table only the log knows.
fn was_executed<R: Raft>(shared: &Shared<R>, id: OperationId) -> bool {
    shared.state.lock().store.has_written(id)
}
