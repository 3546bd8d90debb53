//! Transfer of a snapshot, on a connection of its own: the description, the chunks in order, an end mark. The receiver
//! replies with a verdict. TCP's flow control keeps the sender from sending more than the receiver accepts.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raftapi::ServerId;

use super::hello::{self, Purpose};
use super::messages::{OVERHEAD_BYTES, SnapshotFrame, Verdict};
use super::noise::{SealedConnection, Unsealer};
use super::{Identity, Limits, WireError, frame::FrameReader, socket};

/// The sending side of one snapshot transfer. Dropping it before [`finish`](SnapshotSender::finish) aborts the
/// transfer.
#[derive(Debug)]
pub struct SnapshotSender {
    sealed: SealedConnection,
    limits: Limits,
}

/// Reason why a snapshot was not sent to its end.
#[derive(Debug)]
pub enum SnapshotError {
    /// The receiver has already given its verdict, so the rest is useless.
    EarlyVerdict(Verdict),
    /// The connection has ended.
    Wire(WireError),
}

impl SnapshotSender {
    /// Connects to server `to` at `address`, and sends the description `meta`. The call blocks, as all methods here do,
    /// but no longer than the limits allow.
    ///
    /// # Errors
    ///
    /// If the server is unreachable, refuses the connection, or is another one.
    ///
    /// # Panics
    ///
    /// If `meta` is longer than [`Limits::chunk_bytes`].
    pub fn open(
        identity: &Identity,
        to: ServerId,
        address: &str,
        limits: &Limits,
        meta: Bytes,
    ) -> Result<SnapshotSender, WireError> {
        check_length(&meta, limits);
        let stream = socket::connect(address, limits.connect, limits.frame)?;
        let mut sealed = hello::introduce(&stream, identity, to, Purpose::Snapshot, limits)?;
        sealed.writer.write_frame(&SnapshotFrame::Meta(meta))?;
        Ok(SnapshotSender { sealed, limits: *limits })
    }

    /// Sends the next chunk.
    ///
    /// # Errors
    ///
    /// If the connection has ended, or the receiver has given its verdict before the end.
    ///
    /// # Panics
    ///
    /// If the chunk is longer than [`Limits::chunk_bytes`].
    pub fn push(&mut self, chunk: Bytes) -> Result<(), SnapshotError> {
        check_length(&chunk, &self.limits);
        if self.has_reply().map_err(wire_error)? {
            return Err(SnapshotError::EarlyVerdict(self.verdict(self.limits.frame).map_err(SnapshotError::Wire)?));
        }
        self.write(&SnapshotFrame::Chunk(chunk))
    }

    /// Ends the snapshot and waits for the receiver's verdict, at most for `timeout`. The receiver may first have to
    /// write the snapshot to its disk.
    ///
    /// # Errors
    ///
    /// If the connection ends before the verdict arrives. The receiver may still have accepted the snapshot.
    pub fn finish(mut self, timeout: Duration) -> Result<Verdict, WireError> {
        match self.write(&SnapshotFrame::End) {
            Ok(()) => self.verdict(timeout),
            Err(SnapshotError::EarlyVerdict(verdict)) => Ok(verdict),
            Err(SnapshotError::Wire(error)) => Err(error),
        }
    }

    /// Writes a frame. If that fails, the receiver may have sent a reason before.
    fn write(&mut self, frame: &SnapshotFrame) -> Result<(), SnapshotError> {
        match self.sealed.writer.write_frame(frame) {
            Ok(()) => Ok(()),
            Err(error) => match self.verdict(Duration::from_millis(100)) {
                Ok(verdict) => Err(SnapshotError::EarlyVerdict(verdict)),
                Err(_) => Err(wire_error(error)),
            },
        }
    }

    /// Returns whether the receiver has sent something.
    fn has_reply(&self) -> io::Result<bool> {
        let stream = self.sealed.writer.stream();
        stream.set_nonblocking(true)?;
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        match peeked {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn verdict(&mut self, timeout: Duration) -> Result<Verdict, WireError> {
        let frame = self.sealed.reader.next_by(self.limits.chunk_bytes + OVERHEAD_BYTES, Instant::now() + timeout)?;
        match labgob::decode(frame)? {
            SnapshotFrame::Verdict(verdict) => Ok(verdict),
            _ => Err(WireError::Protocol("its reply to a snapshot is not a verdict".into())),
        }
    }
}

impl Drop for SnapshotSender {
    fn drop(&mut self) {
        let _ = self.sealed.writer.stream().shutdown(Shutdown::Both);
    }
}

fn check_length(payload: &Bytes, limits: &Limits) {
    let (length, limit) = (payload.len(), limits.chunk_bytes);
    assert!(length <= limit, "a chunk of a snapshot has {length} bytes, but the limit is {limit}");
}

fn wire_error(error: io::Error) -> SnapshotError {
    SnapshotError::Wire(error.into())
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::EarlyVerdict(Verdict::Accepted(_)) => {
                f.write_str("the other server accepted the snapshot before its end")
            }
            SnapshotError::EarlyVerdict(Verdict::Refused(reason)) => {
                write!(f, "the other server refused the snapshot: {reason}")
            }
            SnapshotError::Wire(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SnapshotError {}

/// The receiving side of one snapshot transfer: the chunks in order.
#[derive(Debug)]
pub struct SnapshotChunks<'a> {
    reader: &'a mut FrameReader<Unsealer>,
    limits: &'a Limits,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Receiving,
    Complete,
    Broken,
}

impl<'a> SnapshotChunks<'a> {
    pub(crate) fn new(reader: &'a mut FrameReader<Unsealer>, limits: &'a Limits) -> SnapshotChunks<'a> {
        SnapshotChunks { reader, limits, state: State::Receiving }
    }

    /// Returns the next chunk; `Ok(None)` when there are no more. Only then is the snapshot complete.
    ///
    /// # Errors
    ///
    /// If the connection ends, or the sender stops sending, before the end. The chunks read so far are then useless.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would not distinguish an incomplete snapshot from a complete one"
    )]
    pub fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        match self.state {
            State::Receiving => {}
            State::Complete => return Ok(None),
            State::Broken => return Err(WireError::Closed),
        }
        let next = self.read();
        self.state = match &next {
            Ok(Some(_)) => State::Receiving,
            Ok(None) => State::Complete,
            Err(_) => State::Broken,
        };
        next
    }

    fn read(&mut self) -> Result<Option<Bytes>, WireError> {
        let limit = self.limits.chunk_bytes + OVERHEAD_BYTES;
        let frame = self.reader.next(limit, self.limits.frame, self.limits.frame)?.ok_or(WireError::Closed)?;
        match labgob::decode(frame)? {
            SnapshotFrame::Chunk(chunk) => Ok(Some(chunk)),
            SnapshotFrame::End => Ok(None),
            _ => Err(WireError::Protocol("its snapshot contains a frame that is not a chunk".into())),
        }
    }

    /// Returns whether the transfer failed while it was read.
    pub(crate) fn broken(&self) -> bool {
        self.state == State::Broken
    }
}
