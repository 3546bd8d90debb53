//! What a server does with what comes: the one interface between the wire and the loop behind it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use raftapi::ServerId;

use super::messages::{ClientReply, ClientRequest, Verdict};
use super::outbox::Outbox;
use super::snapshot::SnapshotChunks;

/// What a server does with what comes. The functions are called on the threads of the connections, several at once.
pub trait Handler: Send + Sync + 'static {
    /// Server `from`, which has proved to be of the cluster, sends one of Raft's messages. Messages of one server come in the
    /// order in which they were sent, but for those that are lost. While this runs, no more of them are read: it may wait for
    /// room in a queue, and must return when the server stops.
    fn peer_message(&self, from: ServerId, message: Bytes);

    /// A client wants something. The answer may be given later, by any thread; while this runs, no more of this
    /// connection's requests are read.
    fn client_request(&self, request: ClientRequest, reply: ReplyTo);

    /// Server `from` sends a snapshot, described by `meta`. It need not be read to its end, but what was read is a snapshot
    /// only when [`SnapshotChunks::next`] has returned `Ok(None)`.
    fn snapshot(&self, from: ServerId, meta: Bytes, chunks: &mut SnapshotChunks<'_>) -> Verdict;
}

/// Where the answer to one request goes. Whoever has it may answer, once, on any thread, without waiting for anything. If it
/// is dropped, the client is told [`ClientReply::Unanswered`].
pub struct ReplyTo {
    outbox: Option<Arc<Outbox>>,
    id: u64,
}

impl ReplyTo {
    pub(crate) fn new(outbox: Arc<Outbox>, id: u64) -> ReplyTo {
        ReplyTo { outbox: Some(outbox), id }
    }

    /// Answers the request. If the client is gone, nothing happens.
    pub fn send(mut self, reply: ClientReply) {
        if let Some(outbox) = self.outbox.take() {
            outbox.reply(self.id, reply);
        }
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        if let Some(outbox) = self.outbox.take() {
            outbox.reply(self.id, ClientReply::Unanswered);
        }
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo").field("id", &self.id).finish_non_exhaustive()
    }
}
