//! Delivery without the apply channel: the service takes committed entries itself
//! ([`Raft::take_committed`](raftapi::RaftExt::take_committed)).
//!
//! On a leader, clients wait for committed entries, so the committing thread tells the service at once. On a follower
//! nobody waits, so the applier tells it, for several entries at a time.

use std::sync::Weak;

use labstd::sync::OnceLock;
use raftapi::Consumer;

use crate::core::Effects;
use crate::state::{Shared, State};

/// The service, if it takes committed entries itself.
pub(crate) type Slot = OnceLock<Weak<dyn Consumer>>;

/// Number of committed entries that a follower's service receives together while entries keep arriving. Waking the
/// applier for each entry would cost more than applying it.
const APPLY_BATCH_ENTRIES: u64 = 16;

/// Registers the service that takes committed entries from now on.
///
/// # Panics
///
/// If there is one already, or if entries were committed before.
pub(crate) fn register(shared: &Shared, consumer: Weak<dyn Consumer>) {
    // Under the lock, so that nothing is committed meanwhile.
    let state = shared.state.lock();
    let nothing_committed = state.core.last_applied() == state.core.commit_index();
    assert!(
        nothing_committed && shared.fast.consumer.set(consumer).is_ok(),
        "a Raft has one consumer, registered before the server starts to work"
    );
}

/// Whether the applier has to deliver committed entries now; without a consumer, if there are more. A consumer of a
/// leader is told after the lock is released. That of a follower waits for a batch as long as messages with entries
/// follow each other; the next heartbeat ends the wait.
pub(crate) fn needs_applier(shared: &Shared, state: &mut State, effects: &Effects, more_committed: bool) -> bool {
    if shared.fast.consumer.get().is_none() {
        return more_committed;
    }
    let brings_entries = effects.persist.log.is_some();
    if !(more_committed || effects.reset_election_timer && !brings_entries) {
        return false;
    }
    let waiting = state.core.commit_index().0 - state.core.last_applied().0;
    if waiting == 0 {
        return false;
    }
    if state.core.is_leader() {
        state.fast.work.notify_consumer = true;
        return false;
    }
    !brings_entries || waiting >= APPLY_BATCH_ENTRIES
}

/// Tells the consumer that entries are committed, if `needed` and if there is one.
pub(crate) fn notify_if(needed: bool, shared: &Shared) {
    if needed {
        notify(shared);
    }
}

/// Tells the consumer that entries are committed; returns `false` if there is none.
pub(crate) fn notify(shared: &Shared) -> bool {
    let Some(consumer) = shared.fast.consumer.get() else { return false };
    if let Some(consumer) = consumer.upgrade() {
        consumer.on_commit();
    }
    true
}
