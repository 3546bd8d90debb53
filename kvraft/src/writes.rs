//! What happens to a Put or an Append on the server that a clerk asks, and to a Get that has to go through the log: it
//! becomes an entry, and the handler waits until that is applied, or can be no more.

use labstd::sync::Condvar;
use raftapi::Raft;

use crate::messages::{Command, Reply};
use crate::server::Shared;
use crate::waiters::Place;

/// Handles a Put or an Append.
pub(crate) fn write<R: Raft>(shared: &Shared<R>, command: Command) -> Reply {
    // What is in the table is applied, and what is applied is committed: the write has happened, after its client began
    // it, and nothing can undo that. So to say so is right on any server, deposed or cut off as it may be; a client that
    // asks again because an answer was lost need not wait for a leader. Of what is *not* in the table only the log knows.
    if shared.state.lock().store.has_written(command.id) {
        return Reply::Written;
    }
    through_the_log(shared, &command)
}

/// Has `command` agreed on, and waits for its result.
pub(crate) fn through_the_log<R: Raft>(shared: &Shared<R>, command: &Command) -> Reply {
    let entry = labgob::encode(command);
    let (place, told) = {
        let mut state = shared.state.lock();
        if shared.killed() {
            return Reply::WrongLeader;
        }
        state.waiters.join(command.id)
    };
    // Raft takes its own lock, and writes to its disk. The applier must be able to go on meanwhile.
    let started = shared.raft.start(entry);
    let Some(started) = started else {
        shared.state.lock().waiters.leave(place);
        return Reply::WrongLeader;
    };
    wait_for_result(shared, place, &told, started)
}

/// Waits for the applier, the watcher or the end of the server.
fn wait_for_result<R: Raft>(shared: &Shared<R>, place: Place, told: &Condvar, started: raftapi::Started) -> Reply {
    let mut state = shared.state.lock();
    state.waiters.started(place, started);
    loop {
        if let Some(reply) = state.waiters.reply(place) {
            state.waiters.leave(place);
            return reply;
        }
        if std::mem::take(&mut state.watcher_sleeps) {
            shared.watcher.notify_one();
        }
        told.wait(&mut state);
    }
}
