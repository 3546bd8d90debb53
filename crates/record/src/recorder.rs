//! The ordered stream of one run: hashed, and kept in memory in the encoding of its [file](crate::file).

use std::{
    fmt,
    io::{self, Write},
    sync::Arc,
};

use bytes::Bytes;
use spin::{Yield, mutex::SpinMutex};
use xxhash_rust::xxh3::Xxh3Default;

use crate::decode::Events;
use crate::encode::{self, RpcSentRef};
use crate::file::{self, Summary};
use crate::window::{self, Chunk};
use crate::{Event, EventKind, Topic, live};
use ids::ServerId;

/// The settings of a recorder.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The number of encoded bytes to keep. Above it, windows in the middle of the run lose their completed calls:
    /// these are counted and hashed, but not kept. Everything else, and every event of the last 10 s, is always kept.
    pub kept_bytes_max: usize,
    /// Whether the recorder records anything.
    pub on: bool,
}

impl Options {
    /// Returns the settings of a recorder that records nothing.
    pub const fn off() -> Options {
        Options { kept_bytes_max: 0, on: false }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options { kept_bytes_max: 64 << 20, on: true }
    }
}

/// The stream of one run. Clones are handles to the same stream.
///
/// Any thread may record at any time. The internal lock is held only while an event is encoded, and its holder never
/// blocks. In a simulation the lock is therefore always free, and taking it is no preemption point. It is a spin lock
/// because it is taken for every event, and releasing a spin lock is an ordinary store.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    options: Options,
    stream: SpinMutex<Stream, Yield>,
}

struct Stream {
    /// [`Options::kept_bytes_max`].
    kept_bytes_max: usize,
    /// The full chunks, in order.
    full: Vec<Chunk>,
    /// The number of chunks at the beginning of `full` that stay as they are: the beginning of the run, and windows
    /// without their completed calls.
    final_chunks: usize,
    /// The chunk that is being filled.
    last: Vec<u8>,
    /// The length of all `full` chunks together.
    full_bytes: usize,
    /// The hash over the encoding of every event in a chunk, kept or not; the events in `last` are still to come. The
    /// hash of a stream of bytes does not depend on their division, and long pieces are hashed faster than short ones.
    hash: Xxh3Default,
    /// The number of events per [`Topic`].
    counts: [u64; Topic::ALL.len()],
    /// The number of events that were not kept.
    omitted: u64,
    /// The time of the latest event, in nanoseconds.
    latest: u64,
}

/// The length at which a chunk is full, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// The share of the kept bytes that belongs to the beginning of the run, which is kept whole.
const BEGINNING_SHARE: f64 = 0.125;

/// The length of the end of the run that is kept whole, in nanoseconds.
const END_NANOS: u64 = 10_000_000_000;

impl Recorder {
    /// Creates an empty stream.
    pub fn new(options: Options) -> Recorder {
        let stream = Stream {
            kept_bytes_max: options.kept_bytes_max,
            full: Vec::new(),
            final_chunks: 0,
            last: Vec::new(),
            full_bytes: 0,
            hash: Xxh3Default::new(),
            counts: [0; Topic::ALL.len()],
            omitted: 0,
            latest: 0,
        };
        Recorder(Arc::new(Inner { options, stream: SpinMutex::new(stream) }))
    }

    /// Returns whether the recorder records anything; see [`Options::off`].
    pub fn is_on(&self) -> bool {
        self.0.options.on
    }

    /// Appends an event to the stream, and prints it if `LAB_LOG` matches it.
    ///
    /// Times never decrease in a stream. Of two OS threads, the one that read the clock first may append last; its
    /// event then gets the time of the previous event.
    ///
    /// Does nothing if the recorder is off.
    pub fn record(&self, event: Event) {
        self.record_kind(event.at, event.server, &event.kind);
    }

    /// Does the same as [`record`](Recorder::record) for borrowed parts. An [`Event`] is built only if it is printed.
    #[inline]
    pub(crate) fn record_kind(&self, at: u64, server: Option<ServerId>, kind: &EventKind) {
        let encode = |at, out: &mut Vec<u8>| encode::event(at, server, kind, out);
        self.add(at, server, kind.topic(), encode, || kind.clone());
    }

    /// Does the same as [`record`](Recorder::record) for an [`EventKind::RpcSent`] with borrowed texts.
    #[inline]
    pub(crate) fn record_rpc_sent(&self, at: u64, server: Option<ServerId>, sent: &RpcSentRef<'_>) {
        let encode = |at, out: &mut Vec<u8>| encode::rpc_sent(at, server, sent, out);
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
            if live::is_enabled() {
                live::print(&Event { at, server, kind: kind() });
            }
        }
    }

    /// Returns the xxh3-64 hash of the encoding of all events so far, including those that were not kept.
    pub fn hash(&self) -> u64 {
        self.0.stream.lock().digest()
    }

    /// Returns how many events were recorded, including those that were not kept.
    pub fn len(&self) -> u64 {
        self.0.stream.lock().len()
    }

    /// Returns whether no event was recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many events of a topic were recorded, including those that were not kept.
    pub fn count(&self, topic: Topic) -> u64 {
        self.0.stream.lock().counts[topic as usize]
    }

    /// Returns how many events were counted and hashed but not kept, all of [`Topic::Rpc`] and of completed calls.
    pub fn omitted(&self) -> u64 {
        self.0.stream.lock().omitted
    }

    /// Returns the encoded kept events, in order, in pieces of whole events. A file of the record holds the same bytes.
    pub fn encoded(&self) -> Vec<Bytes> {
        self.0.stream.lock().encoded()
    }

    /// Writes the events so far to a file in the format of [`mod@file`]. Events that are recorded meanwhile are not in
    /// it, and recording does not wait for `out`.
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

    /// Returns the events that were kept so far, in order. Events that are recorded later are not among them.
    pub fn events(&self) -> Events {
        Events::new(self.encoded())
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
    /// Appends an event, which `encode` encodes with its time, and returns that time.
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

    /// Closes the current chunk and begins another.
    fn close_chunk(&mut self) {
        self.hash.update(&self.last);
        self.full_bytes += self.last.len();
        let next = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 16);
        let events = std::mem::replace(&mut self.last, next).into();
        self.full.push(Chunk { events, until: self.latest });
        self.thin_oldest_windows();
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

    /// Omits completed calls, in the oldest window after the beginning first, until the kept bytes are within the limit
    /// or only recent windows are left.
    fn thin_oldest_windows(&mut self) {
        let beginning = (self.kept_bytes_max as f64 * BEGINNING_SHARE) as usize / CHUNK_BYTES;
        while self.full_bytes > self.kept_bytes_max {
            let from = self.final_chunks.max(beginning);
            let Some(window) = self.full.get(from..from + window::CHUNKS) else { return };
            if window[window::CHUNKS - 1].until + END_NANOS > self.latest {
                return;
            }
            let before: usize = window.iter().map(|chunk| chunk.events.len()).sum();
            let (shortened, omitted) = window::omit_completed_calls(window);
            self.full_bytes = self.full_bytes - before + shortened.events.len();
            self.omitted += omitted;
            self.full.splice(from..from + window::CHUNKS, [shortened]);
            self.final_chunks = from + 1;
        }
    }
}
