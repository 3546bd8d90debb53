//! The link to one other server: a connection that is reopened whenever it is lost, and a queue in front of it.
//!
//! Raft tolerates lost messages, so the link never makes Raft wait. If the queue is full or the server is unreachable,
//! the message is dropped and counted. Raft sends another one when it needs to.
//!
//! One thread writes: it takes all waiting messages and sends them with one write. A second thread reads while there is
//! a connection. The other side replies to pings, and a server that does not reply is considered lost even if TCP would
//! still wait for it.

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
use super::noise::{SealedConnection, Sealer, Unsealer};
use super::queue::{MessageQueue, QueueEvent};
use super::{Identity, Limits, WireError, frame, frame::FrameReader, socket};

/// The backoff after a failed connection, at first and at most. It doubles after each failure.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// The bytes of frames that are collected before they are written.
const WRITE_BYTES: usize = 256 << 10;

/// The reason for which a connection ends that is opened again for another greeting.
const GREETING: &str = "it is opened again for another greeting";

/// The link to one other server.
pub struct PeerLink {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// A change of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// The other server is connected and authenticated.
    Up,
    /// The connection is lost, for this reason. This is reported once, however often connecting then fails.
    Down {
        /// The reason, as one clause for people.
        reason: String,
    },
}

/// Statistics of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// The number of opened connections.
    pub connected: u64,
    /// The number of written messages. The link does not know whether they arrived.
    pub sent: u64,
    /// The number of dropped messages.
    pub dropped: u64,
}

struct Shared {
    identity: Identity,
    to: ServerId,
    address: String,
    limits: Limits,
    on_change: Box<dyn Fn(ServerId, LinkChange) + Send + Sync>,
    queue: MessageQueue,
    /// The current connection, so that stopping the link can close it.
    stream: Mutex<Option<Arc<TcpStream>>>,
    connected: AtomicU64,
    sent: AtomicU64,
}

