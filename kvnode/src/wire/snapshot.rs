//! A snapshot on its way, over a connection of its own. What it is, its pieces one after the other, an end; and back comes
//! what the other server made of it. TCP sees to it that no more is sent than the other side takes.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raftapi::ServerId;

use super::hello::{self, Purpose};
use super::messages::{OVERHEAD_BYTES, SnapshotFrame, Verdict};
use super::noise::{Sealed, Unsealer};
use super::{Identity, Limits, WireError, frame::FrameReader, socket};

/// The sending side of one snapshot. Dropped before [`finish`](SnapshotSender::finish), it is one that has broken off.
#[derive(Debug)]
pub struct SnapshotSender {
    sealed: Sealed,
    limits: Limits,
}

/// Why a snapshot was not sent to its end.
#[derive(Debug)]
pub enum SnapshotError {
    /// The other server has judged already; the rest is of no use.
    Judged(Verdict),
    /// The connection has ended.
    Wire(WireError),
}

impl SnapshotSender {
    /// Connects to server `to` at `address`, and says what snapshot it is. Blocks, as everything here, and for no longer
    /// than the limits say.
    ///
    /// # Errors
    ///
    /// If that server cannot be reached, does not let us in, or is another one.
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

    /// Sends the next piece.
    ///
    /// # Errors
    ///
    /// If the connection has ended, or the other server has given its verdict before the end.
    ///
    /// # Panics
    ///
    /// If the piece is longer than [`Limits::chunk_bytes`].
    pub fn push(&mut self, chunk: Bytes) -> Result<(), SnapshotError> {
        check_length(&chunk, &self.limits);
        if self.has_answer().map_err(wire)? {
            return Err(SnapshotError::Judged(self.verdict(self.limits.frame).map_err(SnapshotError::Wire)?));
        }
        self.write(&SnapshotFrame::Chunk(chunk))
    }

    /// Says that this was all, and waits for what the other server makes of it, for as long as `patience`: it may have to
    /// write it to its disk first.
    ///
    /// # Errors
    ///
    /// If the connection ends before the verdict has come. The other server may have taken the snapshot all the same.
    pub fn finish(mut self, patience: Duration) -> Result<Verdict, WireError> {
        match self.write(&SnapshotFrame::End) {
            Ok(()) => self.verdict(patience),
            Err(SnapshotError::Judged(verdict)) => Ok(verdict),
            Err(SnapshotError::Wire(error)) => Err(error),
        }
    }

    /// Writes a frame. Where that fails, the reason may have come before.
    fn write(&mut self, frame: &SnapshotFrame) -> Result<(), SnapshotError> {
        match self.sealed.writer.write_frame(frame) {
            Ok(()) => Ok(()),
            Err(error) => match self.verdict(Duration::from_millis(100)) {
                Ok(verdict) => Err(SnapshotError::Judged(verdict)),
                Err(_) => Err(wire(error)),
            },
        }
    }

    /// Whether the other side has said something.
    fn has_answer(&self) -> io::Result<bool> {
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

    fn verdict(&mut self, patience: Duration) -> Result<Verdict, WireError> {
        let frame = self.sealed.reader.by(self.limits.chunk_bytes + OVERHEAD_BYTES, Instant::now() + patience)?;
        match labgob::decode(frame)? {
            SnapshotFrame::Verdict(verdict) => Ok(verdict),
            _ => Err(WireError::Protocol("it answers a snapshot with something else".into())),
        }
    }
}

impl Drop for SnapshotSender {
    fn drop(&mut self) {
        let _ = self.sealed.writer.stream().shutdown(Shutdown::Both);
    }
}

fn check_length(payload: &Bytes, limits: &Limits) {
    let (length, most) = (payload.len(), limits.chunk_bytes);
    assert!(length <= most, "a piece of a snapshot has {length} bytes, and {most} are allowed");
}

fn wire(error: io::Error) -> SnapshotError {
    SnapshotError::Wire(error.into())
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::Judged(Verdict::Accepted(_)) => f.write_str("the other server has taken it before its end"),
            SnapshotError::Judged(Verdict::Refused(reason)) => write!(f, "the other server does not want it: {reason}"),
            SnapshotError::Wire(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SnapshotError {}

/// The receiving side of one snapshot: its pieces in their order.
#[derive(Debug)]
pub struct SnapshotChunks<'a> {
    reader: &'a mut FrameReader<Unsealer>,
    limits: &'a Limits,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Coming,
    Complete,
    Broken,
}

impl<'a> SnapshotChunks<'a> {
    pub(crate) fn new(reader: &'a mut FrameReader<Unsealer>, limits: &'a Limits) -> SnapshotChunks<'a> {
        SnapshotChunks { reader, limits, state: State::Coming }
    }

    /// The next piece; `Ok(None)` when there are no more, and only then is the snapshot whole.
    ///
    /// # Errors
    ///
    /// If the connection ends, or the other side stops sending, before the end. What was read is then of no use.
    #[expect(clippy::should_implement_trait, reason = "an iterator would let a broken snapshot pass for a whole one")]
    pub fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        match self.state {
            State::Coming => {}
            State::Complete => return Ok(None),
            State::Broken => return Err(WireError::Closed),
        }
        let next = self.read();
        self.state = match &next {
            Ok(Some(_)) => State::Coming,
            Ok(None) => State::Complete,
            Err(_) => State::Broken,
        };
        next
    }

    fn read(&mut self) -> Result<Option<Bytes>, WireError> {
        let most = self.limits.chunk_bytes + OVERHEAD_BYTES;
        let frame = self.reader.next(most, self.limits.frame, self.limits.frame)?.ok_or(WireError::Closed)?;
        match labgob::decode(frame)? {
            SnapshotFrame::Chunk(chunk) => Ok(Some(chunk)),
            SnapshotFrame::End => Ok(None),
            _ => Err(WireError::Protocol("there is something else among the pieces of its snapshot".into())),
        }
    }

    /// Whether it broke off while it was read.
    pub(crate) fn broken(&self) -> bool {
        self.state == State::Broken
    }
}
