//! The queue of messages for one peer. It is bounded, and empty while the peer is unreachable. Adding a message never
//! blocks.

use std::mem;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::Limits;

/// A bounded queue with one reader, which takes all messages at once.
#[derive(Debug)]
pub(crate) struct MessageQueue {
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
    /// Whether the queue accepts messages.
    open: bool,
    /// The reason why the connection has ended, if it has.
    connection_error: Option<String>,
    stopped: bool,
}

/// The result of waiting on a queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum QueueEvent {
    Messages(Vec<Bytes>),
    /// The deadline has passed, and there are no messages.
    TimedOut,
    /// The connection has ended, for this reason.
    ConnectionLost(String),
    /// The queue was stopped.
    Stopped,
}

impl MessageQueue {
    /// Creates a queue that is closed.
    pub(crate) fn new(limits: &Limits) -> MessageQueue {
        MessageQueue {
            state: Mutex::default(),
            changed: Condvar::new(),
            messages_max: limits.queued_messages,
            bytes_max: limits.queued_bytes,
        }
    }

    /// Appends `message`. If the queue is full or closed, it drops the message and returns `false`.
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

    /// Opens the queue for messages.
    pub(crate) fn open(&self) {
        self.state.lock().open = true;
    }

    /// Closes the queue and drops the waiting messages, which are outdated when the peer returns. After this call,
    /// [`connection_lost`](MessageQueue::connection_lost) must not be called for the same connection.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.open = false;
        state.connection_error = None;
        state.dropped += mem::take(&mut state.messages).len() as u64;
        state.bytes = 0;
    }

    /// Tells the reader that the connection has ended.
    pub(crate) fn connection_lost(&self, why: String) {
        self.state.lock().connection_error.get_or_insert(why);
        self.changed.notify_one();
    }

    /// Tells the reader to end.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_one();
    }

    /// Waits for messages or another event, at most until `at`.
    pub(crate) fn wait(&self, at: Instant) -> QueueEvent {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return QueueEvent::Stopped;
            }
            if let Some(why) = state.connection_error.take() {
                return QueueEvent::ConnectionLost(why);
            }
            if !state.messages.is_empty() {
                state.bytes = 0;
                return QueueEvent::Messages(mem::take(&mut state.messages));
            }
            if Instant::now() >= at {
                return QueueEvent::TimedOut;
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

    /// Returns the number of dropped messages.
    pub(crate) fn dropped(&self) -> u64 {
        self.state.lock().dropped
    }
}
