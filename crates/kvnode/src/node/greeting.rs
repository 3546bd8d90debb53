//! What two servers tell each other before their first message, the messages that follow, and the way to the loop, which
//! alone writes and judges greetings.

use std::fmt;
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use bytes::Bytes;
use raft::rawnode::Message;
use raftapi::{Index, ServerId, Term};
use serde::{Deserialize, Serialize};

use super::event::Event;
use crate::storage::{Incarnation, Standing};
use crate::wire::Greeter;

/// Time limit for the loop to handle a greeting. It includes a sync of the disk. The limit of the whole handshake is a
/// little longer.
const TIMEOUT: Duration = Duration::from_secs(4);

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
    /// The other server is not admitted.
    Refused(Refusal),
}

/// The reason why two servers do not connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Passes greetings to the loop and waits for its answers.
pub(super) struct LoopGreeter {
    pub(super) events: SyncSender<Event>,
}

impl LoopGreeter {
    fn ask<T>(&self, event: impl FnOnce(SyncSender<T>) -> GreetingEvent) -> Result<T, String> {
        let (reply, receiver) = mpsc::sync_channel(1);
        let stopping = |_| "this server is stopping".to_string();
        self.events.send(Event::Greeting(event(reply))).map_err(|_| stopping(()))?;
        receiver.recv_timeout(TIMEOUT).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => format!("this server is busy for more than {TIMEOUT:?}"),
            mpsc::RecvTimeoutError::Disconnected => stopping(()),
        })
    }
}

impl Greeter for LoopGreeter {
    fn greeting(&self, _to: ServerId) -> Result<Bytes, String> {
        self.ask(GreetingEvent::Write)
    }

    fn answer(&self, from: ServerId, greeting: &Bytes) -> (Bytes, Result<(), String>) {
        let greeting = labgob::decode::<Greeting>(greeting).map_err(|error| error.to_string());
        let greeting = greeting.and_then(|greeting| {
            if greeting.from == from { Ok(greeting) } else { Err(format!("its greeting is of {}", greeting.from)) }
        });
        let answer = greeting.and_then(|greeting| self.ask(|reply| GreetingEvent::Answer(greeting, reply)));
        let answer = answer.unwrap_or_else(|reason| Answer::Refused(Refusal { reason, must_stop: false }));
        let admitted = match &answer {
            Answer::Admitted(_) => Ok(()),
            Answer::Refused(refusal) => Err(refusal.reason.clone()),
        };
        (labgob::encode(&answer), admitted)
    }

    fn accept(&self, to: ServerId, answer: &Bytes) -> Result<(), String> {
        let answer = labgob::decode::<Answer>(answer).map_err(|error| error.to_string())?;
        self.ask(|reply| GreetingEvent::Accept(to, answer, reply))?
    }
}

impl fmt::Debug for LoopGreeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoopGreeter")
    }
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
