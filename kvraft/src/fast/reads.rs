//! Gets without the log.
//!
//! A Get that does not go through the log costs no entry, no disk write and no copy. The leader asks a majority to
//! confirm that it still leads, once for all Gets that arrive in the meantime (`RaftExt::read_index_then`). Then it
//! answers from its own map. Before that it must have applied every entry that was committed when the Get arrived,
//! because a client may have seen the result of any of them. The Get stays correct if the leader is deposed during this
//! wait: the leader applies only committed entries, and no client can have seen a later state before the Get began.
//!
//! If Raft has no read index, the Get goes through the log like a write. One such case is a leader that has not
//! committed an entry in its own term. It does not know how much its predecessors had committed until the Get's own
//! entry is committed. So the service needs no empty entry at the beginning of a term.

use labstd::sync::Arc;
use raftapi::{Index, RaftExt};

use crate::messages::{GetArgs, Reply};
use crate::proposals;
use crate::recipient::Recipient;
use crate::shared::{Shared, State};
use crate::waiters::Waiters;

/// The Gets whose read index is known but not applied yet.
#[derive(Default)]
pub(crate) struct PendingReads(Vec<PendingRead>);

struct PendingRead {
    index: Index,
    key: String,
    recipient: Recipient,
}

/// Begins a Get: asks Raft for the read index, and answers once all entries up to it are applied.
pub(crate) fn begin_get<R: RaftExt>(shared: &Arc<Shared<R>>, args: GetArgs, recipient: Recipient) {
    let this = Arc::clone(shared);
    shared.raft.read_index_then(Box::new(move |index| match index {
        Some(index) => answer_once_applied(&this, PendingRead { index, key: args.key, recipient }),
        None => proposals::propose_get(&this, args, recipient),
    }));
}

/// Answers a read once all entries up to its index are applied. These entries are committed, so they will be applied.
/// An installed snapshot that covers the index counts as well.
fn answer_once_applied<R: RaftExt>(shared: &Shared<R>, read: PendingRead) {
    shared.with_state(|state| {
        if shared.killed() {
            state.waiters.settle(read.recipient, Reply::WrongLeader);
        } else if state.store.applied() < read.index {
            state.fast.reads.0.push(read);
        } else {
            state.waiters.settle(read.recipient, state.store.get(&read.key));
        }
    });
}

/// Settles the pending reads whose index is applied.
pub(crate) fn settle(state: &mut State) {
    let State { store, waiters, fast, .. } = state;
    for read in fast.reads.0.extract_if(.., |read| read.index <= store.applied()) {
        waiters.settle(read.recipient, store.get(&read.key));
    }
}

impl PendingReads {
    /// Refuses all pending reads, because the server is stopping.
    pub(crate) fn refuse_all(&mut self, waiters: &mut Waiters<Recipient>) {
        self.0.drain(..).for_each(|read| waiters.settle(read.recipient, Reply::WrongLeader));
    }
}
