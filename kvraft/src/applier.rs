//! The applier: the only code that changes the store. It takes committed entries from Raft in log order, answers the
//! waiting requests, and makes a snapshot when the log has grown too long.
//!
//! A Raft that delivers to a consumer ([`Raft::deliver_to`]) notifies the service of committed entries. The thread that
//! committed them applies them, under the server's lock. With any other Raft, a thread of the server reads the apply
//! channel.

use bytes::Bytes;
use labstd::channel::Receiver;
use raftapi::{ApplyMsg, Index, Raft, Term, report};

use crate::messages::Command;
use crate::server::{Shared, State};
use crate::store::Store;

/// Decides when the server makes a snapshot.
pub(crate) struct SnapshotPolicy {
    /// Size of Raft's saved state, in bytes, at which a snapshot is wanted.
    max_raft_state: usize,
    /// Total size of the commands that were applied since the last snapshot, in bytes.
    applied_bytes: usize,
}

impl SnapshotPolicy {
    pub(crate) fn new(max_raft_state: usize) -> SnapshotPolicy {
        SnapshotPolicy { max_raft_state, applied_bytes: 0 }
    }

    /// Records that a command of this size was applied.
    fn record_applied(&mut self, bytes: usize) {
        self.applied_bytes += bytes;
    }

    /// Records that a snapshot was made.
    fn record_snapshot(&mut self) {
        self.applied_bytes = 0;
    }

    /// Reports whether a snapshot is due. The size of the log alone does not decide this, because a snapshot removes
    /// only applied entries. The log of a leader that is or was cut off may be long and hold few of them. With the size
    /// alone such a server would make a snapshot for every entry.
    fn is_due(&self, raft_state_size: impl Fn() -> usize) -> bool {
        self.applied_bytes >= self.max_raft_state / 2 && raft_state_size() >= self.max_raft_state
    }
}

/// Body of the thread that reads the apply channel. It ends when the server is killed or Raft closes the channel.
pub(crate) fn run<R: Raft>(shared: &Shared<R>, apply_ch: &Receiver<ApplyMsg>) {
    for message in apply_ch {
        if shared.killed() {
            return;
        }
        apply_messages(shared, || vec![message]);
    }
}

/// Takes all committed entries that are not applied yet from Raft, and applies them.
pub(crate) fn apply_committed<R: Raft>(shared: &Shared<R>) {
    apply_messages(shared, || shared.raft.take_committed());
}

/// Applies the messages that `take` returns. A thread applies the messages it took before another thread takes more.
fn apply_messages<R: Raft>(shared: &Shared<R>, take: impl FnOnce() -> Vec<ApplyMsg>) {
    let (reads, snapshot) = {
        let _in_order = shared.apply_order.lock();
        if shared.killed() {
            return;
        }
        // Decode snapshots before taking the lock, because every request needs it.
        let deliveries: Vec<Delivery> = take().into_iter().map(Delivery::from).collect();
        shared.with_state(|state| {
            if shared.killed() {
                return (Vec::new(), None);
            }
            deliveries.into_iter().for_each(|delivery| state.apply(delivery));
            (state.take_ready_reads(), state.snapshot_if_due(|| shared.raft.persist_bytes()))
        })
    };
    reads.into_iter().for_each(|(answer, reply)| answer.give(&reply));
    if let Some((index, snapshot)) = snapshot {
        shared.raft.snapshot(index, snapshot);
    }
}

/// A message from Raft: an encoded [`Command`], or a decoded snapshot.
enum Delivery {
    Command { index: Index, term: Term, entry: Bytes },
    Snapshot { index: Index, term: Term, store: Box<Store> },
}

impl From<ApplyMsg> for Delivery {
    /// # Panics
    ///
    /// If the message is a snapshot that this service did not make.
    fn from(message: ApplyMsg) -> Delivery {
        match message {
            ApplyMsg::Command { index, term, command: entry } => Delivery::Command { index, term, entry },
            ApplyMsg::Snapshot { index, term, snapshot } => {
                let store = Store::restore(&snapshot).unwrap_or_else(|error| {
                    panic!("this service cannot decode the snapshot up to index {index}: {error}")
                });
                assert_eq!(store.applied(), index, "Raft delivered a snapshot with the wrong index");
                Delivery::Snapshot { index, term, store: Box::new(store) }
            }
        }
    }
}

impl State {
    fn apply(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Command { index, term, entry } => self.apply_entry(index, term, &entry),
            Delivery::Snapshot { index, term, store } => self.install_snapshot(index, term, *store),
        }
    }

    /// Applies one entry.
    ///
    /// # Panics
    ///
    /// If this service did not give the entry to Raft.
    fn apply_entry(&mut self, index: Index, term: Term, entry: &[u8]) {
        // A snapshot that was installed earlier covers this entry.
        if index <= self.store.applied() {
            return;
        }
        let bytes = entry.len();
        let command: Command<&str> = labgob::decode(entry).unwrap_or_else(|error| {
            panic!("this service did not give the entry at index {index}, of {bytes} bytes, to Raft: {error}")
        });
        report::applied(index, term);
        let id = command.id;
        let reply = self.store.apply(index, command);
        self.waiters.resolve(id, &reply);
        // Terms never decrease along the log. If an entry of an earlier term is not applied by now, it never will be.
        if term > self.applied_term {
            self.applied_term = term;
            self.waiters.refuse_before(term);
        }
        if let Some(policy) = &mut self.snapshots {
            policy.record_applied(bytes);
        }
    }

    /// Replaces the store with another server's snapshot, if the snapshot covers more entries.
    fn install_snapshot(&mut self, index: Index, term: Term, store: Store) {
        if index <= self.store.applied() {
            return;
        }
        report::snapshot_installed(index, term);
        self.store = store;
        // The snapshot does not contain the results of the operations it covers, and this server is not the leader.
        self.waiters.refuse_up_to(index);
    }

    /// Returns a snapshot of all applied entries, if one is due. No entry is applied during the encoding; Raft
    /// continues to replicate.
    fn snapshot_if_due(&mut self, raft_state_size: impl Fn() -> usize) -> Option<(Index, Bytes)> {
        let policy = self.snapshots.as_mut()?;
        if !policy.is_due(raft_state_size) {
            return None;
        }
        policy.record_snapshot();
        let (index, snapshot) = (self.store.applied(), self.store.snapshot());
        report::snapshot_taken(index, snapshot.len());
        Some((index, snapshot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_needs_a_large_state_and_new_applied_entries() {
        let mut policy = SnapshotPolicy::new(1000);
        assert!(!policy.is_due(|| 5000), "no entry was applied, so a snapshot could not shorten the log");
        policy.record_applied(499);
        assert!(!policy.is_due(|| 5000));
        policy.record_applied(1);
        assert!(policy.is_due(|| 1000));
        assert!(!policy.is_due(|| 999), "the state is still small");
        policy.record_snapshot();
        assert!(!policy.is_due(|| 5000), "the last snapshot is as new as the last applied entry");
    }
}
