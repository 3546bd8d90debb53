//! The records of a state machine's state, which a view reads and an image holds.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One record of a state machine's state. A state consists of all its records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A client and the sequence number of its last write.
    Client {
        /// The client.
        client: u64,
        /// The sequence number.
        seq: u64,
    },
    /// A piece of a value. The pieces of one value follow each other, from number 0 on.
    Piece {
        /// The key.
        key: Bytes,
        /// The number of the piece.
        number: u32,
        /// The bytes of the piece.
        bytes: Bytes,
    },
}
