//! What servers say to each other, sealed: the Noise protocol (crate `snow`), pattern `NNpsk0` with the cluster's secret.
//!
//! Two messages make keys that are new for every connection: `-> psk, e` and `<- e, ee`. Who does not know the secret can
//! neither make the one nor answer it, and the prologue binds everything that was said in the clear before: the version, the
//! cluster, both ids, the purpose. A recorded first message can be sent again, and gets an answer; but only who made it can
//! compute the keys, so nobody counts as known before a sealed frame of theirs has been opened ([`respond`]).
//!
//! After that each direction is a sequence of records: a length in two bytes, and as many bytes that nobody else can
//! read or make. Records are numbered on both sides, so that none can be left out, repeated or moved. A record holds as
//! many frames, or as much of one, as there is to write: sealing costs the more, the smaller records are.
//!
//! The secret is that of the cluster and not of one server: it keeps out strangers, not a server that lies.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use snow::{Builder, HandshakeState, StatelessTransportState};

use super::frame::{self, Buffered, FrameReader};
use super::socket::{Source, TimedReader, write_within};
use super::{Secret, WireError};

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";

/// The longest record (and the longest message of a handshake), by Noise's own rule.
const RECORD_BYTES_MAX: usize = 65_535;

/// What a seal adds to a record.
const SEAL_BYTES: usize = 16;

/// The most that a record can hold.
const PLAIN_BYTES_MAX: usize = RECORD_BYTES_MAX - SEAL_BYTES;

/// The bytes of a record's length.
const LENGTH_BYTES: usize = 2;

/// The longest frame of a handshake. The messages have 48 bytes.
const HANDSHAKE_BYTES_MAX: usize = 256;

/// How much sealed output is collected before it is written.
const WRITE_BYTES: usize = 512 << 10;

/// A connection between two servers that have proved to each other that they know the secret.
#[derive(Debug)]
pub struct Sealed {
    /// What comes.
    pub reader: FrameReader<Unsealer>,
    /// What goes.
    pub writer: Sealer,
}

/// The handshake of the server that has connected. `prologue` is what it has said before that.
///
/// # Errors
///
/// If the other side does not know the secret, or was told something else than was sent.
pub fn initiate(
    secret: &Secret,
    prologue: &[u8],
    stream: &Arc<TcpStream>,
    mut reader: FrameReader<TimedReader>,
    deadline: Instant,
    patience: Duration,
) -> Result<Sealed, WireError> {
    let mut noise = begin(secret, prologue).build_initiator().map_err(broken)?;
    write_message(&mut noise, stream, patience)?;
    super::hello::read_answer(&mut reader, deadline)?;
    let message = reader.by(HANDSHAKE_BYTES_MAX, deadline)?;
    let answer = noise.read_message(message, &mut [0; HANDSHAKE_BYTES_MAX]);
    answer.map_err(|_| WireError::Protocol("the other side does not know this cluster's secret".into()))?;
    let mut sealed = finish(noise, stream, reader, patience)?;
    // It proves that these are our keys, and that the first message was not a recorded one.
    sealed.writer.write_frame(&Bytes::new())?;
    Ok(sealed)
}

/// The handshake of the server that was connected to. `welcome` is sent with its message. When this returns, the other side
/// has proved that it knows the secret and that it is here now.
///
/// # Errors
///
/// If it does not know the secret, or repeats what somebody else has said. [`WireError::Protocol`] then has a text that
/// the other side may read.
pub fn respond(
    secret: &Secret,
    prologue: &[u8],
    welcome: &[u8],
    stream: &Arc<TcpStream>,
    mut reader: FrameReader<TimedReader>,
    deadline: Instant,
    patience: Duration,
) -> Result<Sealed, WireError> {
    let mut noise = begin(secret, prologue).build_responder().map_err(broken)?;
    let message = reader.by(HANDSHAKE_BYTES_MAX, deadline)?;
    let request = noise.read_message(message, &mut [0; HANDSHAKE_BYTES_MAX]);
    request.map_err(|_| WireError::Protocol("it does not know this cluster's secret".into()))?;
    write_within(stream, welcome, patience)?;
    write_message(&mut noise, stream, patience)?;
    let mut sealed = finish(noise, stream, reader, patience)?;
    let proof = sealed.reader.by(HANDSHAKE_BYTES_MAX, deadline)?;
    labgob::decode::<Bytes>(proof)?;
    Ok(sealed)
}

