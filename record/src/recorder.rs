//! The ordered stream of one run: kept in memory as it will be in a [file](crate::file), and hashed.

use std::{
    fmt,
    io::{self, Write},
    sync::Arc,
};

use bytes::{Buf, Bytes};
use spin::{Yield, mutex::SpinMutex};
use xxhash_rust::xxh3::Xxh3Default;

use crate::encode::{self, Sent};
use crate::file::{self, Summary};
use crate::window::{self, Chunk};
use crate::{Event, EventKind, ServerId, Topic, live};

/// How much a recorder keeps.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The encoded bytes above which windows in the middle of the run lose their calls that were answered: they are
    /// counted and hashed, but not kept. Everything else, and what is younger than 10 s, is always kept.
    pub kept_bytes_max: usize,
    /// Whether anything is recorded at all.
    pub on: bool,
}

impl Options {
    /// A recorder that takes nothing: for measuring what recording costs.
    pub const fn off() -> Options {
        Options { kept_bytes_max: 0, on: false }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options { kept_bytes_max: 64 << 20, on: true }
    }
}

/// The stream of one run. Clones are handles of the same stream.
///
/// Any thread may record at any time. The lock inside is held only while an event is encoded, and nobody waits for anything
/// while holding it: in a simulation it is always free, and it is no point at which threads switch. It is one at which OS
/// threads spin, because it is taken for every event, and giving it back is an ordinary store.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    options: Options,
    stream: SpinMutex<Stream, Yield>,
}

struct Stream {
    /// [`Options::kept_bytes_max`].
    kept_bytes_max: usize,
    /// Full chunks, in order.
    full: Vec<Chunk>,
    /// How many of them, at the beginning, are left as they are: the beginning of the run, and windows without calls.
    settled: usize,
    /// The chunk that is being filled.
    last: Vec<u8>,
    /// The length of all `full` chunks together.
    full_bytes: usize,
    /// Over the encoding of every event that is in a chunk, kept or not; those in `last` are still to come. A hash of a
    /// stream of bytes does not depend on how they are divided, and long pieces are hashed faster than short ones.
    hash: Xxh3Default,
    /// How many events came, by [`Topic`].
    counts: [u64; Topic::ALL.len()],
    /// How many of them were not kept.
    omitted: u64,
    /// The time of the event before, in nanoseconds.
    latest: u64,
}

/// A chunk is full when it has reached this length.
const CHUNK_BYTES: usize = 64 << 10;

/// How much of what may be kept belongs to the beginning of the run, which is always whole.
const BEGINNING: f64 = 0.125;

/// How long the end of the run is that is always whole, in nanoseconds.
const END_NANOS: u64 = 10_000_000_000;

impl Recorder {
    /// An empty stream.
    pub fn new(options: Options) -> Recorder {
        let stream = Stream {
            kept_bytes_max: options.kept_bytes_max,
            full: Vec::new(),
            settled: 0,
            last: Vec::new(),
            full_bytes: 0,
            hash: Xxh3Default::new(),
            counts: [0; Topic::ALL.len()],
            omitted: 0,
            latest: 0,
        };
        Recorder(Arc::new(Inner { options, stream: SpinMutex::new(stream) }))
    }

    /// Whether it records anything; see [`Options::off`].
    pub fn is_on(&self) -> bool {
        self.0.options.on
    }

    /// Adds an event to the end of the stream, and prints it if `LAB_LOG` asks for it.
    ///
    /// Times never go back in a stream: of two OS threads, the one that read the clock first may get here last; its event
    /// then has the time of the event before it.
    ///
    /// Does nothing if the recorder is off.
    pub fn record(&self, event: Event) {
        self.record_kind(event.at, event.server, &event.kind);
    }

    /// As [`record`](Recorder::record), of an event that nobody has made: it becomes one if it is printed.
    #[inline]
    pub(crate) fn record_kind(&self, at: u64, server: Option<ServerId>, kind: &EventKind) {
        let encode = |at, out: &mut Vec<u8>| encode::event(at, server, kind, out);
        self.add(at, server, kind.topic(), encode, || kind.clone());
    }

    /// As [`record`](Recorder::record), of an [`EventKind::RpcSent`] whose texts are lent.
    #[inline]
    pub(crate) fn record_sent(&self, at: u64, server: Option<ServerId>, sent: &Sent<'_>) {
        let encode = |at, out: &mut Vec<u8>| encode::sent(at, server, sent, out);
        self.add(at, server, Topic::Rpc, encode, || sent.to_kind());
    }

    #[inline]
    fn add(
        &self,
        at: u64,
        server: Option<ServerId>,
        topic: Topic,
        encode: impl FnOnce(u64, &mut Vec<u8>),
        kind: impl FnOnce() -> EventKind,
    ) {
        if self.is_on() {
            let at = self.0.stream.lock().add(at, topic, encode);
            if live::prints() {
                live::print(&Event { at, server, kind: kind() });
            }
        }
    }

