//! The messages that wait for one peer: so many at most, and none while the peer is away. Putting one here never waits.

use std::mem;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::Limits;

/// A bounded queue with one reader, which takes all that there is at once.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Signalled when the reader has something to do.
    changed: Condvar,
    messages_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    messages: Vec<Bytes>,
    bytes: usize,
    dropped: u64,
    /// Messages are taken.
    open: bool,
    /// Why the connection under it has ended, if it has.
    broken: Option<String>,
    stopped: bool,
}

/// What the reader of a queue finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Messages(Vec<Bytes>),
    /// It is as late as the reader wanted to wait, and there is nothing.
    Nothing,
    /// The connection has ended, for this reason.
    Broken(String),
    /// No more is wanted.
    Stopped,
}

impl Queue {
    /// Closed at first.
    pub(crate) fn new(limits: &Limits) -> Queue {
        Queue {
            state: Mutex::default(),
            changed: Condvar::new(),
            messages_max: limits.queued_messages,
            bytes_max: limits.queued_bytes,
        }
    }

    /// Puts `message` at the end, or drops it if there is no room or nobody to take it; `false` then.
    pub(crate) fn push(&self, message: Bytes) -> bool {
        let mut state = self.state.lock();
        let is_full = state.messages.len() >= self.messages_max
            || (!state.messages.is_empty() && state.bytes + message.len() > self.bytes_max);
        if !state.open || is_full {
            state.dropped += 1;
            return false;
        }
        state.bytes += message.len();
        state.messages.push(message);
        if state.messages.len() == 1 {
            self.changed.notify_one();
        }
        true
    }

    /// Messages are taken from now on.
    pub(crate) fn open(&self) {
        self.state.lock().open = true;
    }

    /// No more messages are taken, and those that wait are dropped: when the peer is back, they say nothing new. Nobody
    /// may call [`break_off`](Queue::break_off) for this connection any more.
    pub(crate) fn shut(&self) {
        let mut state = self.state.lock();
        state.open = false;
        state.broken = None;
        state.dropped += mem::take(&mut state.messages).len() as u64;
        state.bytes = 0;
    }

    /// Tells the reader that the connection has ended.
    pub(crate) fn break_off(&self, why: String) {
        self.state.lock().broken.get_or_insert(why);
        self.changed.notify_one();
    }

    /// Tells the reader to end.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_one();
    }

    /// Waits until `at` for something to do.
    pub(crate) fn wait(&self, at: Instant) -> Found {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return Found::Stopped;
            }
            if let Some(why) = state.broken.take() {
                return Found::Broken(why);
            }
            if !state.messages.is_empty() {
                state.bytes = 0;
                return Found::Messages(mem::take(&mut state.messages));
            }
            if Instant::now() >= at {
                return Found::Nothing;
            }
            self.changed.wait_until(&mut state, at);
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state.lock().open
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state.lock().stopped
    }

    /// How many messages were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.state.lock().dropped
    }
}
