//! Encryption between servers: the Noise protocol (crate `snow`), pattern `NNpsk0` with the cluster's secret.
//!
//! Two messages create new keys for every connection: `-> psk, e` and `<- e, ee`. A process without the secret can
//! neither create the first message nor reply to it. The prologue authenticates everything that was sent unencrypted
//! before: the version, the cluster, both ids, the purpose. A recorded first message can be replayed and gets a reply,
//! but only its author can compute the keys. So a server is authenticated only after one of its sealed frames has been
//! opened ([`respond`]).
//!
//! After that each direction is a sequence of records: a length in two bytes, and that many bytes, which nobody else
//! can read or create. Both sides number the records, so that none can be left out, repeated or moved. A record holds
//! as many frames, or as much of one frame, as there is to write, because sealing costs more in smaller records.
//!
//! The secret belongs to the cluster and not to one server. It excludes strangers, but not a server that lies.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use snow::{Builder, HandshakeState, StatelessTransportState};

use super::frame::{self, FrameReader, ReadBuffer};
use super::hello_reply::read_hello_reply;
use super::socket::{DeadlineRead, TimedReader, write_with_timeout};
use super::{Secret, WireError};

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";

/// Most bytes of a record (and of a handshake message), by the Noise specification.
const RECORD_BYTES_MAX: usize = 65_535;

/// The bytes that a seal adds to a record.
const SEAL_BYTES: usize = 16;

/// Most bytes of content in a record.
const PLAIN_BYTES_MAX: usize = RECORD_BYTES_MAX - SEAL_BYTES;

/// The size of a record's length, in bytes.
const LENGTH_BYTES: usize = 2;

/// Most bytes of a handshake frame. The messages have 48 bytes.
const HANDSHAKE_BYTES_MAX: usize = 256;

/// The bytes of sealed output that are collected before they are written.
const WRITE_BYTES: usize = 512 << 10;

/// A connection between two servers that have proved to each other that they know the secret.
#[derive(Debug)]
pub struct SealedConnection {
    /// The incoming frames.
    pub reader: FrameReader<Unsealer>,
    /// The outgoing frames.
    pub writer: Sealer,
}

/// Performs the handshake on the connecting side. `prologue` is everything that this side sent before.
///
/// # Errors
///
/// If the other side does not know the secret, or received another prologue.
pub fn initiate(
    secret: &Secret,
    prologue: &[u8],
    stream: &Arc<TcpStream>,
    mut reader: FrameReader<TimedReader>,
    deadline: Instant,
    timeout: Duration,
) -> Result<SealedConnection, WireError> {
    let mut noise = builder(secret, prologue).build_initiator().map_err(handshake_error)?;
    write_message(&mut noise, stream, timeout)?;
    read_hello_reply(&mut reader, deadline)?;
    let message = reader.next_by(HANDSHAKE_BYTES_MAX, deadline)?;
    let answer = noise.read_message(message, &mut [0; HANDSHAKE_BYTES_MAX]);
    answer.map_err(|_| WireError::Protocol("the other side does not know this cluster's secret".into()))?;
    let mut sealed = finish(noise, stream, reader, timeout)?;
    // This frame proves that this side has the keys, so its first message was not a recorded one.
    sealed.writer.write_frame(&Bytes::new())?;
    Ok(sealed)
}

/// Performs the handshake on the accepting side. `welcome` is sent with its message. When this returns, the other side
/// has proved that it knows the secret and that it is present now.
///
/// # Errors
///
/// If the other side does not know the secret, or replays a recorded message. The text of [`WireError::Protocol`] may
/// then be sent to the other side.
pub fn respond(
    secret: &Secret,
    prologue: &[u8],
    welcome: &[u8],
    stream: &Arc<TcpStream>,
    mut reader: FrameReader<TimedReader>,
    deadline: Instant,
    timeout: Duration,
) -> Result<SealedConnection, WireError> {
    let mut noise = builder(secret, prologue).build_responder().map_err(handshake_error)?;
    let message = reader.next_by(HANDSHAKE_BYTES_MAX, deadline)?;
    let request = noise.read_message(message, &mut [0; HANDSHAKE_BYTES_MAX]);
    request.map_err(|_| WireError::Protocol("it does not know this cluster's secret".into()))?;
    write_with_timeout(stream, welcome, timeout)?;
    write_message(&mut noise, stream, timeout)?;
    let mut sealed = finish(noise, stream, reader, timeout)?;
    let proof = sealed.reader.next_by(HANDSHAKE_BYTES_MAX, deadline)?;
    labgob::decode::<Bytes>(proof)?;
    Ok(sealed)
}

fn builder<'a>(secret: &'a Secret, prologue: &'a [u8]) -> Builder<'a> {
    let builder = Builder::new(PATTERN.parse().expect("snow is built with this protocol"));
    builder.psk(0, &secret.0).and_then(|builder| builder.prologue(prologue)).expect("both are set once")
}

