//! What clients and servers say to each other, and what servers say among themselves. Enums grow at their end only: the
//! number of a variant is what is sent.

use bytes::Bytes;
use raftapi::ServerId;
use serde::{Deserialize, Serialize};

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ClientRequest {
    /// The value of `key`.
    Get {
        /// Whose value.
        key: String,
    },
    /// A change, which must be made once however often it is asked for.
    Write {
        /// The client, by the random number that it drew.
        client: u64,
        /// The client's writes are numbered, and it begins one only when it has done with the one before. A server that
        /// has executed this number, or a higher one, does not execute it again.
        seq: u64,
        /// Whose value.
        key: String,
        /// What is done with it.
        op: WriteOp,
        /// What it becomes, or what is added to it.
        value: Bytes,
    },
    /// How the server is.
    Status,
    /// Anything else, in an encoding that the wire does not know.
    Admin(Bytes),
}

/// How a value is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteOp {
    /// It is replaced.
    Put,
    /// Something is added at its end; a value that was never written is empty.
    Append,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ClientReply {
    /// The value, or `None` if the key was never written.
    Value(Option<Bytes>),
    /// The write is done, by this request or by an earlier copy of it.
    Written,
    /// This server does not lead, or leads no longer. A write may be executed all the same, now or later.
    NotLeader {
        /// Who leads, if it is known.
        leader: Option<ServerId>,
        /// Where the leader talks to clients, if that is known.
        leader_addr: Option<String>,
    },
    /// The server has too much to do, and has not begun with this. Ask again a little later.
    Busy,
    /// How the server is, in an encoding that the wire does not know.
    Status(Bytes),
    /// The answer to an [`ClientRequest::Admin`], in an encoding that the wire does not know.
    Admin(Bytes),
    /// The server will not do this, now or later, and says why.
    Refused(String),
    /// The server cannot tell whether this was done or will be: it has let go of the request. The same request may be sent
    /// again.
    Unanswered,
}

/// A request on its way: its number is the client's, one of its own for each request of a connection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) request: ClientRequest,
}

/// What a server sends to a client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromServer {
    /// The answer to the request with this number.
    Reply { id: u64, reply: ClientReply },
    /// The server ends the connection, and says why.
    Bye(String),
}

/// What goes over a connection for messages: messages and pings one way, pongs the other.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum PeerFrame {
    /// One of Raft's messages.
    Message(Bytes),
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
}

/// What goes over a connection for a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum SnapshotFrame {
    /// What snapshot it is; first.
    Meta(Bytes),
    /// The next piece of it.
    Chunk(Bytes),
    /// That was all.
    End,
    /// What the other side made of it; it may come before the end.
    Verdict(Verdict),
}

/// What became of a snapshot that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The other server has taken it; with its answer, in an encoding that the wire does not know.
    Accepted(Bytes),
    /// The other server does not want it, and says why.
    Refused(String),
}

/// How many bytes a frame has beside the bytes of the payload in it, at most.
pub(crate) const OVERHEAD_BYTES: usize = 64;
