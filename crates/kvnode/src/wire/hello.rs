//! The first messages on a connection, unencrypted: protocol, version, identity and purpose.
//!
//! The connecting side sends eight bytes, the preamble (a word that identifies the protocol, and the version), and a
//! frame, the [`Hello`]. The accepting side replies with a preamble of its own, a code and a text (`hello_reply.rs`).
//! Two servers then authenticate each other, and exchange greetings in sealed frames (`greeter.rs`).

use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raftapi::ServerId;
use serde::{Deserialize, Serialize};

use super::frame::{self, FrameReader};
use super::hello_reply::{
    PREAMBLE_BYTES, VERSION, hello_reply, preamble, printable, read_hello_reply, version_mismatch, version_of,
};
use super::noise::{self, SealedConnection};
use super::socket::{self, TimedReader, close_gracefully, write_with_timeout};
use super::{Identity, Limits, WireError};

/// Most bytes of a hello.
const HELLO_BYTES_MAX: usize = 1024;

/// Most bytes of a greeting between servers, as a frame.
const GREETING_BYTES_MAX: usize = 16 << 10;

/// The version of the protocol between servers. It is raised when a message between servers changes its meaning or its
/// encoding. Version 1 had no greetings.
const SERVER_PROTOCOL: u16 = 3;

/// The identity and purpose of the connecting side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hello {
    /// A client, which needs no secret.
    Client,
    /// A server of version 1 of the protocol between servers.
    OldServer(OldIntroduction),
    /// A process that claims to be a server of the cluster.
    Server(Introduction),
}

/// The introduction of a server of version 1, which is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OldIntroduction {
    cluster: String,
    from: ServerId,
    to: ServerId,
    purpose: Purpose,
}

/// The claimed identity of a server, before its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Introduction {
    /// The version of the protocol between servers.
    pub(crate) protocol: u16,
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
    let cluster = identity.cluster.clone();
    let introduction = Introduction { protocol: SERVER_PROTOCOL, cluster, from: identity.me, to, purpose };
    let prologue = send_hello(stream, &Hello::Server(introduction), limits.frame)?;
    let mut sealed = noise::initiate(&identity.secret, &prologue, stream, reader, deadline, limits.frame)?;
    let greeting = identity.greeter.greeting(to).map_err(WireError::Protocol)?;
    sealed.writer.write_frame(&greeting)?;
    let answer: Bytes = labgob::decode(sealed.reader.next_by(GREETING_BYTES_MAX, deadline)?)?;
    identity.greeter.accept(to, &answer).map_err(WireError::Protocol)?;
    Ok(sealed)
}

/// Sends a hello. Returns the sent bytes, which the handshake then authenticates.
fn send_hello(stream: &TcpStream, hello: &Hello, timeout: Duration) -> Result<Vec<u8>, WireError> {
    let mut sent = preamble(VERSION).to_vec();
    frame::append(&mut sent, hello);
    write_with_timeout(stream, &sent, timeout)?;
    Ok(sent)
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
        Hello::OldServer(OldIntroduction { from, .. }) => Err(WireError::Protocol(other_protocol(from, 1))),
        Hello::Server(introduction) => {
            check_introduction(&introduction, identity)?;
            let mut sealed =
                noise::respond(&identity.secret, &sent, &hello_reply(""), stream, reader, deadline, limits.frame)?;
            let greeting: Bytes = labgob::decode(sealed.reader.next_by(GREETING_BYTES_MAX, deadline)?)?;
            let (answer, admitted) = identity.greeter.answer(introduction.from, &greeting);
            sealed.writer.write_frame(&answer)?;
            if let Err(reason) = admitted {
                close_gracefully(stream);
                return Err(WireError::NotAdmitted(reason));
            }
            Ok(Peer::Server(introduction, Box::new(sealed)))
        }
    }
}

/// Checks whether an introduction can be that of another server of this cluster.
fn check_introduction(introduction: &Introduction, identity: &Identity) -> Result<(), WireError> {
    let Introduction { protocol, cluster, from, to, .. } = introduction;
    let me = identity.me;
    let problem = if *protocol != SERVER_PROTOCOL {
        other_protocol(*from, *protocol)
    } else if *cluster != identity.cluster {
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

/// Returns the reason for which two servers with different protocols do not connect.
fn other_protocol(from: ServerId, theirs: u16) -> String {
    format!(
        "{from} speaks version {theirs} of the protocol between servers, but this program speaks version \
         {SERVER_PROTOCOL}: run the same build on all servers"
    )
}
