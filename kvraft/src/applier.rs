//! The applier: the one thread that changes the store. It reads what Raft delivers, in log order, tells those who wait for
//! a result, and makes a snapshot when the log has grown too long.

use bytes::Bytes;
use labstd::channel::Receiver;
use raftapi::{ApplyMsg, Index, Raft, Term, report};

use crate::messages::Command;
use crate::server::Shared;
use crate::store::Store;

/// When a snapshot is made.
pub(crate) struct SnapshotPolicy {
    /// The size of Raft's saved state, in bytes, from which on a snapshot is wanted.
    max_raft_state: usize,
    /// The bytes of the commands that were applied since the last one.
    applied_since: usize,
}

impl SnapshotPolicy {
    pub(crate) fn new(max_raft_state: usize) -> SnapshotPolicy {
        SnapshotPolicy { max_raft_state, applied_since: 0 }
    }

    /// A command of so many bytes was applied.
    fn applied(&mut self, bytes: usize) {
        self.applied_since += bytes;
    }

    /// A snapshot was made.
    fn made(&mut self) {
        self.applied_since = 0;
    }

    /// Whether it is time for a snapshot. The size alone does not say so: a snapshot takes away only what is applied, and
    /// a leader that is cut off, or a server that was, may have a long log of which little is. It would make one for every
    /// entry.
    fn is_due(&self, raft_state_size: impl Fn() -> usize) -> bool {
        self.applied_since >= self.max_raft_state / 2 && raft_state_size() >= self.max_raft_state
    }
}

/// The life of the applier. It ends when the server is killed, or when Raft delivers no more; the channel goes with it.
pub(crate) fn run<R: Raft>(shared: &Shared<R>, deliveries: Receiver<ApplyMsg>, mut policy: Option<SnapshotPolicy>) {
    for message in &deliveries {
        if shared.killed() {
            return;
        }
        match message {
            ApplyMsg::Snapshot { index, term, snapshot } => install(shared, index, term, &snapshot),
            ApplyMsg::Command { index, term, command } => {
                apply(shared, index, term, &command);
                if let Some(policy) = &mut policy {
                    policy.applied(command.len());
                    if policy.is_due(|| shared.raft.persist_bytes()) {
                        policy.made();
                        make_snapshot(shared);
                    }
                }
            }
        }
    }
}

/// Applies one entry.
fn apply<R: Raft>(shared: &Shared<R>, index: Index, term: Term, entry: &Bytes) {
    let command: Command = labgob::decode(entry).unwrap_or_else(|error| {
        panic!("the entry at index {index}, of {} bytes, was never given to Raft by this service: {error}", entry.len())
    });
    let id = command.id;
    let mut state = shared.state.lock();
    // A snapshot has overtaken it; or the server was killed meanwhile, and nobody cares.
    if index <= state.store.applied() || shared.killed() {
        return;
    }
    report::applied(index, term);
    let reply = state.store.apply(index, command);
    state.waiters.tell(id, &reply);
    // Terms never go down along the log: an entry of an earlier term that has not come by now never will.
    if term > state.applied_term {
        state.applied_term = term;
        state.waiters.refuse_before(term);
    }
    if state.reads_waiting > 0 {
        shared.applied.notify_all();
    }
}

/// Takes a snapshot of another server in place of everything that is here, if it has more.
fn install<R: Raft>(shared: &Shared<R>, index: Index, term: Term, snapshot: &[u8]) {
    let store = Store::restore(snapshot)
        .unwrap_or_else(|error| panic!("the snapshot up to index {index} is none of this service's: {error}"));
    assert_eq!(store.applied(), index, "Raft delivered the snapshot of another index");
    let mut state = shared.state.lock();
    if index <= state.store.applied() || shared.killed() {
        return;
    }
    report::snapshot_installed(index, term);
    state.store = store;
    // The results of what the snapshot covers are not in it, and this server does not lead.
    state.waiters.refuse_up_to(index);
    if state.reads_waiting > 0 {
        shared.applied.notify_all();
    }
}

/// Gives Raft a snapshot of all that was applied. It is the applier that encodes it, so that nothing is applied meanwhile;
/// Raft goes on replicating.
fn make_snapshot<R: Raft>(shared: &Shared<R>) {
    let (index, snapshot) = {
        let state = shared.state.lock();
        if shared.killed() {
            return;
        }
        let (index, snapshot) = (state.store.applied(), state.store.snapshot());
        report::snapshot_taken(index, snapshot.len());
        (index, snapshot)
    };
    shared.raft.snapshot(index, snapshot);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_due_when_the_state_is_large_and_enough_was_applied_since_the_last() {
        let mut policy = SnapshotPolicy::new(1000);
        assert!(!policy.is_due(|| 5000), "nothing was applied that it could cut off");
        policy.applied(499);
        assert!(!policy.is_due(|| 5000));
        policy.applied(1);
        assert!(policy.is_due(|| 1000));
        assert!(!policy.is_due(|| 999), "the state is still small");
        policy.made();
        assert!(!policy.is_due(|| 5000), "one was made just now");
    }
}
