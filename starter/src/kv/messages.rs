//! What a clerk asks, and what it is answered. A request is also what goes into the log, as bytes.

use serde::{Deserialize, Serialize};

/// One operation, and which one it is. A clerk that asks again sends the same request again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The clerk's id.
    pub(crate) client: u64,
    /// The operation's number among those of its clerk, from 1.
    pub(crate) number: u64,
    pub(crate) operation: Operation,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Operation {
    Get { key: String },
    Put { key: String, value: String },
    Append { key: String, value: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// It is done; for a Get this is the value, empty if the key was never written.
    Done { value: String },
    /// This server does not lead, or does not know whether it will be done: ask another one.
    WrongLeader,
}