impl PeerLink {
    /// Starts to connect to server `to` at `address`, and calls `on_change` on the link's own thread for every change.
    ///
    /// # Panics
    ///
    /// If the operating system cannot start a thread.
    pub fn start(
        identity: Identity,
        to: ServerId,
        address: String,
        limits: Limits,
        on_change: impl Fn(ServerId, LinkChange) + Send + Sync + 'static,
    ) -> PeerLink {
        let shared = Arc::new(Shared {
            queue: MessageQueue::new(&limits),
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
            thread.spawn(move || shared.run()).expect("a server can start one thread for each other server")
        };
        PeerLink { shared, writer: Some(writer) }
    }

    /// Queues `message` without waiting. Returns `false` if it was dropped because the other server is unreachable, the
    /// queue is full, or the message is longer than [`Limits::message_bytes`] (which is logged).
    pub fn send(&self, message: Bytes) -> bool {
        let (length, limit) = (message.len(), self.shared.limits.message_bytes);
        if length > limit {
            log::error!("dropped a message to {} of {length} bytes: the limit is {limit}", self.shared.to);
            return false;
        }
        self.shared.queue.push(message)
    }

    /// Closes the connection, if there is one, and opens a new one.
    pub fn reconnect(&self) {
        if self.is_up() {
            self.shared.queue.connection_lost(GREETING.to_string());
        }
    }

    /// Returns the other server.
    pub fn to(&self) -> ServerId {
        self.shared.to
    }

    /// Returns whether the other server is connected, as far as is known.
    pub fn is_up(&self) -> bool {
        self.shared.queue.is_open()
    }

    /// Returns the statistics of the link.
    pub fn stats(&self) -> LinkStats {
        LinkStats {
            connected: self.shared.connected.load(Relaxed),
            sent: self.shared.sent.load(Relaxed),
            dropped: self.shared.queue.dropped(),
        }
    }

    /// Closes the connection and ends the threads. If a connection is being opened, this may take as long as
    /// [`Limits::connect`].
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

impl Drop for PeerLink {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for PeerLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("to", &self.shared.to).field("up", &self.is_up()).finish_non_exhaustive()
    }
}

impl Shared {
    /// Runs the writer thread.
    fn run(self: &Arc<Shared>) {
        let mut backoff = BACKOFF_MIN;
        let mut last_reason = String::new();
        let mut greets_again = false;
        while !self.queue.is_stopped() {
            match self.connect() {
                Ok(sealed) => {
                    backoff = BACKOFF_MIN;
                    last_reason.clear();
                    greets_again = self.use_connection(sealed, greets_again);
                }
                Err(error) => {
                    // The reason is logged once, because an unreachable server usually stays so for a while.
                    let reason = error.to_string();
                    if reason != last_reason && !self.queue.is_stopped() {
                        log::info!("{} at {} is unreachable: {reason}", self.to, self.address);
                        last_reason = reason;
                    }
                }
            }
            *self.stream.lock() = None;
            self.queue.wait(Instant::now() + backoff);
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    fn connect(&self) -> Result<SealedConnection, WireError> {
        let stream = socket::connect(&self.address, self.limits.connect, self.limits.frame)?;
        *self.stream.lock() = Some(Arc::clone(&stream));
        if self.queue.is_stopped() {
            return Err(WireError::Closed);
        }
        hello::introduce(&stream, &self.identity, self.to, Purpose::Messages, &self.limits)
    }

    /// Uses a connection until it ends. Returns whether it ends for another greeting. The log does not mention that,
    /// and the next connection `greets_again`.
    fn use_connection(self: &Arc<Shared>, sealed: SealedConnection, greets_again: bool) -> bool {
        let SealedConnection { reader, mut writer } = sealed;
        let stream = Arc::clone(writer.stream());
        let thread = thread::Builder::new().name(format!("pongs of {}", self.to));
        let pongs = {
            let shared = Arc::clone(self);
            thread.spawn(move || shared.read_pongs(reader))
        };
        let Ok(pongs) = pongs else {
            log::error!("cannot start a thread for the link to {}", self.to);
            return false;
        };
        self.queue.open();
        self.connected.fetch_add(1, Relaxed);
        let level = |is_routine| if is_routine { log::Level::Debug } else { log::Level::Info };
        log::log!(level(greets_again), "{} at {} is connected", self.to, self.address);
        (self.on_change)(self.to, LinkChange::Up);
        let reason = match self.write(&mut writer) {
            Ok(reason) => reason,
            Err(error) => error.to_string(),
        };
        let _ = stream.shutdown(Shutdown::Both);
        let _ = pongs.join();
        self.queue.close();
        let ends_for_greeting = reason == GREETING;
        log::log!(level(ends_for_greeting), "{} at {} is lost: {reason}", self.to, self.address);
        (self.on_change)(self.to, LinkChange::Down { reason });
        ends_for_greeting
    }

    /// Writes messages and pings until the connection or the link ends. Returns the reason.
    fn write(&self, writer: &mut Sealer) -> Result<String, WireError> {
        let mut frames = Vec::new();
        let mut next_ping = Instant::now();
        loop {
            match self.queue.wait(next_ping) {
                QueueEvent::Messages(messages) => {
                    let count = messages.len() as u64;
                    for message in messages {
                        frame::append(&mut frames, &PeerFrame::Message(message));
                        if frames.len() >= WRITE_BYTES {
                            writer.write(&frames)?;
                            frames.clear();
                            frames.shrink_to(2 * WRITE_BYTES);
                        }
                    }
                    self.sent.fetch_add(count, Relaxed);
                }
                QueueEvent::TimedOut => {}
                QueueEvent::ConnectionLost(why) => return Ok(why),
                QueueEvent::Stopped => return Ok("this server is stopping".into()),
            }
            if Instant::now() >= next_ping {
                frame::append(&mut frames, &PeerFrame::Ping);
                next_ping = Instant::now() + self.limits.ping;
            }
            writer.write(&frames)?;
            frames.clear();
        }
    }

    /// Runs the reader thread. As long as frames arrive, the other server is alive.
    fn read_pongs(&self, mut reader: FrameReader<Unsealer>) {
        const FRAME_BYTES_MAX: usize = 64;
        let why = loop {
            match reader.next(FRAME_BYTES_MAX, self.limits.silence, self.limits.frame) {
                Ok(Some(frame)) => match labgob::decode(frame) {
                    Ok(PeerFrame::Pong) => {}
                    Ok(_) => break "it sent a frame that is not a pong".to_string(),
                    Err(error) => break error.to_string(),
                },
                Ok(None) => break WireError::Closed.to_string(),
                Err(WireError::TooSlow(_)) => break format!("it was silent for {:?}", self.limits.silence),
                Err(error) => break error.to_string(),
            }
        };
        self.queue.connection_lost(why);
    }
}
