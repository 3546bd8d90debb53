//! Errors of connections. Each text is one clause for people, to follow the name of the connection.

use std::{fmt, io};

/// Reason why a connection could not be opened or had to end.
#[derive(Debug)]
pub enum WireError {
    /// An error of the operating system.
    Io(io::Error),
    /// The other side closed the connection before it was complete.
    Closed,
    /// The other side was silent for too long, or too slow. The text names the awaited data.
    TooSlow(&'static str),
    /// The length of a frame exceeds the limit for its kind. No memory was allocated for it.
    TooLong {
        /// The claimed length, in bytes.
        length: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A complete frame does not decode.
    Undecodable(labgob::DecodeError),
    /// The other side violates the protocol.
    Protocol(String),
    /// This server does not admit the other one, and has told it this reason.
    NotAdmitted(String),
    /// The other side closed the connection and gave this reason, which is not verified.
    Refused(String),
}

impl WireError {
    /// Returns whether the other side needs no reason: it is already gone, or it gave the reason itself.
    pub(crate) fn needs_no_reason(&self) -> bool {
        matches!(self, WireError::Io(_) | WireError::Closed | WireError::Refused(_))
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Io(error) => error.fmt(f),
            WireError::Closed => f.write_str("the other side closed the connection"),
            WireError::TooSlow(what) => write!(f, "waited too long for {what}"),
            WireError::TooLong { length, limit } => write!(f, "a frame has {length} bytes, but the limit is {limit}"),
            WireError::Undecodable(error) => error.fmt(f),
            WireError::Protocol(what) | WireError::NotAdmitted(what) => f.write_str(what),
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
            // This is our own error for a record that cannot be opened, not one of the operating system.
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
