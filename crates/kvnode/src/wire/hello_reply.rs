//! The preamble of both sides, and the reply to a hello. Both are the same in all versions of the protocol, so that two
//! sides with different versions can report the mismatch.

use std::time::Instant;

use super::WireError;
use super::frame::FrameReader;
use super::socket::TimedReader;

/// The version of the protocol. It is raised when a message changes its meaning or its encoding.
pub const VERSION: u16 = 1;

/// The word that identifies the protocol.
const MAGIC: &[u8; 6] = b"kvnode";

/// The size of a preamble, in bytes.
pub(super) const PREAMBLE_BYTES: usize = 8;

/// Most bytes of the text of a refusal.
const TEXT_BYTES_MAX: usize = 512;

/// Returns the preamble of a version of the protocol.
pub(super) fn preamble(version: u16) -> [u8; PREAMBLE_BYTES] {
    let mut bytes = [0; PREAMBLE_BYTES];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[MAGIC.len()..].copy_from_slice(&version.to_be_bytes());
    bytes
}

/// Returns the version in a preamble.
pub(super) fn version_of(preamble: &[u8]) -> Result<u16, WireError> {
    let (magic, version) = preamble.split_at(MAGIC.len());
    if magic != MAGIC {
        let found = preamble.escape_ascii();
        return Err(WireError::Protocol(format!("it speaks another protocol: its first bytes are \"{found}\"")));
    }
    Ok(u16::from_be_bytes(version.try_into().expect("two bytes")))
}

/// Returns the reason for which a connection between different versions ends.
pub(super) fn version_mismatch(theirs: u16) -> String {
    format!(
        "it speaks version {theirs} of the protocol, but this program speaks version {VERSION}: run the same build on both sides"
    )
}

/// Encodes the reply to a hello. An empty `refusal` means welcome.
pub(crate) fn hello_reply(refusal: &str) -> Vec<u8> {
    let text = printable(refusal);
    let mut bytes = preamble(VERSION).to_vec();
    bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Reads the other side's reply to a hello.
///
/// # Errors
///
/// If the other side refuses; the error has its reason.
pub(crate) fn read_hello_reply(reader: &mut FrameReader<TimedReader>, deadline: Instant) -> Result<(), WireError> {
    let theirs = version_of(reader.read_raw(PREAMBLE_BYTES, deadline)?.ok_or(WireError::Closed)?)?;
    let text = reader.next_by(TEXT_BYTES_MAX, deadline)?;
    if theirs != VERSION {
        return Err(WireError::Protocol(version_mismatch(theirs)));
    }
    match text {
        [] => Ok(()),
        reason => Err(WireError::Refused(printable(&String::from_utf8_lossy(reason)))),
    }
}

/// Returns a text, perhaps a stranger's, shortened and without control characters, for one line of a log.
pub(crate) fn printable(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if line.len() + c.len_utf8() > TEXT_BYTES_MAX {
            break;
        }
        line.push(c);
    }
    line
}
