//! The way of greetings from the connections to the loop, which alone writes and judges them.

use std::fmt;
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use bytes::Bytes;
use raftapi::ServerId;

use super::event::Event;
use super::greeting::{Answer, Greeting, GreetingEvent};
use crate::wire::Greeter;

/// Time limit for the loop to handle a greeting. It includes a sync of the disk. The limit of the whole handshake is a
/// little longer.
const TIMEOUT: Duration = Duration::from_secs(4);

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
        let answer = answer.unwrap_or_else(Answer::Refused);
        let admitted = match &answer {
            Answer::Admitted(_) => Ok(()),
            Answer::Refused(reason) | Answer::HasLostData { reason, .. } => Err(reason.clone()),
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
