//! Why a connection ended. Each text is one clause for people, to stand behind the name of the connection.

use std::{fmt, io};

/// Why a connection could not be made, or had to end.
#[derive(Debug)]
pub enum WireError {
    /// The operating system says so.
    Io(io::Error),
    /// The other side closed it in the middle of something.
    Closed,
    /// The other side was silent for too long, or too slow; what it was waited for.
    TooSlow(&'static str),
    /// A frame says that it is longer than frames of its kind may be. Nothing was allocated for it.
    TooLong {
        /// What its length says, in bytes.
        length: usize,
        /// The most that it may be.
        most: usize,
    },
    /// A frame came whole but is not what it should be.
    Undecodable(labgob::DecodeError),
    /// The other side does not follow the protocol.
    Protocol(String),
    /// The other side says why it ended the connection. These are its words, which nobody vouches for.
    Refused(String),
}

impl WireError {
    /// Whether the other side can have no use for an explanation: it is gone already, or is the one that explained.
    pub(crate) fn is_farewell(&self) -> bool {
        matches!(self, WireError::Io(_) | WireError::Closed | WireError::Refused(_))
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Io(error) => error.fmt(f),
            WireError::Closed => f.write_str("the other side closed the connection"),
            WireError::TooSlow(what) => write!(f, "waited too long for {what}"),
            WireError::TooLong { length, most } => write!(f, "a frame of {length} bytes, where {most} are allowed"),
            WireError::Undecodable(error) => error.fmt(f),
            WireError::Protocol(what) => f.write_str(what),
            WireError::Refused(reason) => write!(f, "refused by the other side: {reason}"),
        }
    }
}

impl std::error::Error for WireError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WireError::Io(error) => Some(error),
            WireError::Undecodable(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> WireError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => WireError::Closed,
            // Ours, of a record that cannot be opened: no fault of the operating system's.
            io::ErrorKind::InvalidData => WireError::Protocol(error.to_string()),
            _ => WireError::Io(error),
        }
    }
}

impl From<labgob::DecodeError> for WireError {
    fn from(error: labgob::DecodeError) -> WireError {
        WireError::Undecodable(error)
    }
}
