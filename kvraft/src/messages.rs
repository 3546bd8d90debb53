//! What goes over the network between clerks and servers, and what goes into the log. Numbers take as many bytes as they
//! need and strings are a length and their bytes, so an Append of ten bytes to a key of one is an entry of 24 bytes or so, of
//! which the client's id is nine.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use crate::value::Value;

/// One operation of one client: the same in every copy of its request, and of no other operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OperationId {
    /// The client, by the random number that it drew when it was made.
    pub client: u64,
    /// The client's operations are numbered from 1. It begins one only when it has a definite answer to the one before.
    pub seq: u64,
}

/// An operation as it is sent to a server, and as it is in the log. What is applied may borrow its strings from there: `S` is
/// then `&str`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command<S = String> {
    /// Which operation it is.
    pub id: OperationId,
    /// What is to be done.
    pub operation: Operation<S>,
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation<S = String> {
    /// The value of `key`.
    Get {
        /// Whose value.
        key: S,
    },
    /// Replace the value of `key`.
    Put {
        /// Whose value.
        key: S,
        /// What it becomes.
        value: S,
    },
    /// Add to the value of `key`, or begin one.
    Append {
        /// Whose value.
        key: S,
        /// What is added at its end.
        value: S,
    },
}

/// The arguments of `KvServer.Get`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GetArgs {
    /// Which operation it is, should it have to go through the log.
    pub id: OperationId,
    /// Whose value.
    pub key: String,
}

/// The arguments of `KvServer.Write`: a Put or an Append.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WriteArgs(pub Command);

/// The arguments of `KvServer.WriteMany`: Puts and Appends of one client, in the order of their numbers and without gaps. The
/// client sends the next ones when these are answered, and all of them again if they are not: so the highest number in the
/// duplicate table still says that everything before it was executed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WriteManyArgs {
    /// The last of them.
    pub last: OperationId,
    /// Each an encoded [`Command`], as it is in the log.
    pub commands: Vec<Bytes>,
}

/// The answer of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The write is done (the lab's `OK`).
    Written,
    /// The value of the key (the lab's `OK`).
    Value(Value),
    /// The key was never written (the lab's `ErrNoKey`).
    NoKey,
    /// The server does not lead, or leads no longer, or is about to stop (the lab's `ErrWrongLeader`). The operation may be
    /// executed all the same, now or later.
    WrongLeader,
}
