//! The watcher: a thread that refuses requests whose entries will never be applied here. When a leader is deposed in a
//! quiet cluster, no later entry takes the place of the entry it lost. So the applier alone would never notice the
//! loss.
//!
//! If the Raft offers a channel of its state changes ([`Raft::subscribe`]), the watcher reads that channel. It refuses
//! the waiting requests as soon as the Raft steps down, and is idle between elections. With any other Raft, the watcher
//! polls the term, as in the course, but only while requests are waiting.

use labstd::channel::Receiver;
use labstd::time::Duration;
use raftapi::{Raft, StateChange};

use crate::server::Shared;

/// Time between two polls. A client that must find another leader waits at most this long, and 20 polls a second cost
/// next to nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Body of the watcher thread.
pub(crate) fn run<R: Raft>(shared: &Shared<R>, changes: Option<Receiver<StateChange>>) {
    if let Some(changes) = changes {
        follow_changes(shared, &changes);
    }
    // There is no channel, or it has ended. It ends when the server is killed, or when this thread has not run for so
    // long that the Raft has closed the channel.
    poll_until_killed(shared);
}

/// Refuses waiting requests whenever the Raft steps down, until the channel ends.
fn follow_changes<R: Raft>(shared: &Shared<R>, changes: &Receiver<StateChange>) {
    for change in changes {
        if let StateChange::SteppedDown { term } = change {
            shared.with_state(|state| state.waiters.refuse_before(term));
        }
    }
}

/// Polls the Raft while requests are waiting, until the server is killed.
fn poll_until_killed<R: Raft>(shared: &Shared<R>) {
    loop {
        {
            let mut state = shared.state.lock();
            while state.waiters.is_empty() && !shared.killed() {
                state.watcher_idle = true;
                shared.wake_watcher.wait(&mut state);
            }
            state.watcher_idle = false;
            if !shared.killed() {
                shared.wake_watcher.wait_for(&mut state, POLL_INTERVAL);
            }
        }
        if shared.killed() {
            return;
        }
        refuse_lost(shared);
    }
}

/// Refuses the requests whose entries are lost. For its waiting request, an entry can only be committed under the
/// leader that created it. A later leader may commit the entry too, but then this server is not the leader, and the
/// client has to ask there.
fn refuse_lost<R: Raft>(shared: &Shared<R>) {
    let (term, leads) = shared.raft.get_state();
    shared.with_state(|state| {
        state.waiters.refuse_before(term);
        if !leads {
            state.waiters.refuse_term(term);
        }
        let applied = state.store.applied();
        state.waiters.refuse_up_to(applied);
    });
}
