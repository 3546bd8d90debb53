//! Commands that scenarios submit: integers and strings, as in the course.

use std::fmt;

use bytes::Bytes;
use labgob::DecodeError;
use serde::{Deserialize, Serialize};

/// A command that a scenario submits with [`Raft::start`](raftapi::Raft::start). To Raft it is opaque bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Command {
    /// An integer.
    Int(i64),
    /// A string.
    Str(String),
}

impl Command {
    /// Encodes the command as bytes.
    pub fn encode(&self) -> Bytes {
        labgob::encode(self)
    }

    /// Decodes a command from bytes.
    ///
    /// # Errors
    ///
    /// If the bytes were not written by [`encode`](Command::encode): the Raft under test delivered something other than
    /// its input.
    pub fn decode(bytes: &[u8]) -> Result<Command, DecodeError> {
        labgob::decode(bytes)
    }
}

impl From<i64> for Command {
    fn from(number: i64) -> Command {
        Command::Int(number)
    }
}

impl From<String> for Command {
    fn from(text: String) -> Command {
        Command::Str(text)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Int(number) => number.fmt(f),
            Command::Str(text) => {
                const SHOWN: usize = 24;
                let shown: String = text.chars().take(SHOWN).collect();
                let dots = if shown.len() < text.len() { "..." } else { "" };
                write!(f, "{shown:?}{dots}")
            }
        }
    }
}
