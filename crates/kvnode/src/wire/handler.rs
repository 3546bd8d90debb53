//! The handler of incoming requests and messages: the one interface between the wire and the loop behind it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use raftapi::ServerId;

use super::messages::{ClientReply, ClientRequest, Verdict};
use super::outbox::Outbox;
use super::snapshot::SnapshotChunks;

/// Handler of incoming requests and messages. The methods are called on the threads of the connections, several at
/// once.
pub trait Handler: Send + Sync + 'static {
    /// Handles a Raft message of server `from`, which is authenticated. Messages of one server arrive in the order of
    /// sending, except for lost ones. While this method runs, no more of them are read. It may wait for room in a
    /// queue, and must return when the server stops.
    fn peer_message(&self, from: ServerId, message: Bytes);

    /// Handles a client's request. Any thread may send the reply later. While this method runs, no more requests of
    /// this connection are read.
    fn client_request(&self, request: ClientRequest, reply: ReplyTo);

    /// Receives a snapshot from server `from`, described by `meta`. The method need not read it to its end. The chunks
    /// are a complete snapshot only when [`SnapshotChunks::next`] has returned `Ok(None)`.
    fn snapshot(&self, from: ServerId, meta: Bytes, chunks: &mut SnapshotChunks<'_>) -> Verdict;
}

/// Destination of the reply to one request. Its owner may reply once, on any thread, without blocking. If it is
/// dropped, the client receives [`ClientReply::OutcomeUnknown`].
pub struct ReplyTo {
    outbox: Option<Arc<Outbox>>,
    id: u64,
}

impl ReplyTo {
    pub(crate) fn new(outbox: Arc<Outbox>, id: u64) -> ReplyTo {
        ReplyTo { outbox: Some(outbox), id }
    }

    /// Replies to the request. If the client is gone, the reply is dropped.
    pub fn send(mut self, reply: ClientReply) {
        if let Some(outbox) = self.outbox.take() {
            outbox.reply(self.id, reply);
        }
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        if let Some(outbox) = self.outbox.take() {
            outbox.reply(self.id, ClientReply::OutcomeUnknown);
        }
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyTo").field("id", &self.id).finish_non_exhaustive()
    }
}
