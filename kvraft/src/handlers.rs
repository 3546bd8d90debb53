//! The handlers of Put, Append and Get. A handler proposes the operation to Raft and waits on a condition variable
//! until the applier has its result, or until its entry can no longer be applied.

use labrpc::Service;
use labstd::sync::Arc;
use labstd::time::Duration;
use raftapi::RaftExt;

#[cfg(feature = "fast")] // fast: reads
use crate::fast; // fast: reads
use crate::messages::{Command, GetArgs, OperationId, Reply, WriteArgs};
use crate::proposals;
use crate::recipient::{Recipient, ReplyCell};
use crate::shared::Shared;

/// Time after which a waiting request is checked for a lost entry. When a leader is deposed in a quiet cluster, no
/// later entry takes the place of the entry that it lost, so the applier alone would never notice the loss. A client
/// that must find another leader waits at most this long, and 20 checks a second cost next to nothing.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Returns the service `KvServer` with its handlers.
pub(crate) fn service<R: RaftExt>(shared: &Arc<Shared<R>>) -> Service {
    let (gets, writes) = (Arc::clone(shared), Arc::clone(shared));
    Service::new("KvServer")
        .method("Get", move |args: GetArgs| wait(&gets, |recipient| begin_get(&gets, args, recipient)))
        .method("Write", move |WriteArgs(command): WriteArgs| {
            wait(&writes, |recipient| begin_write(&writes, &command, recipient))
        })
}

/// Begins a Put or an Append, whose reply goes to `recipient`.
pub(crate) fn begin_write<R: RaftExt>(shared: &Shared<R>, command: &Command, recipient: Recipient) {
    if was_executed(shared, command.id) {
        return recipient.give(Reply::Written);
    }
    proposals::propose(shared, command, recipient);
}

/// Begins a Get, whose reply goes to `recipient`.
pub(crate) fn begin_get<R: RaftExt>(shared: &Arc<Shared<R>>, args: GetArgs, recipient: Recipient) {
    #[cfg(feature = "fast")] // fast: reads
    fast::reads::begin_get(shared, args, recipient); // fast: reads
    #[cfg(not(feature = "fast"))] // fast: reads
    proposals::propose_get(shared, args, recipient);
}

/// Calls `begin`, which begins a request, and waits for the reply.
pub(crate) fn wait<R: RaftExt>(shared: &Shared<R>, begin: impl FnOnce(Recipient)) -> Reply {
    let cell = Arc::new(ReplyCell::default());
    begin(Recipient::Handler(Arc::clone(&cell)));
    loop {
        if let Some(reply) = cell.wait_for(CHECK_INTERVAL) {
            return reply;
        }
        shared.refuse_lost();
    }
}

/// Reports whether write `id` is in the duplicate table.
///
/// The table holds only applied writes, and applied entries are committed. So the write was executed after its client
/// began it, and nothing can undo it. Any server may confirm this, even a deposed leader or a server that is cut off. A
/// client that retries because a reply was lost need not wait for a leader. If a write is *not* in the table, only the
/// log can decide.
pub(crate) fn was_executed<R: RaftExt>(shared: &Shared<R>, id: OperationId) -> bool {
    shared.state.lock().store.has_written(id)
}
