//! The request of a clerk and the reply to it. The encoded request is also the command in the log.

use serde::{Deserialize, Serialize};

/// One operation with its identity. A clerk that retries sends the same request again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The clerk's id.
    pub(crate) client: u64,
    /// Sequence number of the operation among those of its clerk, from 1.
    pub(crate) number: u64,
    pub(crate) operation: Operation,
}

/// An operation on the map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Operation {
    Get { key: String },
    Put { key: String, value: String },
    Append { key: String, value: String },
}

/// The reply to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The operation was executed. For a Get, `value` is the value of the key, empty if the key was never written.
    Done { value: String },
    /// This server is not the leader, or does not know whether the operation will be executed. The clerk tries another
    /// server.
    WrongLeader,
}
