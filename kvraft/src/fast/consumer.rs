//! Applying committed entries on the thread that committed them. A Raft that delivers to a consumer
//! ([`RaftExt::deliver_to`]) notifies the service, which takes the entries itself. With any other Raft, nothing
//! changes: the applier reads the apply channel.

use labstd::sync::{Arc, Weak};
use raftapi::{Consumer, RaftExt};

use crate::applier;
use crate::shared::Shared;

/// Registers the service as the consumer of its Raft, if the Raft supports that.
pub(crate) fn register<R: RaftExt>(shared: &Arc<Shared<R>>) {
    let consumer: Weak<Shared<R>> = Arc::downgrade(shared);
    let _is_supported = shared.raft.deliver_to(consumer);
}

impl<R: RaftExt> Consumer for Shared<R> {
    /// Applies all committed entries. A thread applies the entries that it took before another thread takes more.
    fn on_commit(&self) {
        let snapshot = {
            let _in_order = self.fast.apply_order.lock();
            if self.killed() { None } else { applier::apply(self, self.raft.take_committed()) }
        };
        applier::hand_over(self, snapshot);
    }
}
