//! The first messages on a connection, unencrypted: protocol, version, identity and purpose.
//!
//! The connecting side sends eight bytes (a word that identifies the protocol, and the version), and a frame, the
//! [`Hello`]. The accepting side replies with eight bytes of the same form, a code and a text. This part is the same in
//! all versions, so that two sides with different versions can report the mismatch.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raftapi::ServerId;
use serde::{Deserialize, Serialize};

use super::frame::{self, FrameReader};
use super::noise::{self, SealedConnection};
use super::socket::{self, TimedReader, write_with_timeout};
use super::{Identity, Limits, WireError};

/// The version of the protocol. It is raised when a message changes its meaning or its encoding.
pub const VERSION: u16 = 1;

const MAGIC: &[u8; 6] = b"kvnode";
const PREAMBLE_BYTES: usize = 8;

/// Most bytes of a hello.
const HELLO_BYTES_MAX: usize = 1024;

/// Most bytes of the text of a refusal.
const TEXT_BYTES_MAX: usize = 512;

/// The identity and purpose of the connecting side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hello {
    /// A client, which needs no secret.
    Client,
    /// A process that claims to be a server of the cluster.
    Server(Introduction),
}

/// The claimed identity of a server, before its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Introduction {
    pub(crate) cluster: String,
    pub(crate) from: ServerId,
    /// The server that it expects on the other side.
    pub(crate) to: ServerId,
    pub(crate) purpose: Purpose,
}

/// The purpose of a connection between servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Purpose {
    /// Raft messages.
    Messages,
    /// One snapshot, on a connection of its own, so that no heartbeat waits for it.
    Snapshot,
}

impl Purpose {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Purpose::Messages => "messages",
            Purpose::Snapshot => "a snapshot",
        }
    }
}

/// The connecting side of an accepted connection. A client is unauthenticated; a server has proved its identity.
#[derive(Debug)]
pub(crate) enum Peer {
    Client(FrameReader<TimedReader>),
    Server(Introduction, Box<SealedConnection>),
}

fn preamble(version: u16) -> [u8; PREAMBLE_BYTES] {
    let mut bytes = [0; PREAMBLE_BYTES];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[MAGIC.len()..].copy_from_slice(&version.to_be_bytes());
    bytes
}

/// Returns the version in a preamble.
fn version_of(preamble: &[u8]) -> Result<u16, WireError> {
    let (magic, version) = preamble.split_at(MAGIC.len());
    if magic != MAGIC {
        let found = preamble.escape_ascii();
        return Err(WireError::Protocol(format!("it speaks another protocol: its first bytes are \"{found}\"")));
    }
    Ok(u16::from_be_bytes(version.try_into().expect("two bytes")))
}

fn version_mismatch(theirs: u16) -> String {
    format!(
        "it speaks version {theirs} of the protocol, but this program speaks version {VERSION}: run the same build on both sides"
    )
}

/// Connects to `address` as a client.
pub(crate) fn connect_as_client(
    address: &str,
    limits: &Limits,
) -> Result<(Arc<TcpStream>, FrameReader<TimedReader>), WireError> {
    let stream = socket::connect(address, limits.connect, limits.frame)?;
    let deadline = Instant::now() + limits.handshake;
    let mut reader = FrameReader::new(TimedReader::new(Arc::clone(&stream), deadline));
    send_hello(&stream, &Hello::Client, limits.frame)?;
    read_hello_reply(&mut reader, deadline)?;
    Ok((stream, reader))
}

/// Introduces this server to server `to` on the new connection `stream`. The two servers authenticate each other.
pub(crate) fn introduce(
    stream: &Arc<TcpStream>,
    identity: &Identity,
    to: ServerId,
    purpose: Purpose,
    limits: &Limits,
) -> Result<SealedConnection, WireError> {
    let deadline = Instant::now() + limits.handshake;
    let reader = FrameReader::new(TimedReader::new(Arc::clone(stream), deadline));
    let introduction = Introduction { cluster: identity.cluster.clone(), from: identity.me, to, purpose };
    let prologue = send_hello(stream, &Hello::Server(introduction), limits.frame)?;
    noise::initiate(&identity.secret, &prologue, stream, reader, deadline, limits.frame)
}

/// Sends a hello. Returns the sent bytes, which the handshake then authenticates.
fn send_hello(stream: &TcpStream, hello: &Hello, timeout: Duration) -> Result<Vec<u8>, WireError> {
    let mut sent = preamble(VERSION).to_vec();
    frame::append(&mut sent, hello);
    write_with_timeout(stream, &sent, timeout)?;
    Ok(sent)
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

/// Encodes the reply to a hello. An empty `refusal` means welcome.
pub(crate) fn hello_reply(refusal: &str) -> Vec<u8> {
    let text = printable(refusal);
    let mut bytes = preamble(VERSION).to_vec();
    bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Reads the hello on the accepted connection `stream`, and authenticates a server. A client is not welcomed yet,
/// because there may be too many.
///
/// # Errors
///
/// If the other side is not admitted. The caller sends the reason ([`hello_reply`]).
pub(crate) fn accept(stream: &Arc<TcpStream>, identity: &Identity, limits: &Limits) -> Result<Peer, WireError> {
    let deadline = Instant::now() + limits.handshake;
    let mut reader = FrameReader::new(TimedReader::new(Arc::clone(stream), deadline));
    let mut sent = reader.read_raw(PREAMBLE_BYTES, deadline)?.ok_or(WireError::Closed)?.to_vec();
    let theirs = version_of(&sent)?;
    if theirs != VERSION {
        return Err(WireError::Protocol(version_mismatch(theirs)));
    }
    let hello = reader.next_by(HELLO_BYTES_MAX, deadline)?;
    sent.extend_from_slice(&(hello.len() as u32).to_be_bytes());
    sent.extend_from_slice(hello);
    match labgob::decode(hello)? {
        Hello::Client => Ok(Peer::Client(reader)),
        Hello::Server(introduction) => {
            check_introduction(&introduction, identity)?;
            let sealed =
                noise::respond(&identity.secret, &sent, &hello_reply(""), stream, reader, deadline, limits.frame)?;
            Ok(Peer::Server(introduction, Box::new(sealed)))
        }
    }
}

/// Checks whether an introduction can be that of another server of this cluster.
fn check_introduction(introduction: &Introduction, identity: &Identity) -> Result<(), WireError> {
    let Introduction { cluster, from, to, .. } = introduction;
    let me = identity.me;
    let problem = if *cluster != identity.cluster {
        format!("{from} belongs to cluster `{}`, but {me} belongs to another", printable(cluster))
    } else if *to != me {
        format!("{from} expects {to}, but this is {me}: the addresses of the cluster are mixed up")
    } else if *from == me {
        format!("it claims to be {from}, which is this server itself: two servers have the same id")
    } else if !identity.is_peer(*from) {
        format!("it claims to be {from}, but the cluster has S0 to S{} only", identity.servers.saturating_sub(1))
    } else {
        return Ok(());
    };
    Err(WireError::Protocol(problem))
}
