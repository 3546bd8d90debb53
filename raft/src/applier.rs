//! The applier: a thread that waits until more entries are committed and delivers them to the service, in log order
//! (Figure 2, Rules for All Servers). It delivers without the lock, because the service may be slow and may call the
//! server meanwhile.

use labstd::channel::Sender;
use raftapi::ApplyMsg;

use crate::state::Shared;

/// Runs the applier until the server is killed, or until the receiver of the apply channel is dropped.
pub(crate) fn run(shared: &Shared, apply_ch: &Sender<ApplyMsg>) {
    while wait_until_due(shared) {
        // fast: consumer begin
        #[cfg(feature = "fast")]
        if crate::fast::consumer::notify(shared) {
            continue;
        }
        // fast: consumer end
        let committed = shared.take_committed();
        for message in committed {
            if shared.killed() || apply_ch.send(message).is_err() {
                return;
            }
        }
    }
}

/// Waits until there is something to deliver; returns `false` when the server is killed.
fn wait_until_due(shared: &Shared) -> bool {
    let mut state = shared.state.lock();
    while !shared.killed() {
        if std::mem::take(&mut state.applier_is_due) {
            return true;
        }
        shared.applier.wait(&mut state);
    }
    false
}
