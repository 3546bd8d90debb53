//! The applier: all that changes the store. It takes what Raft has committed, in log order, answers those who wait for a
//! result, and makes a snapshot when the log has grown too long.
//!
//! A Raft that delivers to a consumer ([`Raft::deliver_to`]) says when there is something, and whoever brings that about
//! applies it, under the server's lock. Of another Raft, a thread of the server's own reads the apply channel.

use bytes::Bytes;
use labstd::channel::Receiver;
use raftapi::{ApplyMsg, Index, Raft, Term, report};

use crate::messages::Command;
use crate::server::{Shared, State};
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

/// The life of the thread that reads the apply channel. It ends when the server is killed, or when Raft delivers no more.
pub(crate) fn run<R: Raft>(shared: &Shared<R>, deliveries: &Receiver<ApplyMsg>) {
    for message in deliveries {
        if shared.killed() {
            return;
        }
        apply(shared, || vec![message]);
    }
}

/// Applies what Raft has committed and nobody has taken.
pub(crate) fn apply_committed<R: Raft>(shared: &Shared<R>) {
    apply(shared, || shared.raft.take_committed());
}

/// Applies what `take` gives. What one thread has taken, it applies before another takes more.
fn apply<R: Raft>(shared: &Shared<R>, take: impl FnOnce() -> Vec<ApplyMsg>) {
    let (reads, snapshot) = {
        let _in_order = shared.applying.lock();
        if shared.killed() {
            return;
        }
        // Snapshots are decoded before the lock is taken that every request needs.
        let deliveries: Vec<Delivery> = take().into_iter().map(Delivery::from).collect();
        shared.with_state(|state| {
            if shared.killed() {
                return (Vec::new(), None);
            }
            deliveries.into_iter().for_each(|delivery| state.apply(delivery));
            (state.settled_reads(), state.snapshot_if_due(|| shared.raft.persist_bytes()))
        })
    };
    reads.into_iter().for_each(|(answer, reply)| answer.give(&reply));
    if let Some((index, snapshot)) = snapshot {
        shared.raft.snapshot(index, snapshot);
    }
}

/// What Raft has delivered: an encoded [`Command`], or a snapshot, decoded.
enum Delivery {
    Command { index: Index, term: Term, entry: Bytes },
    Snapshot { index: Index, term: Term, store: Box<Store> },
}

impl From<ApplyMsg> for Delivery {
    /// # Panics
    ///
    /// If it is a snapshot, and none of this service.
    fn from(message: ApplyMsg) -> Delivery {
        match message {
            ApplyMsg::Command { index, term, command: entry } => Delivery::Command { index, term, entry },
            ApplyMsg::Snapshot { index, term, snapshot } => {
                let store = Store::restore(&snapshot).unwrap_or_else(|error| {
                    panic!("the snapshot up to index {index} is none of this service's: {error}")
                });
                assert_eq!(store.applied(), index, "Raft delivered the snapshot of another index");
                Delivery::Snapshot { index, term, store: Box::new(store) }
            }
        }
    }
}

impl State {
    fn apply(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Command { index, term, entry } => self.execute(index, term, &entry),
            Delivery::Snapshot { index, term, store } => self.install(index, term, *store),
        }
    }

    /// Applies one entry.
    ///
    /// # Panics
    ///
    /// If it was never given to Raft by this service.
    fn execute(&mut self, index: Index, term: Term, entry: &[u8]) {
        // A snapshot has overtaken it.
        if index <= self.store.applied() {
            return;
        }
        let bytes = entry.len();
        let command: Command<&str> = labgob::decode(entry).unwrap_or_else(|error| {
            panic!("the entry at index {index}, of {bytes} bytes, was never given to Raft by this service: {error}")
        });
        report::applied(index, term);
        let id = command.id;
        let reply = self.store.apply(index, command);
        self.waiters.tell(id, &reply);
        // Terms never go down along the log: an entry of an earlier term that has not come by now never will.
        if term > self.applied_term {
            self.applied_term = term;
            self.waiters.refuse_before(term);
        }
        if let Some(policy) = &mut self.snapshots {
            policy.applied(bytes);
        }
    }

    /// Takes a snapshot of another server in place of everything that is here, if it has more.
    fn install(&mut self, index: Index, term: Term, store: Store) {
        if index <= self.store.applied() {
            return;
        }
        report::snapshot_installed(index, term);
        self.store = store;
        // The results of what the snapshot covers are not in it, and this server does not lead.
        self.waiters.refuse_up_to(index);
    }

    /// A snapshot of all that was applied, if it is time for one. Nothing is applied while it is encoded; Raft goes on
    /// replicating.
    fn snapshot_if_due(&mut self, raft_state_size: impl Fn() -> usize) -> Option<(Index, Bytes)> {
        let policy = self.snapshots.as_mut()?;
        if !policy.is_due(raft_state_size) {
            return None;
        }
        policy.made();
        let (index, snapshot) = (self.store.applied(), self.store.snapshot());
        report::snapshot_taken(index, snapshot.len());
        Some((index, snapshot))
    }
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
