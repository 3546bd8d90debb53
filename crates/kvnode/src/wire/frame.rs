//! Frames: a length in four bytes, big endian, and that many bytes, which are one value in `labgob`'s encoding.
//!
//! A length is only a claim. It is first compared with a limit, and the buffer grows with the bytes that have arrived.
//! So no sender makes a server allocate more than twice the sent bytes.

use std::io::{self, ErrorKind, Read};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::WireError;
use super::socket::DeadlineRead;

/// The size of a length, in bytes.
pub const HEADER_BYTES: usize = 4;

/// The initial size of a buffer, in bytes. Most requests of clients are shorter.
const INITIAL_BYTES: usize = 8 << 10;

/// A buffer that grew beyond this size, in bytes, for one frame is freed after it.
const RETAINED_BYTES: usize = 256 << 10;

/// Appends a frame with `value` to `out`.
///
/// # Panics
///
/// Panics as [`labgob::encode`] does.
pub fn append<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    labgob::encode_into(value, out);
    let length = u32::try_from(out.len() - start - HEADER_BYTES).expect("the longest encoding has 64 MiB");
    out[start..start + HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
}

/// Reader of frames.
#[derive(Debug)]
pub struct FrameReader<S> {
    input: ReadBuffer<S>,
}

impl<S: DeadlineRead> FrameReader<S> {
    /// Creates a reader of the frames in `source`.
    pub fn new(source: S) -> FrameReader<S> {
        FrameReader { input: ReadBuffer::new(source) }
    }

    /// Returns the next frame, without its length; `None` if the other side closed the connection between two frames.
    /// The frame must begin within `idle`, and be complete within `frame` after that.
    ///
    /// # Errors
    ///
    /// If the frame does not arrive in time, or if its length is above `limit`. After an error, no more frames can be
    /// read.
    pub fn next(&mut self, limit: usize, idle: Duration, frame: Duration) -> Result<Option<&[u8]>, WireError> {
        if self.input.available() == 0 {
            self.input.source.set_deadline(Instant::now() + idle);
            if !self.input.fill(1).map_err(|error| timeout_or_error(error, "the next frame"))? {
                return Ok(None);
            }
        }
        let length = match self.input.peek(HEADER_BYTES) {
            Some(header) => length_of(header),
            None => {
                self.input.source.set_deadline(Instant::now() + frame);
                length_of(self.fill_and_peek(HEADER_BYTES)?)
            }
        };
        if length > limit {
            return Err(WireError::TooLong { length, limit });
        }
        let whole = HEADER_BYTES + length;
        if self.input.available() < whole {
            self.input.source.set_deadline(Instant::now() + frame);
            self.fill_and_peek(whole)?;
        }
        Ok(Some(&self.input.take(whole)[HEADER_BYTES..]))
    }

    /// Returns exactly `count` bytes that are not a frame, by `deadline`; `None` if the connection was closed before
    /// the first one.
    ///
    /// # Errors
    ///
    /// If they do not all arrive in time.
    pub(crate) fn read_raw(&mut self, count: usize, deadline: Instant) -> Result<Option<&[u8]>, WireError> {
        self.input.source.set_deadline(deadline);
        if self.input.available() == 0
            && !self.input.fill(1).map_err(|error| timeout_or_error(error, "the greeting"))?
        {
            return Ok(None);
        }
        self.fill_and_peek(count)?;
        Ok(Some(self.input.take(count)))
    }

    /// Returns the next frame, which must be complete by `deadline`.
    pub(crate) fn next_by(&mut self, limit: usize, deadline: Instant) -> Result<&[u8], WireError> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.next(limit, left, left)?.ok_or(WireError::Closed)
    }

    /// Returns the source under the frames, when no more frames are to be read from it.
    ///
    /// # Errors
    ///
    /// If more bytes have arrived than expected.
    pub(crate) fn into_source(self) -> Result<S, WireError> {
        match self.input.available() {
            0 => Ok(self.input.source),
            _ => Err(WireError::Protocol("it sent more data before the reply".into())),
        }
    }

    fn fill_and_peek(&mut self, count: usize) -> Result<&[u8], WireError> {
        match self.input.fill(count).map_err(|error| timeout_or_error(error, "the rest of a frame"))? {
            true => Ok(self.input.peek(count).expect("the buffer was filled")),
            false => Err(WireError::Closed),
        }
    }
}

fn length_of(header: &[u8]) -> usize {
    u32::from_be_bytes(header.try_into().expect("a header has four bytes")) as usize
}

fn timeout_or_error(error: io::Error, what: &'static str) -> WireError {
    match error.kind() {
        ErrorKind::TimedOut => WireError::TooSlow(what),
        _ => error.into(),
    }
}

