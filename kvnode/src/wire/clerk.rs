//! The client: it finds the leader among the servers, and asks until it has a definite answer or no more time.
//!
//! A write keeps its number however often it is sent, to whichever server, so that it is executed once. When a clerk gives
//! a write up, nobody knows whether it was or will be executed; the next one has the next number, and once that is executed the
//! old one cannot be any more.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::TryRng;
use rand::rngs::SysRng;

use super::connection::{CallError, Connection};
use super::messages::{ClientReply, ClientRequest, WriteOp};
use super::{Limits, WireError};

/// Client ids are below this, as in the lab: random ones, so that no two clients have the same.
const CLIENT_IDS: u64 = 1 << 62;

/// How a clerk asks.
#[derive(Clone, Copy, Debug)]
pub struct ClerkSettings {
    /// How long an operation may take as a whole; `None` if the clerk never gives up.
    pub deadline: Option<Duration>,
    /// How long one server may take to answer before another one is asked.
    pub patience: Duration,
    /// How long the clerk rests after all servers were asked in vain: there is no leader, and to find one takes an election.
    pub rest: Duration,
    /// Whether to ask a server that it was not told of, where another server says that it leads.
    pub follow_strangers: bool,
    /// The limits of its connections.
    pub limits: Limits,
}

impl Default for ClerkSettings {
    fn default() -> ClerkSettings {
        ClerkSettings {
            deadline: None,
            patience: Duration::from_secs(1),
            rest: Duration::from_millis(20),
            follow_strangers: true,
            limits: Limits { connect: Duration::from_secs(1), ..Limits::default() },
        }
    }
}

/// A client of the service. It has one operation under way at a time.
#[derive(Debug)]
pub struct Clerk {
    /// Where servers are: those it was told of, and behind them one that another server named.
    servers: Vec<Server>,
    /// How many of them it was told of.
    told: usize,
    /// The place of the one to ask next.
    leader: usize,
    client: u64,
    seq: u64,
    settings: ClerkSettings,
}

#[derive(Debug)]
struct Server {
    address: String,
    connection: Option<Connection>,
}

/// Why an operation has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClerkError {
    /// It took too long. A write may be executed all the same, now or later.
    GaveUp {
        /// What it came to at the servers that were asked last, by address: one line for people.
        last: String,
    },
    /// A server will not do it and never will, or it cannot be sent; with the reason. It was not executed.
    Refused(String),
}

impl Clerk {
    /// A clerk for the servers at these addresses, in any order. It connects when it has something to ask.
    ///
    /// # Panics
    ///
    /// If there are none, or if the operating system has no random numbers.
    pub fn new(addresses: impl IntoIterator<Item = String>, settings: ClerkSettings) -> Clerk {
        let servers: Vec<Server> = addresses.into_iter().map(|address| Server { address, connection: None }).collect();
        assert!(!servers.is_empty(), "a clerk needs a server to ask");
        let client = SysRng.try_next_u64().expect("the operating system has random numbers") % CLIENT_IDS;
        Clerk { told: servers.len(), servers, leader: 0, client, seq: 0, settings }
    }

    /// The value of `key`; `None` if it was never written.
    ///
    /// # Errors
    ///
    /// If there is no answer in time, or never will be.
    pub fn get(&mut self, key: &str) -> Result<Option<Bytes>, ClerkError> {
        match self.ask(&ClientRequest::Get { key: key.to_string() })? {
            ClientReply::Value(value) => Ok(value),
            other => Err(unexpected(&other)),
        }
    }

    /// Replaces the value of `key`, once.
    ///
    /// # Errors
    ///
    /// If there is no answer in time (it may still happen), or never will be.
    pub fn put(&mut self, key: &str, value: impl Into<Bytes>) -> Result<(), ClerkError> {
        self.write(key, WriteOp::Put, value.into())
    }

    /// Adds `value` at the end of the value of `key`, once; acts as [`put`](Clerk::put) if there is none.
    ///
    /// # Errors
    ///
    /// If there is no answer in time (it may still happen), or never will be.
    pub fn append(&mut self, key: &str, value: impl Into<Bytes>) -> Result<(), ClerkError> {
        self.write(key, WriteOp::Append, value.into())
    }

    /// The random number by which the servers know this clerk.
    pub fn client(&self) -> u64 {
        self.client
    }

