//! The messages between clerks and servers, and the commands in the log. Numbers have a variable length, and a string
//! is its length followed by its bytes. So an Append of ten bytes to a key of one byte is a log entry of about 24
//! bytes, nine of which are the client's id.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use crate::value::Value;

/// Identity of one operation of one client. All copies of a request have the same identity, and no other operation has
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OperationId {
    /// The client's id: a random number that the client draws when it is created.
    pub client: u64,
    /// Sequence number of the operation among those of its client, from 1. A client starts an operation only after it
    /// has a definite reply to the previous one.
    pub seq: u64,
}

/// An operation with its identity, as it is sent to a server and stored in the log. When an entry is applied, the
/// command borrows its strings from the entry: `S` is then `&str`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command<S = String> {
    /// The identity of the operation.
    pub id: OperationId,
    /// The operation to execute.
    pub operation: Operation<S>,
}

/// An operation on the map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation<S = String> {
    /// Reads the value of `key`.
    Get {
        /// The key to read.
        key: S,
    },
    /// Replaces the value of `key`.
    Put {
        /// The key to write.
        key: S,
        /// The new value.
        value: S,
    },
    /// Appends to the value of `key`, or creates the key if it does not exist.
    Append {
        /// The key to write.
        key: S,
        /// The text to add at the end of the value.
        value: S,
    },
}

/// The arguments of `KvServer.Get`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GetArgs {
    /// The identity of the operation. The server uses it only if the Get has to go through the log.
    pub id: OperationId,
    /// The key to read.
    pub key: String,
}

/// The arguments of `KvServer.Write`: a Put or an Append.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WriteArgs(pub Command);

/// The arguments of `KvServer.WriteMany`: Puts and Appends of one client, in the order of their numbers and without
/// gaps. The client sends its next writes after the reply to these; without a reply it sends all of these again. So the
/// highest number in the duplicate table still means that all earlier writes were executed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WriteManyArgs {
    /// The identity of the last write.
    pub last: OperationId,
    /// The writes, each an encoded [`Command`], as it is stored in the log.
    pub commands: Vec<Bytes>,
}

/// A server's reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The write was executed (the lab's `OK`).
    Written,
    /// The value of the key (the lab's `OK`).
    Value(Value),
    /// The key was never written (the lab's `ErrNoKey`).
    NoKey,
    /// The server is not the leader, has lost its leadership, or is stopping (the lab's `ErrWrongLeader`). The
    /// operation may still be executed, now or later.
    WrongLeader,
}
