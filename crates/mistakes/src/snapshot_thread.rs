//! A mistake between a Raft and its service: snapshots and entries are delivered by different threads.

use labrpc::ClientEnd;
use labstd::channel::{self, Receiver, Sender};
use labstd::sync::Arc;
use labstd::thread;
use raftapi::{ApplyMsg, Persister, ServerId};

use crate::Raft;

/// Returns a function that makes servers which deliver each snapshot on a thread of its own, and go on with the entries
/// after it. The entries overtake the snapshot if its thread runs late. Figure 2, All Servers: "If commitIndex >
/// lastApplied: increment lastApplied, apply log\[lastApplied\] to state machine"; the snapshot replaces the entries up
/// to its last one, so it comes before the next entry.
pub fn factory() -> impl Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Sender<ApplyMsg>) -> Raft + Send + Sync + 'static
{
    |peers, me, persister, apply_ch| {
        let (tx, rx) = channel::bounded(1);
        thread::spawn(format!("deliverer-{me}"), move || deliver(me, &rx, &apply_ch));
        Raft::factory(None)(peers, me, persister, tx)
    }
}

/// Passes the messages of a correct Raft on to its service, the snapshots on other threads.
fn deliver(me: ServerId, messages: &Receiver<ApplyMsg>, apply_ch: &Sender<ApplyMsg>) {
    for message in messages {
        if matches!(message, ApplyMsg::Snapshot { .. }) {
            let apply_ch = apply_ch.clone();
            thread::spawn(format!("snapshot-deliverer-{me}"), move || apply_ch.send(message));
        } else if apply_ch.send(message).is_err() {
            return;
        }
    }
}
