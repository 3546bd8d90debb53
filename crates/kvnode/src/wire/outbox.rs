//! The replies that wait to be sent to one client. A handler adds a reply here without blocking. The connection's
//! writer thread takes all waiting replies and writes them at once. The connection's reader thread waits here while too
//! many requests are in flight.

use std::mem;

use parking_lot::{Condvar, Mutex};

use super::messages::{ClientReply, ServerMessage};

/// The waiting replies of one connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Signalled when there is a reply to write, or no more will come.
    filled: Condvar,
    /// Signalled when fewer requests are in flight, or the connection ends.
    drained: Condvar,
    in_flight_max: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<ServerMessage>,
    /// The number of requests that were read and whose replies are not written yet.
    in_flight: usize,
    /// The outbox accepts no more replies. Waiting replies are still written.
    closed: bool,
}

impl Outbox {
    /// Creates the outbox of a connection that may have `in_flight_max` requests in flight.
    pub(crate) fn new(in_flight_max: usize) -> Outbox {
        Outbox { state: Mutex::default(), filled: Condvar::new(), drained: Condvar::new(), in_flight_max }
    }

    /// Admits a request that was read. Waits until fewer than the limit are in flight. Returns `false` if the
    /// connection has ended.
    pub(crate) fn admit(&self) -> bool {
        let mut state = self.state.lock();
        while state.in_flight >= self.in_flight_max && !state.closed {
            self.drained.wait(&mut state);
        }
        state.in_flight += 1;
        !state.closed
    }

    /// Returns whether requests are in flight.
    pub(crate) fn has_requests_in_flight(&self) -> bool {
        self.state.lock().in_flight > 0
    }

    /// Adds the reply to request `id`.
    pub(crate) fn reply(&self, id: u64, reply: ClientReply) {
        let mut state = self.state.lock();
        if !state.closed {
            state.waiting.push(ServerMessage::Reply { id, reply });
            self.filled.notify_one();
        }
    }

    /// Ends the connection. If `last` is given, it is sent to the client as the reason.
    pub(crate) fn close(&self, last: Option<String>) {
        let mut state = self.state.lock();
        if !mem::replace(&mut state.closed, true) {
            state.waiting.extend(last.map(ServerMessage::Closing));
        }
        self.filled.notify_one();
        self.drained.notify_one();
    }

    /// Waits for replies and takes them; `None` when no more will come.
    pub(crate) fn take(&self) -> Option<Vec<ServerMessage>> {
        let mut state = self.state.lock();
        while state.waiting.is_empty() && !state.closed {
            self.filled.wait(&mut state);
        }
        if state.waiting.is_empty() { None } else { Some(mem::take(&mut state.waiting)) }
    }

    /// Records that so many replies were written.
    pub(crate) fn mark_written(&self, replies: usize) {
        let mut state = self.state.lock();
        state.in_flight = state.in_flight.saturating_sub(replies);
        self.drained.notify_one();
    }
}
