//! What happens to a Get on the server that a clerk asks.
//!
//! A Get that does not go through the log costs no entry, no disk and no copy: the leader asks a majority whether it still
//! leads, once for all Gets that came in the meantime (`Raft::read_index_then`), and answers from its own map. It must have
//! applied everything that was committed when the Get came, because a client may have heard of it. That it is deposed while
//! it waits for that does no harm: what it applies is committed, and no client can have seen a later state before its Get
//! began.
//!
//! Where Raft knows no such index the Get goes through the log as a write would. One case is that of a leader which has not
//! committed anything in its term: it does not know how much its predecessors had committed, and the Get's own entry is
//! what tells it. So the service needs no empty entry at the beginning of a term.

use labrpc::Answer;
use labstd::sync::Arc;
use raftapi::{Index, Raft};

use crate::messages::{Command, GetArgs, Operation, Reply};
use crate::server::{Shared, State};
use crate::writes;

/// A Get whose index is known, and not yet applied.
pub(crate) struct WaitingRead {
    index: Index,
    key: String,
    answer: Answer<Reply>,
}

/// Handles a Get.
pub(crate) fn get<R: Raft>(shared: &Arc<Shared<R>>, GetArgs { id, key }: GetArgs, answer: Answer<Reply>) {
    let this = Arc::clone(shared);
    shared.raft.read_index_then(Box::new(move |index| match index {
        Some(index) => answer_after(&this, WaitingRead { index, key, answer }),
        None => writes::through_the_log(&this, &Command { id, operation: Operation::Get { key } }, answer),
    }));
}

/// Answers a read once everything up to its index is applied, which is committed and therefore will be. A snapshot that covers
/// it serves as well.
fn answer_after<R: Raft>(shared: &Shared<R>, read: WaitingRead) {
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
    /// The reads that waited for no more than what is applied now, with their replies.
    pub(crate) fn settled_reads(&mut self) -> Vec<(Answer<Reply>, Reply)> {
        if self.reads.is_empty() {
            return Vec::new();
        }
        let State { reads, store, .. } = self;
        let settled = reads.extract_if(.., |read| read.index <= store.applied());
        settled.map(|read| (read.answer, store.get(&read.key))).collect()
    }
}

impl WaitingRead {
    /// The server stops.
    pub(crate) fn refuse(self) {
        self.answer.give(&Reply::WrongLeader);
    }
}
