//! What happens to a Put or an Append on the server that a clerk asks, and to a Get that has to go through the log: it
//! becomes an entry, and its caller is answered when that is applied, or can be no more.

use labrpc::Answer;
use raftapi::{Index, Raft, Started};

use crate::messages::{Command, OperationId, Reply, WriteManyArgs};
use crate::server::Shared;

/// Handles a Put or an Append.
pub(crate) fn write<R: Raft>(shared: &Shared<R>, command: &Command, answer: Answer<Reply>) {
    unless_written(shared, command.id, answer, |answer| through_the_log(shared, command, answer));
}

/// Handles several of them: the last one's result is that of all, because they stand in the log in their order.
pub(crate) fn write_many<R: Raft>(
    shared: &Shared<R>,
    WriteManyArgs { last, commands }: WriteManyArgs,
    answer: Answer<Reply>,
) {
    unless_written(shared, last, answer, |answer| {
        let count = commands.len() as u64;
        agree_on(shared, last, answer, || {
            let Started { index: first, term } = shared.raft.start_many(commands)?;
            Some(Started { index: Index(first.0 + count - 1), term })
        });
    });
}

/// Has `command` agreed on.
pub(crate) fn through_the_log<R: Raft>(shared: &Shared<R>, command: &Command, answer: Answer<Reply>) {
    let entry = labgob::encode(command);
    agree_on(shared, command.id, answer, || shared.raft.start(entry));
}

/// Answers at once if operation `id` was executed.
///
/// What is in the table is applied, and what is applied is committed: the write has happened, after its client began it, and
/// nothing can undo that. So to say so is right on any server, deposed or cut off as it may be; a client that asks again
/// because an answer was lost need not wait for a leader. Of what is *not* in the table only the log knows.
fn unless_written<R: Raft>(
    shared: &Shared<R>,
    id: OperationId,
    answer: Answer<Reply>,
    otherwise: impl FnOnce(Answer<Reply>),
) {
    let written = shared.state.lock().store.has_written(id);
    if written { answer.give(&Reply::Written) } else { otherwise(answer) }
}

/// Gives the entry of operation `id` to Raft. The applier, the watcher or the end of the server gives the answer.
fn agree_on<R: Raft>(
    shared: &Shared<R>,
    id: OperationId,
    answer: Answer<Reply>,
    start: impl FnOnce() -> Option<Started>,
) {
    let place = {
        let mut state = shared.state.lock();
        if shared.killed() {
            drop(state);
            return answer.give(&Reply::WrongLeader);
        }
        state.waiters.join(id, answer)
    };
    // Raft takes its own lock, and writes to its disk. The applier must be able to go on meanwhile.
    let started = start();
    shared.with_state(|state| {
        match started {
            Some(started) => state.waiters.started(place, started),
            None => state.waiters.refuse_place(place),
        }
        if !state.waiters.is_empty() && std::mem::take(&mut state.watcher_sleeps) {
            shared.watcher.notify_one();
        }
    });
}