fn write_message(noise: &mut HandshakeState, stream: &TcpStream, timeout: Duration) -> Result<(), WireError> {
    let mut message = [0; HANDSHAKE_BYTES_MAX];
    let length = noise.write_message(&[], &mut message).map_err(handshake_error)?;
    let mut frame = Vec::with_capacity(frame::HEADER_BYTES + length);
    frame.extend_from_slice(&(length as u32).to_be_bytes());
    frame.extend_from_slice(&message[..length]);
    Ok(write_with_timeout(stream, &frame, timeout)?)
}

fn finish(
    noise: HandshakeState,
    stream: &Arc<TcpStream>,
    reader: FrameReader<TimedReader>,
    timeout: Duration,
) -> Result<SealedConnection, WireError> {
    let keys = Arc::new(noise.into_stateless_transport_mode().map_err(handshake_error)?);
    let unsealer = Unsealer {
        sealed: ReadBuffer::new(reader.into_source()?),
        keys: Arc::clone(&keys),
        record: 0,
        plain: vec![0; PLAIN_BYTES_MAX],
        at: 0,
        end: 0,
    };
    let sealer =
        Sealer { stream: Arc::clone(stream), timeout, keys, record: 0, sealed: Vec::new(), frames: Vec::new() };
    Ok(SealedConnection { reader: FrameReader::new(unsealer), writer: sealer })
}

fn handshake_error(error: snow::Error) -> WireError {
    WireError::Protocol(format!("the handshake failed: {error}"))
}

/// Reader of sealed records: it opens them and returns their content.
pub struct Unsealer {
    sealed: ReadBuffer<TimedReader>,
    keys: Arc<StatelessTransportState>,
    /// The number of the next record.
    record: u64,
    /// The content of the last record. The bytes from `at` to `end` are not read yet.
    plain: Vec<u8>,
    at: usize,
    end: usize,
}

impl Unsealer {
    /// Opens the next record. Returns `false` if the other side closed the connection between two records.
    fn open_record(&mut self) -> io::Result<bool> {
        if !self.sealed.fill(LENGTH_BYTES)? {
            return if self.sealed.available() == 0 { Ok(false) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
        let header = self.sealed.peek(LENGTH_BYTES).expect("the buffer was filled");
        let whole = LENGTH_BYTES + usize::from(u16::from_be_bytes(header.try_into().expect("two bytes")));
        if !self.sealed.fill(whole)? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let record = &self.sealed.take(whole)[LENGTH_BYTES..];
        let opened = self.keys.read_message(self.record, record, &mut self.plain);
        let length = opened.map_err(|_| io::Error::new(ErrorKind::InvalidData, "a record has a wrong seal"))?;
        self.record += 1;
        (self.at, self.end) = (0, length);
        Ok(true)
    }
}

impl DeadlineRead for Unsealer {
    fn set_deadline(&mut self, at: Instant) {
        self.sealed.source.set_deadline(at);
    }
}

impl Read for Unsealer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.end {
            if !self.open_record()? {
                return Ok(0);
            }
        }
        let length = buffer.len().min(self.end - self.at);
        buffer[..length].copy_from_slice(&self.plain[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

impl fmt::Debug for Unsealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsealer").field("record", &self.record).finish_non_exhaustive()
    }
}

/// Writer of sealed records.
pub struct Sealer {
    stream: Arc<TcpStream>,
    timeout: Duration,
    keys: Arc<StatelessTransportState>,
    /// The number of the next record.
    record: u64,
    /// Buffers for records and for frames.
    sealed: Vec<u8>,
    frames: Vec<u8>,
}

impl Sealer {
    /// Writes `plain`, in as few records as possible.
    ///
    /// # Errors
    ///
    /// If the other side is gone or does not read. The connection is then unusable.
    pub fn write(&mut self, plain: &[u8]) -> io::Result<()> {
        self.sealed.clear();
        for part in plain.chunks(PLAIN_BYTES_MAX) {
            let start = self.sealed.len();
            let length = part.len() + SEAL_BYTES;
            self.sealed.resize(start + LENGTH_BYTES + length, 0);
            self.sealed[start..start + LENGTH_BYTES].copy_from_slice(&(length as u16).to_be_bytes());
            let sealed = self.keys.write_message(self.record, part, &mut self.sealed[start + LENGTH_BYTES..]);
            let sealed = sealed.map_err(|error| io::Error::other(format!("cannot seal a record: {error}")))?;
            debug_assert_eq!(sealed, length, "a seal has {SEAL_BYTES} bytes");
            self.record += 1;
            if self.sealed.len() >= WRITE_BYTES {
                write_with_timeout(&self.stream, &self.sealed, self.timeout)?;
                self.sealed.clear();
            }
        }
        write_with_timeout(&self.stream, &self.sealed, self.timeout)
    }

    /// Writes one value as a frame.
    ///
    /// # Errors
    ///
    /// Fails as [`write`](Sealer::write) does.
    ///
    /// # Panics
    ///
    /// Panics as [`labgob::encode`] does.
    pub fn write_frame<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        frame::append(&mut frames, value);
        let written = self.write(&frames);
        self.frames = frames;
        written
    }

    /// Returns the socket of the connection.
    pub(crate) fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("record", &self.record).finish_non_exhaustive()
    }
}
