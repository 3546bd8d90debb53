//! What happens to a Get on the server that a clerk asks.
//!
//! A Get that does not go through the log costs no entry, no disk and no copy: the leader asks a majority whether it still
//! leads, once for all Gets that came in the meantime (`Raft::read_index`), and answers from its own map. It must have
//! applied everything that was committed when the Get came, because a client may have heard of it. That it is deposed while
//! it waits for that does no harm: what it applies is committed, and no client can have seen a later state before its Get
//! began.
//!
//! Where Raft knows no such index the Get goes through the log as a write would. One case is that of a leader which has not
//! committed anything in its term: it does not know how much its predecessors had committed, and the Get's own entry is
//! what tells it. So the service needs no empty entry at the beginning of a term.

use raftapi::{Index, Raft};

use crate::messages::{Command, GetArgs, Operation, Reply};
use crate::server::Shared;
use crate::writes;

/// Handles a Get.
pub(crate) fn get<R: Raft>(shared: &Shared<R>, GetArgs { id, key }: GetArgs) -> Reply {
    match shared.raft.read_index() {
        Some(index) => answer_after(shared, index, &key),
        None => writes::through_the_log(shared, &Command { id, operation: Operation::Get { key } }),
    }
}

/// Waits until everything up to `index` is applied, which is committed and therefore will be. A snapshot that covers it
/// serves as well.
fn answer_after<R: Raft>(shared: &Shared<R>, index: Index, key: &str) -> Reply {
    let mut state = shared.state.lock();
    while state.store.applied() < index && !shared.killed() {
        state.reads_waiting += 1;
        shared.applied.wait(&mut state);
        state.reads_waiting -= 1;
    }
    if shared.killed() { Reply::WrongLeader } else { state.store.get(key) }
}
