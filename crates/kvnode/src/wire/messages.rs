//! The messages between clients and servers, and between servers. Variants are added at the end only, because the
//! number of a variant is sent.

use bytes::Bytes;
use raftapi::ServerId;
use serde::{Deserialize, Serialize};

/// A request of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ClientRequest {
    /// Read the value of `key`.
    Get {
        /// The key.
        key: String,
    },
    /// Change a value. The change is made once, however often the request is sent.
    Write {
        /// The random number that identifies the client.
        client: u64,
        /// The sequence number of the client's write. The client begins a write only after it has finished the one
        /// before. A server that has executed this number or a higher one does not execute it again.
        seq: u64,
        /// The key.
        key: String,
        /// The kind of change.
        op: WriteOp,
        /// The new value, or the bytes to append.
        value: Bytes,
    },
    /// Read the status of the server.
    Status,
    /// Any other request, in an encoding that the wire does not know.
    Admin(Bytes),
}

/// The kind of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteOp {
    /// Replace the value.
    Put,
    /// Append to the value; a value that was never written is empty.
    Append,
}

/// A reply of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ClientReply {
    /// The value, or `None` if the key was never written.
    Value(Option<Bytes>),
    /// The write is executed, by this request or by an earlier copy of it.
    Written,
    /// This server does not lead, or no longer leads. A write may still be executed, now or later.
    NotLeader {
        /// The leader, if it is known.
        leader: Option<ServerId>,
        /// The leader's address for clients, if it is known.
        leader_addr: Option<String>,
    },
    /// The server is overloaded and has not begun with the request. Send it again a little later.
    Busy,
    /// The status of the server, in an encoding that the wire does not know.
    Status(Bytes),
    /// The reply to a [`ClientRequest::Admin`], in an encoding that the wire does not know.
    Admin(Bytes),
    /// The server will never execute the request, for this reason.
    Refused(String),
    /// The server dropped the request and does not know whether it was or will be executed. The client may send the
    /// same request again.
    OutcomeUnknown,
}

/// A numbered request. The client chooses a number that is unique on the connection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) request: ClientRequest,
}

/// A message from a server to a client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ServerMessage {
    /// The reply to the request with this number.
    Reply { id: u64, reply: ClientReply },
    /// The server closes the connection, for this reason.
    Closing(String),
}

/// A frame on a connection for messages: messages and pings in one direction, pongs in the other.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum PeerFrame {
    /// A Raft message.
    Message(Bytes),
    /// A liveness check of the connecting server.
    Ping,
    /// The reply to a ping.
    Pong,
}

/// A frame on a connection for a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum SnapshotFrame {
    /// The description of the snapshot; the first frame.
    Meta(Bytes),
    /// The next chunk of the snapshot.
    Chunk(Bytes),
    /// The end of the snapshot.
    End,
    /// The receiver's verdict, which may come before the end.
    Verdict(Verdict),
}

/// The receiver's verdict on a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The receiver has accepted the snapshot. The content is its reply, in an encoding that the wire does not know.
    Accepted(Bytes),
    /// The receiver has refused the snapshot, for this reason.
    Refused(String),
}

/// Most bytes that a frame adds to its payload.
pub(crate) const OVERHEAD_BYTES: usize = 64;
