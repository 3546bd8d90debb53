//! Handlers that never block: the request is registered together with the means to answer its call, and the thread that
//! has the result answers it. The only thread that waits is the client's.
//!
//! No handler is left that could check whether its entry is lost, so one thread per server does that: the watcher. If
//! the Raft offers a channel of its state changes ([`RaftExt::subscribe`]), the watcher reads that channel. It refuses
//! the waiting requests as soon as the Raft steps down, and is idle between elections. With any other Raft, the watcher
//! polls the term, as in the course, but only while requests are waiting.

use labrpc::Service;
use labstd::channel::Receiver;
use labstd::sync::Arc;
use labstd::thread;
use raftapi::{RaftExt, ServerId, StateChange};

use crate::handlers::{self, CHECK_INTERVAL};
use crate::messages::{GetArgs, WriteArgs};
use crate::recipient::Recipient;
use crate::shared::Shared;

/// Returns a service whose handlers defer their answers, in place of one whose handlers wait.
pub(crate) fn service<R: RaftExt>(_with_waiting_handlers: Service, shared: &Arc<Shared<R>>) -> Service {
    let (gets, writes) = (Arc::clone(shared), Arc::clone(shared));
    Service::new("KvServer")
        .deferred_method("Get", move |args: GetArgs, answer| {
            handlers::begin_get(&gets, args, Recipient::Deferred(answer));
        })
        .deferred_method("Write", move |WriteArgs(command): WriteArgs, answer| {
            handlers::begin_write(&writes, &command, Recipient::Deferred(answer));
        })
}

/// Starts the watcher. Call this before the server joins the network: then the watcher sees the end of every leadership
/// that accepts a request.
pub(crate) fn spawn_watcher<R: RaftExt>(me: ServerId, shared: &Arc<Shared<R>>) {
    let changes = shared.raft.subscribe();
    let watching = Arc::clone(shared);
    thread::spawn(format!("{me}/kv-watcher"), move || run(&watching, changes));
}

/// Body of the watcher thread.
fn run<R: RaftExt>(shared: &Shared<R>, changes: Option<Receiver<StateChange>>) {
    if let Some(changes) = changes {
        follow_changes(shared, &changes);
    }
    // There is no channel, or it has ended. It ends when the server is killed, or when this thread has not run for so
    // long that the Raft has closed the channel.
    poll_until_killed(shared);
}

/// Refuses waiting requests whenever the Raft steps down, until the channel ends.
fn follow_changes<R: RaftExt>(shared: &Shared<R>, changes: &Receiver<StateChange>) {
    for change in changes {
        if let StateChange::SteppedDown { term } = change {
            shared.with_state(|state| state.waiters.refuse_before(term));
        }
    }
}

/// Polls the Raft while requests are waiting, until the server is killed.
fn poll_until_killed<R: RaftExt>(shared: &Shared<R>) {
    loop {
        {
            let mut state = shared.state.lock();
            while state.waiters.len() == 0 && !shared.killed() {
                state.fast.watcher_idle = true;
                shared.fast.wake_watcher.wait(&mut state);
            }
            state.fast.watcher_idle = false;
            if !shared.killed() {
                shared.fast.wake_watcher.wait_for(&mut state, CHECK_INTERVAL);
            }
        }
        if shared.killed() {
            return;
        }
        shared.refuse_lost();
    }
}
