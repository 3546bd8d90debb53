//! What happens to a Put or an Append on the server that a clerk asks, and to a Get that has to go through the log: it
//! becomes an entry, and its caller is answered when that is applied, or can be no more.

use labrpc::Answer;
use raftapi::Raft;

use crate::messages::{Command, Reply};
use crate::server::Shared;

/// Handles a Put or an Append.
pub(crate) fn write<R: Raft>(shared: &Shared<R>, command: Command, answer: Answer<Reply>) {
    // What is in the table is applied, and what is applied is committed: the write has happened, after its client began
    // it, and nothing can undo that. So to say so is right on any server, deposed or cut off as it may be; a client that
    // asks again because an answer was lost need not wait for a leader. Of what is *not* in the table only the log knows.
    if shared.state.lock().store.has_written(command.id) {
        return answer.give(&Reply::Written);
    }
    through_the_log(shared, command, answer);
}

/// Has `command` agreed on. The applier, the watcher or the end of the server gives the answer.
pub(crate) fn through_the_log<R: Raft>(shared: &Shared<R>, command: Command, answer: Answer<Reply>) {
    let entry = labgob::encode(&command);
    let place = {
        let mut state = shared.state.lock();
        if shared.killed() {
            drop(state);
            return answer.give(&Reply::WrongLeader);
        }
        state.waiters.join(command.id, answer)
    };
    // Raft takes its own lock, and writes to its disk. The applier must be able to go on meanwhile.
    let started = shared.raft.start(entry);
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
