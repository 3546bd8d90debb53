//! A client's connection to one server, with any number of requests in flight.
//!
//! Requests are numbered. The connection's own thread reads the replies, in any order, and hands each to the thread
//! that waits for it. Any number of threads may send, and no request waits for the reply to another one.

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
use super::hello_reply::printable;
use super::messages::{ClientReply, ClientRequest, Request, ServerMessage};
use super::socket::{TimedReader, write_with_timeout};
use super::{Limits, WireError};

/// Time limit for one read of the next reply. After it the connection reads again, without end, because only the client
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
    table: Mutex<ReplyTable>,
    /// Held while requests are written, so that their bytes do not mix.
    writing: Mutex<()>,
}

#[derive(Default)]
struct ReplyTable {
    next_id: u64,
    replies: HashMap<u64, SyncSender<ClientReply>>,
    /// The reason why the connection has ended, if it has.
    ended: Option<String>,
}

/// The reply to a sent request, which has not arrived yet. If this is dropped, the reply is dropped too.
pub struct PendingReply {
    shared: Arc<Shared>,
    id: u64,
    reply: Receiver<ClientReply>,
}

/// Reason why a request has no reply. It is unknown whether the request was executed, except for
/// [`TooLong`](CallError::TooLong).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The connection has ended, for this reason.
    Ended(String),
    /// The reply did not come in time.
    TimedOut,
    /// The request is longer than [`Limits::request_bytes`], and was not sent.
    TooLong {
        /// The size of the request, in bytes.
        length: usize,
        /// The limit, in bytes.
        limit: usize,
    },
}

impl Connection {
    /// Connects to a server. Each address that `address` resolves to may take [`Limits::connect`], and the handshake
    /// may take [`Limits::handshake`].
    ///
    /// # Errors
    ///
    /// If no server replies there, or the server refuses the client; the error then has the server's reason.
    pub fn open(address: &str, limits: &Limits) -> Result<Connection, WireError> {
        let (stream, reader) = hello::connect_as_client(address, limits)?;
        let shared = Arc::new(Shared { stream, limits: *limits, table: Mutex::default(), writing: Mutex::default() });
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
    /// If the request is too long, or the connection has ended.
    pub fn submit(&self, request: ClientRequest) -> Result<PendingReply, CallError> {
        let mut pending = self.submit_all(vec![request])?;
        Ok(pending.pop().expect("one reply for each request"))
    }

    /// Sends several requests with one write. Returns their replies in the same order.
    ///
    /// # Errors
    ///
    /// As [`submit`](Connection::submit). If one is too long, none is sent.
    pub fn submit_all(&self, requests: Vec<ClientRequest>) -> Result<Vec<PendingReply>, CallError> {
        let mut frames = Vec::new();
        let mut pending = Vec::with_capacity(requests.len());
        for request in requests {
            let (id, reply) = self.shared.expect_reply()?;
            // From here on, dropping the `PendingReply` removes the request.
            pending.push(PendingReply { shared: Arc::clone(&self.shared), id, reply });
            let start = frames.len();
            frame::append(&mut frames, &Request { id, request });
            let (length, limit) = (frames.len() - start - frame::HEADER_BYTES, self.shared.limits.request_bytes);
            if length > limit {
                return Err(CallError::TooLong { length, limit });
            }
        }
        let written = {
            let _writing = self.shared.writing.lock();
            write_with_timeout(&self.shared.stream, &frames, self.shared.limits.frame)
        };
        if let Err(error) = written {
            // The reader may have recorded a better reason.
            self.shared.end(&error.to_string());
            return Err(CallError::Ended(self.shared.why_ended()));
        }
        Ok(pending)
    }

    /// Sends a request and waits for its reply, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// If there is no reply.
    pub fn call(&self, request: ClientRequest, timeout: Duration) -> Result<ClientReply, CallError> {
        self.submit(request)?.wait(timeout)
    }

    /// Returns the reason why the connection has ended; `None` if it is not known to have ended.
    pub fn ended(&self) -> Option<String> {
        self.shared.table.lock().ended.clone()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.end("this side closed it");
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

impl PendingReply {
    /// Waits for the reply, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// If no reply comes. The request may still be executed.
    pub fn wait(self, timeout: Duration) -> Result<ClientReply, CallError> {
        match self.reply.recv_timeout(timeout) {
            Ok(reply) => Ok(reply),
            Err(RecvTimeoutError::Timeout) => Err(CallError::TimedOut),
            Err(RecvTimeoutError::Disconnected) => Err(CallError::Ended(self.shared.why_ended())),
        }
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        self.shared.table.lock().replies.remove(&self.id);
    }
}

impl fmt::Debug for PendingReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Shared {
    /// Returns the number of a new request, and the channel for its reply.
    fn expect_reply(&self) -> Result<(u64, Receiver<ClientReply>), CallError> {
        let mut table = self.table.lock();
        if let Some(why) = &table.ended {
            return Err(CallError::Ended(why.clone()));
        }
        let id = table.next_id;
        table.next_id += 1;
        let (sender, receiver) = mpsc::sync_channel(1);
        table.replies.insert(id, sender);
        Ok((id, receiver))
    }

    /// Runs the reader thread.
    fn read(&self, mut reader: FrameReader<TimedReader>) {
        let why = loop {
            match reader.next(self.limits.reply_bytes, READ_PATIENCE, self.limits.frame) {
                Ok(Some(frame)) => match labgob::decode(frame) {
                    Ok(ServerMessage::Reply { id, reply }) => self.deliver(id, reply),
                    Ok(ServerMessage::Closing(reason)) => {
                        break WireError::Refused(printable(&reason)).to_string();
                    }
                    Err(error) => break error.to_string(),
                },
                Ok(None) => break WireError::Closed.to_string(),
                Err(WireError::TooSlow("the next frame")) => {}
                Err(error) => break error.to_string(),
            }
        };
        self.end(&why);
    }

    /// Delivers a reply to the waiting thread, or drops it if no thread waits for it.
    fn deliver(&self, id: u64, reply: ClientReply) {
        if let Some(waiter) = self.table.lock().replies.remove(&id) {
            let _ = waiter.try_send(reply);
        }
    }

    fn end(&self, why: &str) {
        let mut table = self.table.lock();
        table.ended.get_or_insert_with(|| why.to_string());
        table.replies.clear();
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn why_ended(&self) -> String {
        self.table.lock().ended.clone().unwrap_or_else(|| "the reply was already taken".into())
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Ended(why) => write!(f, "the connection has ended: {why}"),
            CallError::TimedOut => f.write_str("no reply came in time"),
            CallError::TooLong { length, limit } => {
                write!(f, "the request has {length} bytes, but the limit is {limit}: it was not sent")
            }
        }
    }
}

impl std::error::Error for CallError {}
