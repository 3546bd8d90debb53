//! The applier: a thread that waits for newly committed entries and delivers them to the service in log order (Figure
//! 2, Rules for All Servers). It delivers without holding the lock, because the service may be slow and may call the
//! server meanwhile.
//!
//! A service that takes committed entries itself is only notified. On a leader, the committing thread notifies it
//! (`follow_ups.rs`).

use labstd::channel::Sender;
use raftapi::ApplyMsg;

use crate::server::Shared;

/// Runs the applier. It ends when the server is killed, or when the receiver of the apply channel is gone.
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

/// Waits until there is something to deliver. Returns `false` when the server is killed.
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
