//! What clerks ask of servers, which is also what is in the log, and what they are answered.

use serde::{Deserialize, Serialize};

/// Something to be done once, however often it is asked for.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Who asks.
    pub(crate) client: u64,
    /// Which of its operations this is; the first one is 1. All attempts at it have the same number.
    pub(crate) number: u64,
    pub(crate) operation: Operation,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Operation {
    Get { key: String },
    Put { key: String, value: String },
    Append { key: String, value: String },
}

impl Operation {
    /// The RPC that asks for it.
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

/// The errors have the lab's names.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// It is done. The value is what a `Get` has found; a write finds nothing.
    Ok { value: String },
    /// A `Get` has found nothing.
    ErrNoKey,
    /// Perhaps another server leads; perhaps it is done, perhaps it will be, perhaps it never will.
    ErrWrongLeader,
}

impl Reply {
    /// A write is done.
    pub(crate) fn done() -> Reply {
        Reply::Ok { value: String::new() }
    }
}
