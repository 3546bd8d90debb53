//! Taking single messages out of the network's hands: a test's interceptor sees every message that the network is about
//! to carry and may lose it, delay it, or hold it until the test lets it go. With two held messages let go in the other
//! order, a test reorders.

use std::collections::BTreeMap;
use std::fmt;

use labgob::DecodeError;
use labstd::sync::{Arc, Mutex};
use labstd::time::Duration;
use serde::de::DeserializeOwned;

use crate::Name;
use crate::end::News;
use crate::letterbox::Letterbox;
use crate::packet::Packet;
use crate::trace::Loss;

/// Which way a message goes.
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
    /// Which way it goes.
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
    /// The arguments or the reply.
    ///
    /// # Errors
    ///
    /// If the message does not hold a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        labgob::decode(self.bytes)
    }
}

/// What is to become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The network carries it as it would have.
    Pass,
    /// It is lost: the call fails at once. If it is a reply, the handler has run.
    Drop,
    /// It takes this much longer.
    Delay(Duration),
    /// It waits until it is [released](Held::release) or [dropped](Held::drop).
    Hold,
}

/// A test's decision about each message.
pub(crate) type Interceptor = Arc<dyn Fn(&Message<'_>) -> Verdict + Send + Sync>;

/// A message that is being held. Listed by [`Network::held`](crate::Network::held).
#[derive(Clone)]
pub struct Held {
    number: u64,
    holds: Arc<Holds>,
    message: Stored,
}

/// A [`Message`] that owns what it says.
#[derive(Clone)]
struct Stored {
    call: u64,
    direction: Direction,
    end: Name,
    server: Name,
    method: Arc<str>,
    bytes: Packet,
}

impl Held {
    /// What is held.
    pub fn message(&self) -> Message<'_> {
        let Stored { call, direction, end, server, method, bytes } = &self.message;
        Message { call: *call, direction: *direction, end, server, method, bytes }
    }

    /// Lets the message go on its way. A reply is then delivered even if its server is gone by now, as a reply that was
    /// held back by long reordering is. `false` if the message is no longer held: somebody was faster, or its call
    /// ended.
    pub fn release(self) -> bool {
        self.holds.end(self.number, Ok(Packet::EMPTY))
    }

    /// Loses the message: its call fails at once. `false` if it is no longer held.
    pub fn drop(self) -> bool {
        self.holds.end(self.number, Err(Loss::Intercepted))
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.message()).finish()
    }
}

/// The messages that are being held, in the order in which they came.
#[derive(Default)]
pub(crate) struct Holds(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Nothing can be held any more.
    closed: bool,
    next: u64,
    messages: BTreeMap<u64, (Stored, Arc<Letterbox>)>,
}

impl Holds {
    /// Holds a message; its call waits for what comes into `letterbox`. Returns the number under which it is held.
    pub(crate) fn hold(&self, message: &Message<'_>, bytes: &Packet, letterbox: Arc<Letterbox>) -> Result<u64, Loss> {
        let stored = Stored {
            call: message.call,
            direction: message.direction,
            end: message.end.clone(),
            server: message.server.clone(),
            method: message.method.into(),
            bytes: bytes.clone(),
        };
        let mut kept = self.0.lock();
        if kept.closed {
            return Err(Loss::NetworkGone);
        }
        kept.next += 1;
        let number = kept.next;
        kept.messages.insert(number, (stored, letterbox));
        Ok(number)
    }

    /// The message's call does not wait for it any more.
    pub(crate) fn forget(&self, number: u64) {
        self.0.lock().messages.remove(&number);
    }

    /// All that are held now, in the order in which they came.
    pub(crate) fn list(self: &Arc<Holds>) -> Vec<Held> {
        let kept = self.0.lock();
        let held = |(number, (message, _)): (&u64, &(Stored, _))| Held {
            number: *number,
            holds: Arc::clone(self),
            message: message.clone(),
        };
        kept.messages.iter().map(held).collect()
    }

    /// The network goes down: the calls of all held messages fail.
    pub(crate) fn close(&self) {
        let messages = {
            let mut kept = self.0.lock();
            kept.closed = true;
            std::mem::take(&mut kept.messages)
        };
        for (_, letterbox) in messages.into_values() {
            letterbox.put(Err(Loss::NetworkGone));
        }
    }

    fn end(&self, number: u64, outcome: News) -> bool {
        let held = self.0.lock().messages.remove(&number);
        // The call may have been abandoned in this very moment; then nobody reads the news.
        held.is_some_and(|(_, letterbox)| letterbox.put(outcome))
    }
}
