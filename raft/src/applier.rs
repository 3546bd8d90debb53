//! The applier: a thread that waits until more is committed and delivers it to the service, in log order (Figure 2, Rules
//! for All Servers). It delivers without the lock: the service may be slow, and may call the server meanwhile.

use labstd::channel::Sender;
use raftapi::ApplyMsg;

use crate::server::Shared;

/// The life of the applier. It ends when the server is killed, or when nobody takes what it delivers.
pub(crate) fn run(shared: &Shared, apply_ch: &Sender<ApplyMsg>) {
    while let Some(committed) = next_committed(shared) {
        for message in committed {
            if shared.killed() || apply_ch.send(message).is_err() {
                return;
            }
        }
    }
}

/// Waits for entries that are committed and were not delivered; `None` when the server is killed.
fn next_committed(shared: &Shared) -> Option<Vec<ApplyMsg>> {
    let mut state = shared.state.lock();
    while !shared.killed() {
        let committed = state.core.take_committed();
        if !committed.is_empty() {
            return Some(committed);
        }
        shared.committed.wait(&mut state);
    }
    None
}
