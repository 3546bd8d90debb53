//! The decoding of a stream: an iterator over its events. `encode.rs` is the counterpart.

use bytes::{Buf, Bytes};

use crate::Event;

/// An iterator that decodes the events of a stream. [`Recorder::events`](crate::Recorder::events) and
/// [`StoredRecord::events`](crate::file::StoredRecord::events) return it.
#[derive(Debug)]
pub struct Events {
    pieces: std::vec::IntoIter<Bytes>,
    /// The rest of the current piece.
    piece: Bytes,
}

impl Events {
    /// Creates an iterator over the events in pieces of whole events.
    pub(crate) fn new(pieces: Vec<Bytes>) -> Events {
        Events { pieces: pieces.into_iter(), piece: Bytes::new() }
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.piece.is_empty() {
            self.piece = self.pieces.next()?;
        }
        Some(decode_next_event(&mut self.piece).expect("a record holds valid events"))
    }
}

/// Decodes the first event of a piece and removes it from the piece.
pub(crate) fn decode_next_event(piece: &mut Bytes) -> Result<Event, labgob::DecodeError> {
    // A piece of several long events may be longer than `labgob` can decode at once; no single event is.
    let head = &piece[..piece.len().min(labgob::MAX_LEN)];
    let mut decoder = labgob::Decoder::new(head);
    let event = decoder.take()?;
    let length = head.len() - decoder.remaining();
    piece.advance(length);
    Ok(event)
}