    fn write(&mut self, key: &str, op: WriteOp, value: Bytes) -> Result<(), ClerkError> {
        self.seq += 1;
        let request = ClientRequest::Write { client: self.client, seq: self.seq, key: key.to_string(), op, value };
        match self.ask(&request)? {
            ClientReply::Written => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks one server after the other, beginning with the one that answered last.
    fn ask(&mut self, request: &ClientRequest) -> Result<ClientReply, ClerkError> {
        let deadline = self.settings.deadline.map(|deadline| Instant::now() + deadline);
        let mut in_vain = 0;
        loop {
            let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            let address = self.servers[self.leader].address.clone();
            let mut is_busy = false;
            let (hint, why) = match self.ask_leader(request, self.settings.patience.min(left)) {
                Ok(ClientReply::NotLeader { leader_addr, .. }) => (leader_addr, "it does not lead".to_string()),
                Ok(ClientReply::Busy) => {
                    is_busy = true;
                    (None, "it is busy".into())
                }
                Ok(ClientReply::Unanswered) => (None, "it let go of the request".into()),
                Ok(ClientReply::Refused(reason)) => return Err(ClerkError::Refused(reason)),
                Ok(reply) => return Ok(reply),
                Err(Failure::NeverSent(reason)) => return Err(ClerkError::Refused(reason)),
                Err(Failure::Indefinite(why)) => (None, why),
            };
            in_vain += 1;
            match hint {
                Some(hint) if hint != address && self.may_follow(&hint) => self.follow(&hint),
                // Who is busy leads, as far as is known: the same server again, but not at once.
                _ if is_busy => {}
                _ => self.leader = (self.leader + 1) % self.servers.len(),
            }
            // Also who follows hints rests in time: two servers may each name the other.
            let rests = is_busy || in_vain % self.servers.len() == 0;
            let rest = if rests { self.settings.rest } else { Duration::ZERO };
            if deadline.is_some_and(|at| Instant::now() + rest >= at) {
                return Err(ClerkError::GaveUp { last: format!("{address}: {why}") });
            }
            thread::sleep(rest);
        }
    }

    fn may_follow(&self, address: &str) -> bool {
        self.settings.follow_strangers || self.servers[..self.told].iter().any(|server| server.address == address)
    }

    /// The next server to ask is the one at `address`.
    fn follow(&mut self, address: &str) {
        let known = self.servers.iter().position(|server| server.address == address);
        self.leader = known.unwrap_or_else(|| {
            self.servers.truncate(self.told);
            self.servers.push(Server { address: address.to_string(), connection: None });
            self.told
        });
    }

    fn ask_leader(&mut self, request: &ClientRequest, patience: Duration) -> Result<ClientReply, Failure> {
        let limits = self.settings.limits;
        let (connect, handshake) = (limits.connect.min(patience), limits.handshake.min(patience));
        let limits = Limits { connect, handshake, ..limits };
        let server = &mut self.servers[self.leader];
        if server.connection.as_ref().is_none_or(|connection| connection.ended().is_some()) {
            let connection = Connection::open(&server.address, &limits);
            server.connection = Some(connection.map_err(|error: WireError| Failure::Indefinite(error.to_string()))?);
        }
        let connection = server.connection.as_ref().expect("it was made just now");
        connection.call(request.clone(), patience).map_err(|error| match error {
            CallError::TooLong { .. } => Failure::NeverSent(error.to_string()),
            CallError::Ended(_) | CallError::TimedOut => {
                // Another connection may be better than one over which nothing comes.
                server.connection = None;
                Failure::Indefinite(error.to_string())
            }
        })
    }
}

/// Why one server has not answered.
enum Failure {
    /// The request cannot be sent to anybody.
    NeverSent(String),
    /// Perhaps it was executed, perhaps not.
    Indefinite(String),
}

fn unexpected(reply: &ClientReply) -> ClerkError {
    ClerkError::Refused(format!("the server answered with something else: {reply:?}"))
}

impl fmt::Display for ClerkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClerkError::GaveUp { last } => write!(f, "no server has answered in time; the last one, {last}"),
            ClerkError::Refused(reason) => write!(f, "refused: {reason}"),
        }
    }
}

impl std::error::Error for ClerkError {}
