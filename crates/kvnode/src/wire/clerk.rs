//! The client of the service. It finds the leader among the servers, and retries until it has a definite reply or its
//! deadline passes.
//!
//! A write keeps its number on every retry, on whichever server, so it is executed once. After a clerk gives up a
//! write, it is unknown whether the write was or will be executed. The next write has the next number, and after that
//! one is executed the old one cannot be.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::TryRng;
use rand::rngs::SysRng;

use super::connection::{CallError, Connection};
use super::messages::{ClientReply, ClientRequest, WriteOp};
use super::{Limits, WireError};

/// The upper bound of client ids, as in the lab. Ids are random, so that no two clients have the same one.
const CLIENT_IDS: u64 = 1 << 62;

/// Settings of a clerk.
#[derive(Clone, Copy, Debug)]
pub struct ClerkSettings {
    /// Time limit of a whole operation; `None` if the clerk never gives up.
    pub deadline: Option<Duration>,
    /// Time limit for the reply of one server, after which the clerk tries another one.
    pub server_timeout: Duration,
    /// Backoff after all servers failed to execute the operation: there is no leader, and an election takes time.
    pub backoff: Duration,
    /// Whether to follow a hint to a server that is not on the clerk's list.
    pub follow_unlisted: bool,
    /// The limits of the connections.
    pub limits: Limits,
}

impl Default for ClerkSettings {
    fn default() -> ClerkSettings {
        ClerkSettings {
            deadline: None,
            server_timeout: Duration::from_secs(1),
            backoff: Duration::from_millis(20),
            follow_unlisted: true,
            limits: Limits { connect: Duration::from_secs(1), ..Limits::default() },
        }
    }
}

/// A client of the service. It executes one operation at a time.
#[derive(Debug)]
pub struct Clerk {
    /// The listed servers, and after them at most one that another server named.
    servers: Vec<Server>,
    /// The number of listed servers.
    listed: usize,
    /// The position of the server to use next.
    current: usize,
    client: u64,
    seq: u64,
    settings: ClerkSettings,
}

#[derive(Debug)]
struct Server {
    address: String,
    connection: Option<Connection>,
}

/// Reason why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClerkError {
    /// The deadline passed. A write may still be executed, now or later.
    GaveUp {
        /// The last server's address and its failure, in one line.
        last: String,
    },
    /// A server refuses the operation for good, or it cannot be sent. The text is the reason. The operation was not
    /// executed.
    Refused(String),
}

impl Clerk {
    /// Creates a clerk for the servers at these addresses, in any order. It connects with its first operation.
    ///
    /// # Panics
    ///
    /// If `addresses` is empty, or if the operating system has no random numbers.
    pub fn new(addresses: impl IntoIterator<Item = String>, settings: ClerkSettings) -> Clerk {
        let servers: Vec<Server> = addresses.into_iter().map(|address| Server { address, connection: None }).collect();
        assert!(!servers.is_empty(), "a clerk needs at least one server");
        let client = SysRng.try_next_u64().expect("the operating system has random numbers") % CLIENT_IDS;
        Clerk { listed: servers.len(), servers, current: 0, client, seq: 0, settings }
    }

    /// Returns the value of `key`; `None` if it was never written.
    ///
    /// # Errors
    ///
    /// If no reply comes in time, or the operation is refused.
    pub fn get(&mut self, key: &str) -> Result<Option<Bytes>, ClerkError> {
        match self.execute(&ClientRequest::Get { key: key.to_string() })? {
            ClientReply::Value(value) => Ok(value),
            other => Err(unexpected(&other)),
        }
    }

    /// Replaces the value of `key`, once.
    ///
    /// # Errors
    ///
    /// If no reply comes in time (the write may still be executed), or the operation is refused.
    pub fn put(&mut self, key: &str, value: impl Into<Bytes>) -> Result<(), ClerkError> {
        self.write(key, WriteOp::Put, value.into())
    }

    /// Appends `value` to the value of `key`, once; acts as [`put`](Clerk::put) if the key was never written.
    ///
    /// # Errors
    ///
    /// If no reply comes in time (the write may still be executed), or the operation is refused.
    pub fn append(&mut self, key: &str, value: impl Into<Bytes>) -> Result<(), ClerkError> {
        self.write(key, WriteOp::Append, value.into())
    }

    /// Returns the random number that identifies this clerk.
    pub fn client(&self) -> u64 {
        self.client
    }

