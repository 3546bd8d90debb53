//! The content of a log entry: a batch of client writes, or an instruction to all servers.

use bytes::Bytes;
use labgob::DecodeError;
use raftapi::Index;
use serde::{Deserialize, Serialize};

use crate::storage::{self, Operation};
use crate::wire::WriteOp;

/// The command of an entry. New variants are added at the end only, because the log saves the number of the variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Command {
    /// No operation. A new leader proposes it, because committing it also commits the entries of earlier leaders
    /// (5.4.2).
    Noop,
    /// A batch of writes, in this order.
    Writes(Vec<Write>),
    /// Discard the log up to and including `up_to`. Every server has applied these entries when it applies this
    /// command.
    Compact {
        /// The last index to discard.
        up_to: Index,
    },
}

/// A client's write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Write {
    /// The random number that identifies the client.
    pub(crate) client: u64,
    /// The sequence number of the write among this client's writes.
    pub(crate) seq: u64,
    /// The key.
    pub(crate) key: String,
    /// The kind of write.
    pub(crate) op: WriteOp,
    /// The new value, or the bytes to append.
    pub(crate) value: Bytes,
}

impl Command {
    /// Returns the encoding for the log.
    pub(crate) fn encode(&self) -> Bytes {
        labgob::encode(self)
    }

    /// Decodes the command of a log entry.
    ///
    /// # Errors
    ///
    /// If the bytes are not a command, that is, if another program wrote them.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Command, DecodeError> {
        labgob::decode(bytes)
    }
}

impl Write {
    /// Converts the write for the storage.
    pub(crate) fn into_storage_command(self) -> storage::Command {
        let Write { client, seq, key, op, value } = self;
        let key = Bytes::from(key);
        let operation = match op {
            WriteOp::Put => Operation::Put { key, value },
            WriteOp::Append => Operation::Append { key, value },
        };
        storage::Command { client, seq, operation }
    }

    /// Returns the approximate size of the write in the log, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        const NUMBERS: usize = 24;
        NUMBERS + self.key.len() + self.value.len()
    }
}
