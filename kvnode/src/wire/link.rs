//! The way to one other server: a connection that is made again whenever it is lost, and a queue before it.
//!
//! Raft expects that messages are lost. So nothing here makes Raft wait: a message for which there is no room, or that is
//! for a server which cannot be reached, is dropped and counted, and Raft sends another when it sees that it has to.
//!
//! A thread writes: it takes all messages that wait and sends them with one write. A second one reads, as long as there is a
//! connection: pings are answered, and a server that does not answer is taken for lost although TCP would still wait for it.

use std::fmt;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use raftapi::ServerId;

use super::hello::{self, Purpose};
use super::messages::PeerFrame;
use super::noise::{Sealed, Sealer, Unsealer};
use super::queue::{Found, Queue};
use super::{Identity, Limits, WireError, frame, frame::FrameReader, socket};

/// How long a server that could not be reached is left alone, at first and at most. The time doubles in between.
const REST_MIN: Duration = Duration::from_millis(20);
const REST_MAX: Duration = Duration::from_secs(1);

/// How many bytes of frames are collected before they are written.
const WRITE_BYTES: usize = 256 << 10;

/// The way to one other server.
pub struct Link {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// A link was made or lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// The other server can be reached, and has proved who it is.
    Up,
    /// It cannot be reached any more, for this reason. It is told once each time, however often it is tried after that.
    Down {
        /// One clause for people.
        reason: String,
    },
}

/// What a link has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// How often a connection was made.
    pub connected: u64,
    /// How many messages were written to one. Whether they have arrived, nobody knows here.
    pub sent: u64,
    /// How many messages were dropped.
    pub dropped: u64,
}

struct Shared {
    identity: Identity,
    to: ServerId,
    address: String,
    limits: Limits,
    on_change: Box<dyn Fn(ServerId, LinkChange) + Send + Sync>,
    queue: Queue,
    /// The connection under way, to end it when the link is stopped.
    stream: Mutex<Option<Arc<TcpStream>>>,
    connected: AtomicU64,
    sent: AtomicU64,
}

impl Link {
    /// Begins to connect to server `to` at `address`, and tells `on_change` of every change, on the link's own thread.
    ///
    /// # Panics
    ///
    /// If the operating system has no thread for it.
    pub fn start(
        identity: Identity,
        to: ServerId,
        address: String,
        limits: Limits,
        on_change: impl Fn(ServerId, LinkChange) + Send + Sync + 'static,
    ) -> Link {
        let shared = Arc::new(Shared {
            queue: Queue::new(&limits),
            on_change: Box::new(on_change),
            stream: Mutex::default(),
            connected: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            identity,
            to,
            address,
            limits,
        });
        let thread = thread::Builder::new().name(format!("link to {to}"));
        let writer = {
            let shared = Arc::clone(&shared);
            thread.spawn(move || shared.run()).expect("a server can start a thread for each other one")
        };
        Link { shared, writer: Some(writer) }
    }

    /// Sends `message`, at once and without waiting for anything; `false` if it was dropped, because the other server is
    /// away, too much waits for it already, or the message is longer than [`Limits::message_bytes`] (which is logged).
    pub fn send(&self, message: Bytes) -> bool {
        let (length, most) = (message.len(), self.shared.limits.message_bytes);
        if length > most {
            log::error!("a message to {} has {length} bytes, and {most} are allowed: it is dropped", self.shared.to);
            return false;
        }
        self.shared.queue.push(message)
    }

    /// Which server it leads to.
    pub fn to(&self) -> ServerId {
        self.shared.to
    }

    /// Whether the other server can be reached, as far as is known.
    pub fn is_up(&self) -> bool {
        self.shared.queue.is_open()
    }

    /// What it has done so far.
    pub fn stats(&self) -> LinkStats {
        LinkStats {
            connected: self.shared.connected.load(Relaxed),
            sent: self.shared.sent.load(Relaxed),
            dropped: self.shared.queue.dropped(),
        }
    }

    /// Ends the connection and the threads. If one is just being made, that may take as long as [`Limits::connect`].
    pub fn stop(mut self) {
        self.close();
    }

    fn close(&mut self) {
        let Some(writer) = self.writer.take() else { return };
        self.shared.queue.stop();
        if let Some(stream) = &*self.shared.stream.lock() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _ = writer.join();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("to", &self.shared.to).field("up", &self.is_up()).finish_non_exhaustive()
    }
}

