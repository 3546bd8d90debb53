//! The requests of clerks, which are also the commands in the log, and the replies of servers.

use serde::{Deserialize, Serialize};

/// An operation that must be executed once, however often its clerk sends it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The id of the clerk.
    pub(crate) client: u64,
    /// The serial number of the operation, from 1 for each clerk. All attempts have the same number.
    pub(crate) serial: u64,
    pub(crate) operation: Operation,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Operation {
    Get { key: String },
    Put { key: String, value: String },
    Append { key: String, value: String },
}

impl Operation {
    /// The name of the RPC that carries the operation.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Operation::Get { .. } => "KvServer.Get",
            Operation::Put { .. } => "KvServer.Put",
            Operation::Append { .. } => "KvServer.Append",
        }
    }

    pub(crate) fn is_read(&self) -> bool {
        matches!(self, Operation::Get { .. })
    }
}

/// The reply to a request. The errors have the lab's names.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The operation was executed. `value` is the result of a `Get`, and empty for a write.
    Ok { value: String },
    /// The key of a `Get` has no value.
    ErrNoKey,
    /// This server is probably not the leader. The operation may have been executed, may be executed later, or never.
    ErrWrongLeader,
}

impl Reply {
    /// The reply to an executed write.
    pub(crate) fn written() -> Reply {
        Reply::Ok { value: String::new() }
    }
}
