//! Frames: a length in four bytes, big endian, and as many bytes, which are one value in `labgob`'s encoding.
//!
//! A length says what is claimed, not what is there. It is compared with a limit before anything else, and the buffer grows
//! with what has arrived, so that nobody makes a server allocate more than twice what was sent.

use std::io::{self, ErrorKind, Read};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::WireError;
use super::socket::Source;

/// The bytes of a length.
pub const HEADER_BYTES: usize = 4;

/// What a buffer has at first. A client's requests are mostly shorter.
const FIRST_BYTES: usize = 8 << 10;

/// A buffer that grew beyond this for one frame is given back after it.
const KEPT_BYTES: usize = 256 << 10;

/// Adds a frame with `value` to `out`.
///
/// # Panics
///
/// As [`labgob::encode`].
pub fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    labgob::encode_into(value, out);
    let length = u32::try_from(out.len() - start - HEADER_BYTES).expect("the longest encoding has 64 MiB");
    out[start..start + HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
}

/// Reads frames.
#[derive(Debug)]
pub struct FrameReader<S> {
    input: Buffered<S>,
}

impl<S: Source> FrameReader<S> {
    /// Reads frames from `source`.
    pub fn new(source: S) -> FrameReader<S> {
        FrameReader { input: Buffered::new(source) }
    }

    /// The next frame, without its length; `None` if the other side has closed the connection between two frames. It may
    /// begin within `idle`, and must be whole within `frame` after that.
    ///
    /// # Errors
    ///
    /// If it does not come in time or not at all, or if its length is above `most`: reading cannot go on behind that.
    pub fn next(&mut self, most: usize, idle: Duration, frame: Duration) -> Result<Option<&[u8]>, WireError> {
        if self.input.available() == 0 {
            self.input.source.set_deadline(Instant::now() + idle);
            if !self.input.fill(1).map_err(|error| late(error, "the next frame"))? {
                return Ok(None);
            }
        }
        let length = match self.input.peek(HEADER_BYTES) {
            Some(header) => length_of(header),
            None => {
                self.input.source.set_deadline(Instant::now() + frame);
                length_of(self.need(HEADER_BYTES)?)
            }
        };
        if length > most {
            return Err(WireError::TooLong { length, most });
        }
        let whole = HEADER_BYTES + length;
        if self.input.available() < whole {
            self.input.source.set_deadline(Instant::now() + frame);
            self.need(whole)?;
        }
        Ok(Some(&self.input.take(whole)[HEADER_BYTES..]))
    }

    /// Exactly `count` bytes that are not a frame, by `deadline`; `None` if there is not one.
    ///
    /// # Errors
    ///
    /// If they do not come in time, or only some of them.
    pub(crate) fn raw(&mut self, count: usize, deadline: Instant) -> Result<Option<&[u8]>, WireError> {
        self.input.source.set_deadline(deadline);
        if self.input.available() == 0 && !self.input.fill(1).map_err(|error| late(error, "the greeting"))? {
            return Ok(None);
        }
        self.need(count)?;
        Ok(Some(self.input.take(count)))
    }

    /// The next frame, which must come, by `deadline`.
    pub(crate) fn by(&mut self, most: usize, deadline: Instant) -> Result<&[u8], WireError> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.next(most, left, left)?.ok_or(WireError::Closed)
    }

    /// What is under the frames, when no more frames are wanted from it.
    ///
    /// # Errors
    ///
    /// If something has come that was not asked for.
    pub(crate) fn into_source(self) -> Result<S, WireError> {
        match self.input.available() {
            0 => Ok(self.input.source),
            _ => Err(WireError::Protocol("it sent more before it was answered".into())),
        }
    }

    fn need(&mut self, count: usize) -> Result<&[u8], WireError> {
        match self.input.fill(count).map_err(|error| late(error, "the rest of a frame"))? {
            true => Ok(self.input.peek(count).expect("it was filled")),
            false => Err(WireError::Closed),
        }
    }
}

fn length_of(header: &[u8]) -> usize {
    u32::from_be_bytes(header.try_into().expect("a header has four bytes")) as usize
}

fn late(error: io::Error, what: &'static str) -> WireError {
    match error.kind() {
        ErrorKind::TimedOut => WireError::TooSlow(what),
        _ => error.into(),
    }
}