impl Shared {
    /// The writer thread.
    fn run(self: &Arc<Shared>) {
        let mut rest = REST_MIN;
        let mut last_reason = String::new();
        while !self.queue.is_stopped() {
            match self.connect() {
                Ok(sealed) => {
                    rest = REST_MIN;
                    last_reason.clear();
                    self.converse(sealed);
                }
                Err(error) => {
                    // A server that is away is away for a while; once is enough to say so.
                    let reason = error.to_string();
                    if reason != last_reason && !self.queue.is_stopped() {
                        log::info!("{} at {} cannot be reached: {reason}", self.to, self.address);
                        last_reason = reason;
                    }
                }
            }
            *self.stream.lock() = None;
            self.queue.wait(Instant::now() + rest);
            rest = (rest * 2).min(REST_MAX);
        }
    }

    fn connect(&self) -> Result<Sealed, WireError> {
        let stream = socket::connect(&self.address, self.limits.connect, self.limits.frame)?;
        *self.stream.lock() = Some(Arc::clone(&stream));
        if self.queue.is_stopped() {
            return Err(WireError::Closed);
        }
        hello::introduce(&stream, &self.identity, self.to, Purpose::Messages, &self.limits)
    }

    /// Uses a connection until it ends.
    fn converse(self: &Arc<Shared>, sealed: Sealed) {
        let Sealed { reader, mut writer } = sealed;
        let stream = Arc::clone(writer.stream());
        let thread = thread::Builder::new().name(format!("pongs of {}", self.to));
        let pongs = {
            let shared = Arc::clone(self);
            thread.spawn(move || shared.read_pongs(reader))
        };
        let Ok(pongs) = pongs else {
            log::error!("there is no thread for the link to {}", self.to);
            return;
        };
        self.queue.open();
        self.connected.fetch_add(1, Relaxed);
        log::info!("{} at {} is connected", self.to, self.address);
        (self.on_change)(self.to, LinkChange::Up);
        let reason = match self.write(&mut writer) {
            Ok(reason) => reason,
            Err(error) => error.to_string(),
        };
        let _ = stream.shutdown(Shutdown::Both);
        let _ = pongs.join();
        self.queue.shut();
        log::info!("{} at {} is lost: {reason}", self.to, self.address);
        (self.on_change)(self.to, LinkChange::Down { reason });
    }

    /// Writes messages and pings until there is a reason not to.
    fn write(&self, writer: &mut Sealer) -> Result<String, WireError> {
        let mut frames = Vec::new();
        let mut next_ping = Instant::now();
        loop {
            match self.queue.wait(next_ping) {
                Found::Messages(messages) => {
                    let count = messages.len() as u64;
                    for message in messages {
                        frame::put(&mut frames, &PeerFrame::Message(message));
                        if frames.len() >= WRITE_BYTES {
                            writer.write(&frames)?;
                            frames.clear();
                            frames.shrink_to(2 * WRITE_BYTES);
                        }
                    }
                    self.sent.fetch_add(count, Relaxed);
                }
                Found::Nothing => {}
                Found::Broken(why) => return Ok(why),
                Found::Stopped => return Ok("this server stops".into()),
            }
            if Instant::now() >= next_ping {
                frame::put(&mut frames, &PeerFrame::Ping);
                next_ping = Instant::now() + self.limits.ping;
            }
            writer.write(&frames)?;
            frames.clear();
        }
    }

    /// The reader thread: as long as something comes, the other server is there.
    fn read_pongs(&self, mut reader: FrameReader<Unsealer>) {
        const FRAME_BYTES_MAX: usize = 64;
        let why = loop {
            match reader.next(FRAME_BYTES_MAX, self.limits.silence, self.limits.frame) {
                Ok(Some(frame)) => match labgob::decode(frame) {
                    Ok(PeerFrame::Pong) => {}
                    Ok(_) => break "it sends what nobody asked for".to_string(),
                    Err(error) => break error.to_string(),
                },
                Ok(None) => break WireError::Closed.to_string(),
                Err(WireError::TooSlow(_)) => break format!("it was silent for {:?}", self.limits.silence),
                Err(error) => break error.to_string(),
            }
        };
        self.queue.break_off(why);
    }
}
