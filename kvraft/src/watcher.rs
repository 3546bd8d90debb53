//! The watcher: a thread that ends the waiting of those whose entries will never be applied here. In a quiet cluster no
//! later entry comes to take the place of the one that a deposed leader has lost; so the applier would never know.
//!
//! A Raft that tells of its changes ([`Raft::subscribe`]) is listened to: when it steps down, those who wait are told at
//! once, and between elections the thread does nothing. Of a Raft that does not, the thread asks the term every now and
//! then, as the course does it, but only while somebody waits.

use labstd::channel::Receiver;
use labstd::time::Duration;
use raftapi::{Raft, StateChange};

use crate::server::Shared;

/// How often it looks: often enough for a client that must find another leader, seldom enough to cost nothing.
const LOOK: Duration = Duration::from_millis(50);

/// The life of the watcher.
pub(crate) fn run<R: Raft>(shared: &Shared<R>, changes: Option<Receiver<StateChange>>) {
    if let Some(changes) = changes {
        listen(shared, &changes);
    }
    // There are no changes to listen to, or no more; the latter because the server was killed, unless this thread has not
    // run for so long that the Raft has given it up.
    look_now_and_then(shared);
}

/// Until the Raft tells nothing more.
fn listen<R: Raft>(shared: &Shared<R>, changes: &Receiver<StateChange>) {
    for change in changes {
        if let StateChange::SteppedDown { term } = change {
            shared.with_state(|state| state.waiters.refuse_before(term));
        }
    }
}

/// Until the server is killed.
fn look_now_and_then<R: Raft>(shared: &Shared<R>) {
    loop {
        {
            let mut state = shared.state.lock();
            while state.waiters.is_empty() && !shared.killed() {
                state.watcher_sleeps = true;
                shared.watcher.wait(&mut state);
            }
            state.watcher_sleeps = false;
            if !shared.killed() {
                shared.watcher.wait_for(&mut state, LOOK);
            }
        }
        if shared.killed() {
            return;
        }
        look(shared);
    }
}

/// An entry can only be committed under the leader that made it, as far as its waiter is concerned: a later leader may
/// commit it as well, but then this server no longer leads, and the client has to ask there.
fn look<R: Raft>(shared: &Shared<R>) {
    let (term, leads) = shared.raft.get_state();
    shared.with_state(|state| {
        state.waiters.refuse_before(term);
        if !leads {
            state.waiters.refuse_of(term);
        }
        let applied = state.store.applied();
        state.waiters.refuse_up_to(applied);
    });
}
