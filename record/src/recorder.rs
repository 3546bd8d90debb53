//! The ordered stream of one run: kept in memory as it will be in a file, hashed as it comes.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use xxhash_rust::xxh3::Xxh3Default;

use crate::window::{self, Chunk};
use crate::{Event, Topic, live};

/// How much a recorder keeps.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The encoded bytes above which windows in the middle of the run lose their calls that were answered: they are
    /// counted and hashed, but not kept. Everything else, and what is younger than 10 s, is always kept.
    pub kept_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { kept_bytes_max: 64 << 20 }
    }
}

/// The stream of one run. Clones are handles of the same stream.
///
/// Any thread may record at any time. The lock inside is the OS's, is held only while an event is encoded, and nobody
/// waits for anything while holding it: in a simulation it is always free, and it is no point at which threads switch.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<Stream>>);

struct Stream {
    options: Options,
    /// Full chunks, in order.
    full: Vec<Chunk>,
    /// How many of them, at the beginning, are left as they are: the beginning of the run, and windows without calls.
    settled: usize,
    /// The chunk that is being filled.
    last: Vec<u8>,
    /// The length of all `full` chunks together.
    full_bytes: usize,
    /// Over the encoding of every event, kept or not.
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
        Recorder(Arc::new(Mutex::new(Stream {
            options,
            full: Vec::new(),
            settled: 0,
            last: Vec::new(),
            full_bytes: 0,
            hash: Xxh3Default::new(),
            counts: [0; Topic::ALL.len()],
            omitted: 0,
            latest: 0,
        })))
    }

    /// Adds an event to the end of the stream, and prints it if `LAB_LOG` asks for it.
    ///
    /// Times never go back in a stream: of two OS threads, the one that read the clock first may get here last; its event
    /// then has the time of the event before it.
    pub fn record(&self, mut event: Event) {
        self.0.lock().add(&mut event);
        live::print(&event);
    }

    /// The xxh3-64 hash of the encoding of all events so far, those that were not kept included.
    pub fn hash(&self) -> u64 {
        self.0.lock().hash.digest()
    }

    /// How many events were recorded, those that were not kept included.
    pub fn len(&self) -> u64 {
        self.0.lock().counts.iter().sum()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many events of a topic were recorded, those that were not kept included.
    pub fn count(&self, topic: Topic) -> u64 {
        self.0.lock().counts[topic as usize]
    }

    /// How many events were counted and hashed but not kept, all of [`Topic::Rpc`] and about calls that were answered.
    pub fn omitted(&self) -> u64 {
        self.0.lock().omitted
    }

    /// The kept events as they are encoded, in pieces of whole events, in order: what a file of the record holds.
    pub fn encoded(&self) -> Vec<Bytes> {
        let stream = self.0.lock();
        let mut pieces: Vec<Bytes> = stream.full.iter().map(|chunk| chunk.events.clone()).collect();
        if !stream.last.is_empty() {
            pieces.push(Bytes::copy_from_slice(&stream.last));
        }
        pieces
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
    fn add(&mut self, event: &mut Event) {
        event.at = event.at.max(self.latest);
        self.latest = event.at;
        let topic = event.kind.topic();
        self.counts[topic as usize] += 1;

        let before = self.last.len();
        labgob::encode_into(&*event, &mut self.last);
        self.hash.update(&self.last[before..]);

        if self.last.len() >= CHUNK_BYTES {
            self.full_bytes += self.last.len();
            let next = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 16);
            let events = std::mem::replace(&mut self.last, next).into();
            self.full.push(Chunk { events, until: self.latest });
            self.make_room();
        }
    }

    /// Leaves calls out, the oldest window after the beginning first, until the limit is kept or all that is left is young.
    fn make_room(&mut self) {
        let beginning = (self.options.kept_bytes_max as f64 * BEGINNING) as usize / CHUNK_BYTES;
        while self.full_bytes > self.options.kept_bytes_max {
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

/// The events of a stream, decoded one after the other. Made by [`Recorder::events`].
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
        let mut decoder = labgob::Decoder::new(&self.piece);
        let event = decoder.take().expect("a recorder decodes what it encoded");
        let left = decoder.remaining();
        self.piece = self.piece.split_off(self.piece.len() - left);
        Some(event)
    }
}