    fn write(&mut self, key: &str, op: WriteOp, value: Bytes) -> Result<(), ClerkError> {
        self.seq += 1;
        let request = ClientRequest::Write { client: self.client, seq: self.seq, key: key.to_string(), op, value };
        match self.execute(&request)? {
            ClientReply::Written => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Tries one server after the other, and begins with the last one that replied.
    fn execute(&mut self, request: &ClientRequest) -> Result<ClientReply, ClerkError> {
        let deadline = self.settings.deadline.map(|deadline| Instant::now() + deadline);
        let mut failed_attempts = 0;
        loop {
            let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            let address = self.servers[self.current].address.clone();
            let mut is_busy = false;
            let (hint, why) = match self.call_current(request, self.settings.server_timeout.min(left)) {
                Ok(ClientReply::NotLeader { leader_addr, .. }) => (leader_addr, "it does not lead".to_string()),
                Ok(ClientReply::Busy) => {
                    is_busy = true;
                    (None, "it is busy".into())
                }
                Ok(ClientReply::OutcomeUnknown) => (None, "it dropped the request".into()),
                Ok(ClientReply::Refused(reason)) => return Err(ClerkError::Refused(reason)),
                Ok(reply) => return Ok(reply),
                Err(CallFailure::NotSent(reason)) => return Err(ClerkError::Refused(reason)),
                Err(CallFailure::OutcomeUnknown(why)) => (None, why),
            };
            failed_attempts += 1;
            match hint {
                Some(hint) if hint != address && self.may_follow(&hint) => self.follow(&hint),
                // A busy server is probably the leader. The clerk tries it again after the backoff.
                _ if is_busy => {}
                _ => self.current = (self.current + 1) % self.servers.len(),
            }
            // A clerk that follows hints backs off too, because two servers may name each other.
            let backs_off = is_busy || failed_attempts % self.servers.len() == 0;
            let backoff = if backs_off { self.settings.backoff } else { Duration::ZERO };
            if deadline.is_some_and(|at| Instant::now() + backoff >= at) {
                return Err(ClerkError::GaveUp { last: format!("{address}: {why}") });
            }
            thread::sleep(backoff);
        }
    }

    fn may_follow(&self, address: &str) -> bool {
        self.settings.follow_unlisted || self.servers[..self.listed].iter().any(|server| server.address == address)
    }

    /// Makes the server at `address` the next one to use.
    fn follow(&mut self, address: &str) {
        let known = self.servers.iter().position(|server| server.address == address);
        self.current = known.unwrap_or_else(|| {
            self.servers.truncate(self.listed);
            self.servers.push(Server { address: address.to_string(), connection: None });
            self.listed
        });
    }

    fn call_current(&mut self, request: &ClientRequest, server_timeout: Duration) -> Result<ClientReply, CallFailure> {
        let limits = self.settings.limits;
        let (connect, handshake) = (limits.connect.min(server_timeout), limits.handshake.min(server_timeout));
        let limits = Limits { connect, handshake, ..limits };
        let server = &mut self.servers[self.current];
        if server.connection.as_ref().is_none_or(|connection| connection.ended().is_some()) {
            let connection = Connection::open(&server.address, &limits);
            server.connection =
                Some(connection.map_err(|error: WireError| CallFailure::OutcomeUnknown(error.to_string()))?);
        }
        let connection = server.connection.as_ref().expect("the connection was opened above");
        connection.call(request.clone(), server_timeout).map_err(|error| match error {
            CallError::TooLong { .. } => CallFailure::NotSent(error.to_string()),
            CallError::Ended(_) | CallError::TimedOut => {
                // A new connection may work better than one without replies.
                server.connection = None;
                CallFailure::OutcomeUnknown(error.to_string())
            }
        })
    }
}

/// Failure of a call to one server.
enum CallFailure {
    /// The request cannot be sent to any server.
    NotSent(String),
    /// The request may or may not have been executed.
    OutcomeUnknown(String),
}

fn unexpected(reply: &ClientReply) -> ClerkError {
    ClerkError::Refused(format!("the server sent an unexpected reply: {reply:?}"))
}

impl fmt::Display for ClerkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClerkError::GaveUp { last } => write!(f, "no server replied in time; the last one, {last}"),
            ClerkError::Refused(reason) => write!(f, "refused: {reason}"),
        }
    }
}

impl std::error::Error for ClerkError {}
