//! The greetings that two servers exchange before their first message, and the envelopes of the messages that follow.

use std::sync::mpsc::SyncSender;

use bytes::Bytes;
use raft::rawnode::Message;
use raftapi::{Index, ServerId, Term};
use serde::{Deserialize, Serialize};

use crate::storage::{Incarnation, Standing};

/// The greeting of one server to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Greeting {
    pub(super) from: ServerId,
    /// The addresses of all servers, as this server was started with them.
    pub(super) peers: Vec<String>,
    /// The cluster's id, if the server has joined one.
    pub(super) cluster: Option<u128>,
    pub(super) incarnation: Incarnation,
    /// The number of durable commits that the server's directory had when it was opened. The number grows while the
    /// server runs, also in an older copy, so only this one can be compared.
    pub(super) saves_at_start: u64,
    pub(super) standing: Standing,
    /// The random number of the known directory of each server, the sender's included.
    pub(super) directories: Vec<Option<u64>>,
    pub(super) term: Term,
    pub(super) commit: Index,
}

/// The answer to a greeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The other server is admitted.
    Admitted(Greeting),
    /// The other server is not admitted, for this reason.
    Refused(String),
    /// The other server has lost data that it had acknowledged, and must stop, unless it knows that the server that
    /// says so has lost data itself.
    HasLostData {
        /// One line.
        reason: String,
        /// The greeting of the server that says so.
        by: Greeting,
    },
}

/// The reason why two servers do not connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// One line.
    pub(super) reason: String,
    /// Whether the refused server must stop, because it has lost data that it had acknowledged.
    pub(super) must_stop: bool,
}

/// A message from one server to another, with the incarnations of both. A message of another incarnation is discarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Envelope {
    /// The random number of the sender's start.
    pub(super) from_run: u64,
    /// The random number of the last start of the receiver that the sender knows.
    pub(super) to_run: u64,
    /// The number of durable commits of the sender.
    pub(super) saves: u64,
    pub(super) message: Message,
}

/// A request to the loop about greetings.
#[derive(Debug)]
pub(super) enum GreetingEvent {
    /// Write a greeting.
    Write(SyncSender<Bytes>),
    /// Judge a greeting, and answer it.
    Answer(Greeting, SyncSender<Answer>),
    /// Judge the answer to a greeting of this server.
    Accept(ServerId, Answer, SyncSender<Result<(), String>>),
}

impl Refusal {
    /// Creates the refusal of a server that may come back.
    pub(super) fn now(reason: impl Into<String>) -> Refusal {
        Refusal { reason: reason.into(), must_stop: false }
    }

    /// Creates the refusal of a server that has lost data.
    pub(super) fn of_lost_data(reason: impl Into<String>) -> Refusal {
        Refusal { reason: reason.into(), must_stop: true }
    }
}
