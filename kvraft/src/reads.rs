//! The handler of a Get.
//!
//! A Get that does not go through the log costs no entry, no disk write and no copy. The leader asks a majority to
//! confirm that it still leads, once for all Gets that arrive in the meantime (`Raft::read_index_then`). Then it
//! answers from its own map. Before that it must have applied every entry that was committed when the Get arrived,
//! because a client may have seen the result of any of them. The Get stays correct if the leader is deposed during this
//! wait: the leader applies only committed entries, and no client can have seen a later state before the Get began.
//!
//! If Raft has no read index, the Get goes through the log like a write. One such case is a leader that has not
//! committed an entry in its own term. It does not know how much its predecessors had committed until the Get's own
//! entry is committed. So the service needs no empty entry at the beginning of a term.

use labrpc::Answer;
use labstd::sync::Arc;
use raftapi::{Index, Raft};

use crate::messages::{Command, GetArgs, Operation, Reply};
use crate::server::{Shared, State};
use crate::writes;

/// A Get whose read index is known but not applied yet.
pub(crate) struct PendingRead {
    index: Index,
    key: String,
    answer: Answer<Reply>,
}

/// Handles a Get.
pub(crate) fn handle_get<R: Raft>(shared: &Arc<Shared<R>>, GetArgs { id, key }: GetArgs, answer: Answer<Reply>) {
    let this = Arc::clone(shared);
    shared.raft.read_index_then(Box::new(move |index| match index {
        Some(index) => answer_once_applied(&this, PendingRead { index, key, answer }),
        None => writes::propose(&this, &Command { id, operation: Operation::Get { key } }, answer),
    }));
}

/// Answers a read once all entries up to its index are applied. These entries are committed, so they will be applied.
/// An installed snapshot that covers the index counts as well.
fn answer_once_applied<R: Raft>(shared: &Shared<R>, read: PendingRead) {
    let mut state = shared.state.lock();
    if shared.killed() {
        drop(state);
        read.refuse();
    } else if state.store.applied() < read.index {
        state.reads.push(read);
    } else {
        let reply = state.store.get(&read.key);
        drop(state);
        read.answer.give(&reply);
    }
}

impl State {
    /// Removes the pending reads whose index is applied, and returns them with their replies.
    pub(crate) fn take_ready_reads(&mut self) -> Vec<(Answer<Reply>, Reply)> {
        if self.reads.is_empty() {
            return Vec::new();
        }
        let State { reads, store, .. } = self;
        let ready = reads.extract_if(.., |read| read.index <= store.applied());
        ready.map(|read| (read.answer, store.get(&read.key))).collect()
    }
}

impl PendingRead {
    /// Answers the read with `WrongLeader`, because the server is stopping.
    pub(crate) fn refuse(self) {
        self.answer.give(&Reply::WrongLeader);
    }
}