    /// The xxh3-64 hash of the encoding of all events so far, those that were not kept included.
    pub fn hash(&self) -> u64 {
        self.0.stream.lock().digest()
    }

    /// How many events were recorded, those that were not kept included.
    pub fn len(&self) -> u64 {
        self.0.stream.lock().len()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many events of a topic were recorded, those that were not kept included.
    pub fn count(&self, topic: Topic) -> u64 {
        self.0.stream.lock().counts[topic as usize]
    }

    /// How many events were counted and hashed but not kept, all of [`Topic::Rpc`] and about calls that were answered.
    pub fn omitted(&self) -> u64 {
        self.0.stream.lock().omitted
    }

    /// The kept events as they are encoded, in pieces of whole events, in order: what a file of the record holds.
    pub fn encoded(&self) -> Vec<Bytes> {
        self.0.stream.lock().encoded()
    }

    /// Writes what was recorded so far as a file of the format that [`mod@file`] describes. What is recorded meanwhile is not
    /// in it, and recording does not wait for `out`.
    ///
    /// # Errors
    ///
    /// If `out` cannot be written.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let (pieces, summary) = {
            let stream = self.0.stream.lock();
            (stream.encoded(), Summary { len: stream.len(), omitted: stream.omitted, hash: stream.digest() })
        };
        file::write(&pieces, summary, out)
    }

    /// The events that were kept so far, in order. What is recorded later is not among them.
    pub fn events(&self) -> Events {
        Events::of(self.encoded())
    }
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder::new(Options::default())
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("len", &self.len()).field("omitted", &self.omitted()).finish_non_exhaustive()
    }
}

impl Stream {
    /// Adds an event that is encoded with its time, and returns that.
    #[inline]
    fn add(&mut self, at: u64, topic: Topic, encode: impl FnOnce(u64, &mut Vec<u8>)) -> u64 {
        let at = at.max(self.latest);
        self.latest = at;
        self.counts[topic as usize] += 1;
        encode(at, &mut self.last);
        if self.last.len() >= CHUNK_BYTES {
            self.close_chunk();
        }
        at
    }

    /// Begins another chunk.
    fn close_chunk(&mut self) {
        self.hash.update(&self.last);
        self.full_bytes += self.last.len();
        let next = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 16);
        let events = std::mem::replace(&mut self.last, next).into();
        self.full.push(Chunk { events, until: self.latest });
        self.make_room();
    }

    fn len(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn digest(&self) -> u64 {
        let mut hash = self.hash.clone();
        hash.update(&self.last);
        hash.digest()
    }

    fn encoded(&self) -> Vec<Bytes> {
        let mut pieces: Vec<Bytes> = self.full.iter().map(|chunk| chunk.events.clone()).collect();
        if !self.last.is_empty() {
            pieces.push(Bytes::copy_from_slice(&self.last));
        }
        pieces
    }

    /// Leaves calls out, the oldest window after the beginning first, until the limit is kept or all that is left is young.
    fn make_room(&mut self) {
        let beginning = (self.kept_bytes_max as f64 * BEGINNING) as usize / CHUNK_BYTES;
        while self.full_bytes > self.kept_bytes_max {
            let from = self.settled.max(beginning);
            let Some(window) = self.full.get(from..from + window::CHUNKS) else { return };
            if window[window::CHUNKS - 1].until + END_NANOS > self.latest {
                return;
            }
            let before: usize = window.iter().map(|chunk| chunk.events.len()).sum();
            let (thin, omitted) = window::without_answered_calls(window);
            self.full_bytes = self.full_bytes - before + thin.events.len();
            self.omitted += omitted;
            self.full.splice(from..from + window::CHUNKS, [thin]);
            self.settled = from + 1;
        }
    }
}

/// The events of a stream, decoded one after the other. Made by [`Recorder::events`] and [`file::Stored::events`].
#[derive(Debug)]
pub struct Events {
    pieces: std::vec::IntoIter<Bytes>,
    /// What is left of the piece at hand.
    piece: Bytes,
}

impl Events {
    /// The events in some pieces of whole events.
    pub(crate) fn of(pieces: Vec<Bytes>) -> Events {
        Events { pieces: pieces.into_iter(), piece: Bytes::new() }
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.piece.is_empty() {
            self.piece = self.pieces.next()?;
        }
        Some(take_event(&mut self.piece).expect("a record holds what was encoded"))
    }
}

/// Decodes the first event of a piece and takes it off.
pub(crate) fn take_event(piece: &mut Bytes) -> Result<Event, labgob::DecodeError> {
    // A piece of several long events may be longer than what may be decoded at once; no event is.
    let head = &piece[..piece.len().min(labgob::MAX_LEN)];
    let mut decoder = labgob::Decoder::new(head);
    let event = decoder.take()?;
    let length = head.len() - decoder.remaining();
    piece.advance(length);
    Ok(event)
}