/// A source with read-ahead bytes. Invariant: `start <= end <= buffer.len()`.
#[derive(Debug)]
pub(crate) struct ReadBuffer<S> {
    pub(crate) source: S,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<S: Read> ReadBuffer<S> {
    pub(crate) fn new(source: S) -> ReadBuffer<S> {
        ReadBuffer { source, buffer: Vec::new(), start: 0, end: 0 }
    }

    /// Returns the number of buffered bytes.
    pub(crate) fn available(&self) -> usize {
        self.end - self.start
    }

    /// Returns the next `count` bytes, if they are buffered.
    pub(crate) fn peek(&self, count: usize) -> Option<&[u8]> {
        self.buffer[self.start..self.end].get(..count)
    }

    /// Consumes the next `count` bytes, which must be buffered.
    pub(crate) fn take(&mut self, count: usize) -> &[u8] {
        assert!(count <= self.available(), "only buffered bytes can be taken");
        let start = self.start;
        self.start += count;
        &self.buffer[start..start + count]
    }

    /// Reads until at least `count` bytes are buffered. Returns `false` if the source ends before that.
    pub(crate) fn fill(&mut self, count: usize) -> io::Result<bool> {
        while self.available() < count {
            self.make_room(count);
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Makes room to read at least one byte, on the way to `count` bytes.
    fn make_room(&mut self, count: usize) {
        if self.available() == 0 {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > RETAINED_BYTES && count <= RETAINED_BYTES {
                self.buffer = Vec::new();
            }
        } else if self.start + count > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.available());
        }
        if self.end == self.buffer.len() {
            let wanted = count.min(2 * self.buffer.len()).max(INITIAL_BYTES);
            self.buffer.resize(wanted, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(1);

    /// A source that returns its bytes in pieces of this length.
    struct Pieces(io::Cursor<Vec<u8>>, usize);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(buffer.len());
            self.0.read(&mut buffer[..length])
        }
    }

    impl DeadlineRead for Pieces {
        fn set_deadline(&mut self, _: Instant) {}
    }

    #[test]
    fn frames_are_read_whole_however_their_bytes_are_split() {
        let values: Vec<Vec<u8>> = [0, 1, 250, 8000, 8200, 300_000, 3].map(|length| vec![7; length]).to_vec();
        let mut bytes = Vec::new();
        values.iter().for_each(|value| append(&mut bytes, &Bytes::from(value.clone())));
        for piece in [1, 3, 4096, 1 << 20] {
            let mut reader = FrameReader::new(Pieces(io::Cursor::new(bytes.clone()), piece));
            for value in &values {
                let frame =
                    reader.next(1 << 20, TIMEOUT, TIMEOUT).expect("the frame is complete").expect("there is one more");
                assert_eq!(labgob::decode::<Bytes>(frame).expect("the frame is a payload"), value);
            }
            assert!(reader.next(1 << 20, TIMEOUT, TIMEOUT).expect("the source ends between two frames").is_none());
        }
    }

    #[test]
    fn a_length_above_the_limit_is_an_error_at_once() {
        let mut reader = FrameReader::new(Pieces(io::Cursor::new(vec![0, 0, 0, 11, 1, 2, 3]), 7));
        let error = reader.next(10, TIMEOUT, TIMEOUT).expect_err("eleven bytes are above the limit");
        assert!(matches!(error, WireError::TooLong { length: 11, limit: 10 }), "{error}");
    }

    #[test]
    fn memory_is_allocated_for_received_bytes_only() {
        let mut bytes = (60_u32 << 20).to_be_bytes().to_vec();
        bytes.resize(100_000, 1);
        let mut reader = FrameReader::new(Pieces(io::Cursor::new(bytes), 5000));
        let error = reader.next(64 << 20, TIMEOUT, TIMEOUT).expect_err("the frame is incomplete");
        assert!(matches!(error, WireError::Closed), "{error}");
        let taken = reader.input.buffer.capacity();
        assert!(taken <= 2 * 100_000, "{taken} bytes for 100000");
    }

    #[test]
    fn memory_of_a_long_frame_is_freed() {
        let mut bytes = Vec::new();
        append(&mut bytes, &Bytes::from(vec![0; 4 << 20]));
        append(&mut bytes, &1_u8);
        let mut reader = FrameReader::new(Pieces(io::Cursor::new(bytes), 4096));
        for _ in 0..2 {
            reader.next(8 << 20, TIMEOUT, TIMEOUT).expect("the frame is complete").expect("there is one more");
        }
        assert!(reader.input.buffer.capacity() <= 2 * RETAINED_BYTES, "{} bytes", reader.input.buffer.capacity());
    }
}
