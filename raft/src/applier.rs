//! The applier: a thread that waits until more is committed and delivers it to the service, in log order (Figure 2, Rules
//! for All Servers). It delivers without the lock: the service may be slow, and may call the server meanwhile.
//!
//! A service that takes what is committed by itself is only told; and on a leader, by the thread that has committed it
//! (`follow_ups.rs`).

use labstd::channel::Sender;
use raftapi::ApplyMsg;

use crate::server::Shared;

/// The body of the applier. It ends when the server is killed, or when nobody takes what it delivers.
pub(crate) fn run(shared: &Shared, apply_ch: &Sender<ApplyMsg>) {
    while wait_until_due(shared) {
        if shared.notify_consumer() {
            continue;
        }
        for message in shared.take_committed() {
            if shared.killed() || apply_ch.send(message).is_err() {
                return;
            }
        }
    }
}

/// Waits until there is something to deliver; `false` when the server is killed.
fn wait_until_due(shared: &Shared) -> bool {
    let mut state = shared.state.lock();
    while !shared.killed() {
        if std::mem::take(&mut state.applier_is_due) {
            return true;
        }
        shared.committed.wait(&mut state);
    }
    false
}
