//! What is in an entry of the log: writes of clients that came together, or an order to all servers.

use bytes::Bytes;
use labgob::DecodeError;
use raftapi::Index;
use serde::{Deserialize, Serialize};

use crate::storage::{self, Operation};
use crate::wire::WriteOp;

/// The command of an entry. Variants are added at the end only: the number of one is what is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Nothing: a leader proposes it when it is elected, because what earlier leaders have left is committed with it (5.4.2).
    Nothing,
    /// These, in this order.
    Writes(Vec<Write>),
    /// Let the log up to here go. Every server has applied that much when it comes to this entry.
    Compact {
        /// The last index that may go.
        up_to: Index,
    },
}

/// A client's write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Write {
    /// The client, by its random number.
    pub(crate) client: u64,
    /// Its writes are numbered.
    pub(crate) seq: u64,
    /// What is written.
    pub(crate) key: String,
    /// How.
    pub(crate) op: WriteOp,
    /// The value, or what is added to it.
    pub(crate) value: Bytes,
}

impl Command {
    /// As it is in the log.
    pub(crate) fn encode(&self) -> Bytes {
        labgob::encode(self)
    }

    /// What is in the log.
    ///
    /// # Errors
    ///
    /// If it is none: another program has written it.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Command, DecodeError> {
        labgob::decode(bytes)
    }
}

impl Write {
    /// As the store takes it.
    pub(crate) fn into_stored(self) -> storage::Command {
        let Write { client, seq, key, op, value } = self;
        let key = Bytes::from(key);
        let operation = match op {
            WriteOp::Put => Operation::Put { key, value },
            WriteOp::Append => Operation::Append { key, value },
        };
        storage::Command { client, seq, operation }
    }

    /// About how many bytes it has in the log.
    pub(crate) fn bytes(&self) -> usize {
        const NUMBERS: usize = 24;
        NUMBERS + self.key.len() + self.value.len()
    }
}
