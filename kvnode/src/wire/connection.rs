//! A client's connection to one server, with many requests under way.
//!
//! Requests are numbered. A thread of the connection reads the replies, in whichever order they come, and hands each to who
//! waits for it. Any number of threads may send; what one of them asks does not wait for what another was not answered yet.

use std::collections::HashMap;
use std::fmt;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

use super::frame::{self, FrameReader};
use super::hello;
use super::messages::{ClientReply, ClientRequest, FromServer, Request};
use super::socket::{TimedReader, write_within};
use super::{Limits, WireError};

/// How long a connection waits for the next reply before it looks again: it may wait for ever, since it is the client that
/// knows how long a request may take.
const READ_PATIENCE: Duration = Duration::from_secs(3600);

/// A client's connection to one server.
pub struct Connection {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

struct Shared {
    stream: Arc<TcpStream>,
    limits: Limits,
    waiting: Mutex<Waiting>,
    /// Held while requests are written, so that they do not mix.
    writing: Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    replies: HashMap<u64, SyncSender<ClientReply>>,
    /// Why the connection has ended, if it has.
    ended: Option<String>,
}

/// A request that was sent, whose reply can be waited for. If it is dropped, the reply is.
pub struct Pending {
    shared: Arc<Shared>,
    id: u64,
    reply: Receiver<ClientReply>,
}

/// Why a request has no reply. Unless it is [`TooLong`](CallError::TooLong), nobody knows whether it was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The connection has ended, and why.
    Ended(String),
    /// It did not come in time.
    TimedOut,
    /// The request is longer than [`Limits::request_bytes`], and was not sent.
    TooLong {
        /// The bytes of the request.
        length: usize,
        /// How many it may have.
        most: usize,
    },
}

impl Connection {
    /// Connects to a server, within [`Limits::connect`] for each address that `address` stands for, and
    /// [`Limits::handshake`].
    ///
    /// # Errors
    ///
    /// If nobody answers there, or the server does not want us; it then says why.
    pub fn open(address: &str, limits: &Limits) -> Result<Connection, WireError> {
        let (stream, reader) = hello::connect_as_client(address, limits)?;
        let shared = Arc::new(Shared { stream, limits: *limits, waiting: Mutex::default(), writing: Mutex::default() });
        let thread = thread::Builder::new().name(format!("replies of {address}"));
        let reader = {
            let shared = Arc::clone(&shared);
            thread.spawn(move || shared.read(reader))?
        };
        Ok(Connection { shared, reader: Some(reader) })
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// If it is too long, or the connection has ended.
    pub fn submit(&self, request: ClientRequest) -> Result<Pending, CallError> {
        let mut pending = self.submit_all(vec![request])?;
        Ok(pending.pop().expect("as many as were sent"))
    }

    /// Sends several requests with one write; what is waited for is in their order.
    ///
    /// # Errors
    ///
    /// As [`submit`](Connection::submit). If one is too long, none is sent.
    pub fn submit_all(&self, requests: Vec<ClientRequest>) -> Result<Vec<Pending>, CallError> {
        let mut frames = Vec::new();
        let mut pending = Vec::with_capacity(requests.len());
        for request in requests {
            let (id, reply) = self.shared.expect_reply()?;
            // From here on a drop forgets the request again.
            pending.push(Pending { shared: Arc::clone(&self.shared), id, reply });
            let start = frames.len();
            frame::put(&mut frames, &Request { id, request });
            let (length, most) = (frames.len() - start - frame::HEADER_BYTES, self.shared.limits.request_bytes);
            if length > most {
                return Err(CallError::TooLong { length, most });
            }
        }
        let written = {
            let _writing = self.shared.writing.lock();
            write_within(&self.shared.stream, &frames, self.shared.limits.frame)
        };
        if let Err(error) = written {
            // The reader may know better why.
            self.shared.end(&error.to_string());
            return Err(CallError::Ended(self.shared.why_ended()));
        }
        Ok(pending)
    }

    /// Sends a request and waits for its reply, for as long as `patience`.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn call(&self, request: ClientRequest, patience: Duration) -> Result<ClientReply, CallError> {
        self.submit(request)?.wait(patience)
    }

    /// Why the connection has ended; `None` if it has not, as far as is known.
    pub fn ended(&self) -> Option<String> {
        self.shared.waiting.lock().ended.clone()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.end("it was closed here");
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.shared.stream.peer_addr()).finish_non_exhaustive()
    }
}

impl Pending {
    /// Waits for the reply, for as long as `patience`.
    ///
    /// # Errors
    ///
    /// If it does not come. The request may still be executed.
    pub fn wait(self, patience: Duration) -> Result<ClientReply, CallError> {
        match self.reply.recv_timeout(patience) {
            Ok(reply) => Ok(reply),
            Err(RecvTimeoutError::Timeout) => Err(CallError::TimedOut),
            Err(RecvTimeoutError::Disconnected) => Err(CallError::Ended(self.shared.why_ended())),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.shared.waiting.lock().replies.remove(&self.id);
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Shared {
    /// The number of a new request, and where its reply will come.
    fn expect_reply(&self) -> Result<(u64, Receiver<ClientReply>), CallError> {
        let mut waiting = self.waiting.lock();
        if let Some(why) = &waiting.ended {
            return Err(CallError::Ended(why.clone()));
        }
        let id = waiting.next;
        waiting.next += 1;
        let (sender, receiver) = mpsc::sync_channel(1);
        waiting.replies.insert(id, sender);
        Ok((id, receiver))
    }

    /// The reader thread.
    fn read(&self, mut reader: FrameReader<TimedReader>) {
        let why = loop {
            match reader.next(self.limits.reply_bytes, READ_PATIENCE, self.limits.frame) {
                Ok(Some(frame)) => match labgob::decode(frame) {
                    Ok(FromServer::Reply { id, reply }) => self.reply(id, reply),
                    Ok(FromServer::Bye(reason)) => break WireError::Refused(hello::printable(&reason)).to_string(),
                    Err(error) => break error.to_string(),
                },
                Ok(None) => break WireError::Closed.to_string(),
                Err(WireError::TooSlow("the next frame")) => {}
                Err(error) => break error.to_string(),
            }
        };
        self.end(&why);
    }

    /// A reply came. If nobody waits for it any more, it is dropped.
    fn reply(&self, id: u64, reply: ClientReply) {
        if let Some(waiter) = self.waiting.lock().replies.remove(&id) {
            let _ = waiter.try_send(reply);
        }
    }

    fn end(&self, why: &str) {
        let mut waiting = self.waiting.lock();
        waiting.ended.get_or_insert_with(|| why.to_string());
        waiting.replies.clear();
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn why_ended(&self) -> String {
        self.waiting.lock().ended.clone().unwrap_or_else(|| "its reply was taken already".into())
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Ended(why) => write!(f, "the connection has ended: {why}"),
            CallError::TimedOut => f.write_str("no reply came in time"),
            CallError::TooLong { length, most } => {
                write!(f, "the request has {length} bytes, and {most} are allowed: it was not sent")
            }
        }
    }
}

impl std::error::Error for CallError {}
