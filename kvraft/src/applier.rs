//! The applier: a thread that reads the apply channel, and the only code that changes the store. It applies committed
//! entries in log order, answers the waiting requests, and makes a snapshot when the log has grown too long.

use bytes::Bytes;
use labstd::channel::Receiver;
use raftapi::{ApplyMsg, Index, RaftExt, Term, report};

use crate::messages::Command;
use crate::shared::{Shared, State};
use crate::store::Store;

/// Body of the applier thread. It ends when the server is killed or Raft closes the channel.
pub(crate) fn run<R: RaftExt>(shared: &Shared<R>, apply_ch: &Receiver<ApplyMsg>) {
    for message in apply_ch {
        if shared.killed() {
            return;
        }
        let snapshot = apply(shared, vec![message]);
        hand_over(shared, snapshot);
    }
}

/// Applies messages of Raft, in their order. Returns a snapshot if one is due.
pub(crate) fn apply<R: RaftExt>(shared: &Shared<R>, messages: Vec<ApplyMsg>) -> Option<(Index, Bytes)> {
    // Decode snapshots before taking the lock, because every request needs it.
    let deliveries: Vec<Delivery> = messages.into_iter().map(Delivery::from).collect();
    shared.with_state(|state| {
        if shared.killed() {
            return None;
        }
        deliveries.into_iter().for_each(|delivery| state.apply(delivery));
        #[cfg(feature = "fast")] // fast: reads
        crate::fast::reads::settle(state); // fast: reads
        state.snapshot_if_due(|| shared.raft.persist_bytes())
    })
}

/// Hands a snapshot over to Raft, which discards the entries that it covers. No lock is held, because Raft saves it.
pub(crate) fn hand_over<R: RaftExt>(shared: &Shared<R>, snapshot: Option<(Index, Bytes)>) {
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