fn begin<'a>(secret: &'a Secret, prologue: &'a [u8]) -> Builder<'a> {
    let builder = Builder::new(PATTERN.parse().expect("it names a protocol that snow is built with"));
    builder.psk(0, &secret.0).and_then(|builder| builder.prologue(prologue)).expect("both are given once")
}

fn write_message(noise: &mut HandshakeState, stream: &TcpStream, patience: Duration) -> Result<(), WireError> {
    let mut message = [0; HANDSHAKE_BYTES_MAX];
    let length = noise.write_message(&[], &mut message).map_err(broken)?;
    let mut frame = Vec::with_capacity(frame::HEADER_BYTES + length);
    frame.extend_from_slice(&(length as u32).to_be_bytes());
    frame.extend_from_slice(&message[..length]);
    Ok(write_within(stream, &frame, patience)?)
}

fn finish(
    noise: HandshakeState,
    stream: &Arc<TcpStream>,
    reader: FrameReader<TimedReader>,
    patience: Duration,
) -> Result<Sealed, WireError> {
    let keys = Arc::new(noise.into_stateless_transport_mode().map_err(broken)?);
    let unsealer = Unsealer {
        sealed: Buffered::new(reader.into_source()?),
        keys: Arc::clone(&keys),
        record: 0,
        plain: vec![0; PLAIN_BYTES_MAX],
        at: 0,
        end: 0,
    };
    let sealer =
        Sealer { stream: Arc::clone(stream), patience, keys, record: 0, sealed: Vec::new(), frames: Vec::new() };
    Ok(Sealed { reader: FrameReader::new(unsealer), writer: sealer })
}

fn broken(error: snow::Error) -> WireError {
    WireError::Protocol(format!("the handshake cannot go on: {error}"))
}

/// Opens the records of the other side and hands out what is in them.
pub struct Unsealer {
    sealed: Buffered<TimedReader>,
    keys: Arc<StatelessTransportState>,
    /// The number of the next record.
    record: u64,
    /// What the last record held; from `at` to `end` it is still to be handed out.
    plain: Vec<u8>,
    at: usize,
    end: usize,
}

impl Unsealer {
    /// Opens the next record; `false` if the other side has closed the connection in between two.
    fn open(&mut self) -> io::Result<bool> {
        if !self.sealed.fill(LENGTH_BYTES)? {
            return if self.sealed.available() == 0 { Ok(false) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
        let header = self.sealed.peek(LENGTH_BYTES).expect("it was filled");
        let whole = LENGTH_BYTES + usize::from(u16::from_be_bytes(header.try_into().expect("two bytes")));
        if !self.sealed.fill(whole)? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let record = &self.sealed.take(whole)[LENGTH_BYTES..];
        let opened = self.keys.read_message(self.record, record, &mut self.plain);
        let length = opened.map_err(|_| io::Error::new(ErrorKind::InvalidData, "a record with a wrong seal"))?;
        self.record += 1;
        (self.at, self.end) = (0, length);
        Ok(true)
    }
}

impl Source for Unsealer {
    fn set_deadline(&mut self, at: Instant) {
        self.sealed.source.set_deadline(at);
    }
}

impl Read for Unsealer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.end {
            if !self.open()? {
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

/// Seals what is written and sends it.
pub struct Sealer {
    stream: Arc<TcpStream>,
    patience: Duration,
    keys: Arc<StatelessTransportState>,
    /// The number of the next record.
    record: u64,
    /// Room for records, and for frames.
    sealed: Vec<u8>,
    frames: Vec<u8>,
}

impl Sealer {
    /// Writes `plain`, in as few records as it takes.
    ///
    /// # Errors
    ///
    /// If the other side is gone, or does not read. The connection cannot be used then.
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
                write_within(&self.stream, &self.sealed, self.patience)?;
                self.sealed.clear();
            }
        }
        write_within(&self.stream, &self.sealed, self.patience)
    }

    /// Writes one value as a frame.
    ///
    /// # Errors
    ///
    /// As [`write`](Sealer::write).
    ///
    /// # Panics
    ///
    /// As [`labgob::encode`].
    pub fn write_frame<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        frame::put(&mut frames, value);
        let written = self.write(&frames);
        self.frames = frames;
        written
    }

    /// The socket under it.
    pub(crate) fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("record", &self.record).finish_non_exhaustive()
    }
}
