//! Control of single messages by a test. An interceptor sees every message that the network is about to carry. It may
//! drop the message, delay it, or hold it until the test releases it. A test reorders two messages by holding both and
//! releasing them in the other order.

use std::collections::BTreeMap;
use std::fmt;

use labgob::DecodeError;
use labstd::sync::{Arc, Mutex};
use labstd::time::Duration;
use record::Loss;
use serde::de::DeserializeOwned;

use crate::Name;
use crate::payload::Payload;
use crate::reply_slot::{CallOutcome, ReplySlot};

/// The direction of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the caller to the server.
    Request,
    /// From the server back to the caller.
    Reply,
}

/// A message that the network is about to carry.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The number of the call, from 1, unique within the network; a request and its reply share it.
    pub call: u64,
    /// The direction of the message.
    pub direction: Direction,
    /// The caller's end.
    pub end: &'a Name,
    /// The server of the call.
    pub server: &'a Name,
    /// Service and method, such as `Raft.AppendEntries`.
    pub method: &'a str,
    /// The encoded arguments or reply.
    pub bytes: &'a [u8],
}

impl Message<'_> {
    /// Decodes the arguments or the reply.
    ///
    /// # Errors
    ///
    /// If the message does not contain a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        labgob::decode(self.bytes)
    }
}

/// The decision of an interceptor about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The network carries the message as it would without an interceptor.
    Pass,
    /// The message is lost and the call fails at once. If the message is a reply, the handler has run.
    Drop,
    /// The message takes this much longer.
    Delay(Duration),
    /// The message waits until the test [releases](Held::release) or [drops](Held::drop) it.
    Hold,
}

/// A test's function that decides about each message.
pub(crate) type Interceptor = Arc<dyn Fn(&Message<'_>) -> Verdict + Send + Sync>;

/// A held message, as [`Network::held`](crate::Network::held) lists it.
#[derive(Clone)]
pub struct Held {
    number: u64,
    held_messages: Arc<HeldMessages>,
    message: OwnedMessage,
}

/// A [`Message`] that owns its content.
#[derive(Clone)]
struct OwnedMessage {
    call: u64,
    direction: Direction,
    end: Name,
    server: Name,
    method: Arc<str>,
    bytes: Payload,
}

impl Held {
    /// The message.
    pub fn message(&self) -> Message<'_> {
        let OwnedMessage { call, direction, end, server, method, bytes } = &self.message;
        Message { call: *call, direction: *direction, end, server, method, bytes }
    }

    /// Lets the message continue. A released reply is delivered even if its server is gone by now, like a reply that
    /// long reordering delays. Returns `false` if the message is no longer held, because it was released or dropped
    /// before or its call has ended.
    pub fn release(self) -> bool {
        self.held_messages.finish(self.number, Ok(Payload::EMPTY))
    }

    /// Drops the message; its call fails at once. Returns `false` if the message is no longer held.
    pub fn drop(self) -> bool {
        self.held_messages.finish(self.number, Err(Loss::Intercepted))
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.message()).finish()
    }
}

/// The held messages, in the order of their arrival.
#[derive(Default)]
pub(crate) struct HeldMessages(Mutex<State>);

#[derive(Default)]
struct State {
    /// No further message can be held.
    closed: bool,
    next: u64,
    messages: BTreeMap<u64, (OwnedMessage, Arc<ReplySlot>)>,
}

impl HeldMessages {
    /// Holds a message whose call waits for the outcome in `slot`. Returns the number of the held message.
    pub(crate) fn hold(&self, message: &Message<'_>, bytes: &Payload, slot: Arc<ReplySlot>) -> Result<u64, Loss> {
        let owned = OwnedMessage {
            call: message.call,
            direction: message.direction,
            end: message.end.clone(),
            server: message.server.clone(),
            method: message.method.into(),
            bytes: bytes.clone(),
        };
        let mut state = self.0.lock();
        if state.closed {
            return Err(Loss::NetworkGone);
        }
        state.next += 1;
        let number = state.next;
        state.messages.insert(number, (owned, slot));
        Ok(number)
    }

    /// Removes a message whose call no longer waits for it.
    pub(crate) fn forget(&self, number: u64) {
        self.0.lock().messages.remove(&number);
    }

    /// Returns all messages that are held now, in the order of their arrival.
    pub(crate) fn list(self: &Arc<HeldMessages>) -> Vec<Held> {
        let state = self.0.lock();
        let held = |(number, (message, _)): (&u64, &(OwnedMessage, _))| Held {
            number: *number,
            held_messages: Arc::clone(self),
            message: message.clone(),
        };
        state.messages.iter().map(held).collect()
    }

    /// Takes the network down: the calls of all held messages fail.
    pub(crate) fn close(&self) {
        let messages = {
            let mut state = self.0.lock();
            state.closed = true;
            std::mem::take(&mut state.messages)
        };
        for (_, slot) in messages.into_values() {
            slot.put(Err(Loss::NetworkGone));
        }
    }

    fn finish(&self, number: u64, outcome: CallOutcome) -> bool {
        let held = self.0.lock().messages.remove(&number);
        // If the call was abandoned at this very moment, no thread reads the outcome.
        held.is_some_and(|(_, slot)| slot.put(outcome))
    }
}
