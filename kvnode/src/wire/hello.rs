//! The first words on a connection, in the clear: which protocol, which version, who, and for what.
//!
//! The side that connects says eight bytes (a word that tells this protocol from others, and the version), and a frame, the
//! [`Hello`]. The other side answers with the same eight bytes of its own, a code and a text. This much is the same in all
//! versions, so that two that differ can still tell each other so.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raftapi::ServerId;
use serde::{Deserialize, Serialize};

use super::frame::{self, FrameReader};
use super::noise::{self, Sealed};
use super::socket::{self, TimedReader, write_within};
use super::{Identity, Limits, WireError};

/// The version of the protocol that this code speaks. It is raised when a message changes its meaning or its encoding.
pub const VERSION: u16 = 1;

const MAGIC: &[u8; 6] = b"kvnode";
const PREAMBLE_BYTES: usize = 8;

/// The longest hello.
const HELLO_BYTES_MAX: usize = 1024;

/// The longest text of a refusal that is read.
const TEXT_BYTES_MAX: usize = 512;

/// Who connects, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hello {
    /// A client, which needs no secret.
    Client,
    /// A server of the cluster, or somebody who says so.
    Server(Introduction),
}

/// What a server says of itself before it proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Introduction {
    pub(crate) cluster: String,
    pub(crate) from: ServerId,
    /// Whom it takes the other side for.
    pub(crate) to: ServerId,
    pub(crate) purpose: Purpose,
}

/// What a connection between servers is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Purpose {
    /// Raft's messages.
    Messages,
    /// One snapshot, on a connection of its own, so that no heartbeat has to wait for it.
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

/// Who has come, as far as it says and, for a server, has proved.
#[derive(Debug)]
pub(crate) enum Guest {
    Client(FrameReader<TimedReader>),
    Server(Introduction, Box<Sealed>),
}

fn preamble(version: u16) -> [u8; PREAMBLE_BYTES] {
    let mut bytes = [0; PREAMBLE_BYTES];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[MAGIC.len()..].copy_from_slice(&version.to_be_bytes());
    bytes
}

/// The version in a preamble.
fn version_of(preamble: &[u8]) -> Result<u16, WireError> {
    let (magic, version) = preamble.split_at(MAGIC.len());
    if magic != MAGIC {
        let found = preamble.escape_ascii();
        return Err(WireError::Protocol(format!("it speaks something else: its first bytes are \"{found}\"")));
    }
    Ok(u16::from_be_bytes(version.try_into().expect("two bytes")))
}

fn other_version(theirs: u16) -> String {
    format!(
        "it speaks version {theirs} of the protocol, and this program version {VERSION}: run the same build on both sides"
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
    say(&stream, &Hello::Client, limits.frame)?;
    read_answer(&mut reader, deadline)?;
    Ok((stream, reader))
}

/// On a `stream` that was just made: introduces this server to server `to`, and proves to it who is here, as it has to.
pub(crate) fn introduce(
    stream: &Arc<TcpStream>,
    identity: &Identity,
    to: ServerId,
    purpose: Purpose,
    limits: &Limits,
) -> Result<Sealed, WireError> {
    let deadline = Instant::now() + limits.handshake;
    let reader = FrameReader::new(TimedReader::new(Arc::clone(stream), deadline));
    let introduction = Introduction { cluster: identity.cluster.clone(), from: identity.me, to, purpose };
    let prologue = say(stream, &Hello::Server(introduction), limits.frame)?;
    noise::initiate(&identity.secret, &prologue, stream, reader, deadline, limits.frame)
}

/// Says hello; returns what was said, which is what the handshake then vouches for.
fn say(stream: &TcpStream, hello: &Hello, patience: Duration) -> Result<Vec<u8>, WireError> {
    let mut said = preamble(VERSION).to_vec();
    frame::put(&mut said, hello);
    write_within(stream, &said, patience)?;
    Ok(said)
}

/// The other side's answer to a hello.
///
/// # Errors
///
/// If it refuses, with its reason.
pub(crate) fn read_answer(reader: &mut FrameReader<TimedReader>, deadline: Instant) -> Result<(), WireError> {
    let theirs = version_of(reader.raw(PREAMBLE_BYTES, deadline)?.ok_or(WireError::Closed)?)?;
    let text = reader.by(TEXT_BYTES_MAX, deadline)?;
    if theirs != VERSION {
        return Err(WireError::Protocol(other_version(theirs)));
    }
    match text {
        [] => Ok(()),
        reason => Err(WireError::Refused(printable(&String::from_utf8_lossy(reason)))),
    }
}

/// Words of any length, a stranger's perhaps, fit for one line of a log.
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

/// The answer to a hello: welcome if there is no `refusal`.
pub(crate) fn answer(refusal: &str) -> Vec<u8> {
    let text = printable(refusal);
    let mut bytes = preamble(VERSION).to_vec();
    bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// On a `stream` that was just accepted: hears who it is, and lets servers prove it. A client is not yet welcomed: there may
/// be too many.
///
/// # Errors
///
/// If it is not to be let in. The caller tells it why ([`answer`]).
pub(crate) fn receive(stream: &Arc<TcpStream>, identity: &Identity, limits: &Limits) -> Result<Guest, WireError> {
    let deadline = Instant::now() + limits.handshake;
    let mut reader = FrameReader::new(TimedReader::new(Arc::clone(stream), deadline));
    let mut said = reader.raw(PREAMBLE_BYTES, deadline)?.ok_or(WireError::Closed)?.to_vec();
    let theirs = version_of(&said)?;
    if theirs != VERSION {
        return Err(WireError::Protocol(other_version(theirs)));
    }
    let hello = reader.by(HELLO_BYTES_MAX, deadline)?;
    said.extend_from_slice(&(hello.len() as u32).to_be_bytes());
    said.extend_from_slice(hello);
    match labgob::decode(hello)? {
        Hello::Client => Ok(Guest::Client(reader)),
        Hello::Server(introduction) => {
            check(&introduction, identity)?;
            let sealed = noise::respond(&identity.secret, &said, &answer(""), stream, reader, deadline, limits.frame)?;
            Ok(Guest::Server(introduction, Box::new(sealed)))
        }
    }
}

/// Whether a server that says this can be one of ours.
fn check(introduction: &Introduction, identity: &Identity) -> Result<(), WireError> {
    let Introduction { cluster, from, to, .. } = introduction;
    let me = identity.me;
    let problem = if *cluster != identity.cluster {
        format!("{from} says that it is of cluster `{}`, and this is {me} of another", printable(cluster))
    } else if *to != me {
        format!("{from} looks for {to}, and this is {me}: the addresses of the cluster are mixed up")
    } else if *from == me {
        format!("it says that it is {from}, which is this server itself: two servers have the same id")
    } else if !identity.is_peer(*from) {
        format!("it says that it is {from}, and the cluster has S0 to S{} only", identity.servers.saturating_sub(1))
    } else {
        return Ok(());
    };
    Err(WireError::Protocol(problem))
}