/// A source and what was read from it too early. Invariant: `start <= end <= buffer.len()`.
#[derive(Debug)]
pub(crate) struct Buffered<S> {
    pub(crate) source: S,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<S: Read> Buffered<S> {
    pub(crate) fn new(source: S) -> Buffered<S> {
        Buffered { source, buffer: Vec::new(), start: 0, end: 0 }
    }

    /// How many bytes are here.
    pub(crate) fn available(&self) -> usize {
        self.end - self.start
    }

    /// The next `count` bytes, if they are here.
    pub(crate) fn peek(&self, count: usize) -> Option<&[u8]> {
        self.buffer[self.start..self.end].get(..count)
    }

    /// The next `count` bytes, which are here; they are read with that.
    pub(crate) fn take(&mut self, count: usize) -> &[u8] {
        assert!(count <= self.available(), "only what is here can be taken");
        let start = self.start;
        self.start += count;
        &self.buffer[start..start + count]
    }

    /// Reads until at least `count` bytes are here; `false` if the source ends before that.
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

    /// Sees to it that something can be read, on the way to `count` bytes.
    fn make_room(&mut self, count: usize) {
        if self.available() == 0 {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > KEPT_BYTES && count <= KEPT_BYTES {
                self.buffer = Vec::new();
            }
        } else if self.start + count > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.available());
        }
        if self.end == self.buffer.len() {
            let wanted = count.min(2 * self.buffer.len()).max(FIRST_BYTES);
            self.buffer.resize(wanted, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    /// Bytes that come in pieces of this length.
    struct Pieces(io::Cursor<Vec<u8>>, usize);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(buffer.len());
            self.0.read(&mut buffer[..length])
        }
    }

    impl Source for Pieces {
        fn set_deadline(&mut self, _: Instant) {}
    }

    #[test]
    fn frames_come_back_however_they_are_cut() {
        let values: Vec<Vec<u8>> = [0, 1, 250, 8000, 8200, 300_000, 3].map(|length| vec![7; length]).to_vec();
        let mut bytes = Vec::new();
        values.iter().for_each(|value| put(&mut bytes, &Bytes::from(value.clone())));
        for piece in [1, 3, 4096, 1 << 20] {
            let mut reader = FrameReader::new(Pieces(io::Cursor::new(bytes.clone()), piece));
            for value in &values {
                let frame = reader.next(1 << 20, PATIENCE, PATIENCE).expect("it is whole").expect("there is one more");
                assert_eq!(labgob::decode::<Bytes>(frame).expect("it is a payload"), value);
            }
            assert!(reader.next(1 << 20, PATIENCE, PATIENCE).expect("it ends between two").is_none());
        }
    }

    #[test]
    fn a_length_above_the_limit_is_an_error_at_once() {
        let mut reader = FrameReader::new(Pieces(io::Cursor::new(vec![0, 0, 0, 11, 1, 2, 3]), 7));
        let error = reader.next(10, PATIENCE, PATIENCE).expect_err("eleven are too many");
        assert!(matches!(error, WireError::TooLong { length: 11, most: 10 }), "{error}");
    }

    #[test]
    fn memory_is_taken_for_what_has_come_and_not_for_what_is_announced() {
        let mut bytes = (60_u32 << 20).to_be_bytes().to_vec();
        bytes.resize(100_000, 1);
        let mut reader = FrameReader::new(Pieces(io::Cursor::new(bytes), 5000));
        let error = reader.next(64 << 20, PATIENCE, PATIENCE).expect_err("it is cut short");
        assert!(matches!(error, WireError::Closed), "{error}");
        let taken = reader.input.buffer.capacity();
        assert!(taken <= 2 * 100_000, "{taken} bytes for 100000");
    }

    #[test]
    fn what_a_long_frame_took_is_given_back() {
        let mut bytes = Vec::new();
        put(&mut bytes, &Bytes::from(vec![0; 4 << 20]));
        put(&mut bytes, &1_u8);
        let mut reader = FrameReader::new(Pieces(io::Cursor::new(bytes), 4096));
        for _ in 0..2 {
            reader.next(8 << 20, PATIENCE, PATIENCE).expect("it is whole").expect("there is one more");
        }
        assert!(reader.input.buffer.capacity() <= 2 * KEPT_BYTES, "{} bytes", reader.input.buffer.capacity());
    }
}
