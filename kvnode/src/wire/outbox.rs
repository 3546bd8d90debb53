//! The replies that one client is still to get. Whoever answers puts a reply here and goes on; the connection's writer
//! thread takes what has gathered and writes it at once; the connection's reader waits here when too much is under way.

use std::mem;

use parking_lot::{Condvar, Mutex};

use super::messages::{ClientReply, FromServer};

/// The replies of one connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Signalled when there is something to write, or nothing more will come.
    filled: Condvar,
    /// Signalled when fewer requests are under way, or the connection ends.
    eased: Condvar,
    under_way_max: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<FromServer>,
    /// Requests that were read and whose replies are not written.
    under_way: usize,
    /// Nothing is taken any more. What waits is still written.
    closed: bool,
}

impl Outbox {
    /// For a connection that may have `under_way_max` requests under way.
    pub(crate) fn new(under_way_max: usize) -> Outbox {
        Outbox { state: Mutex::default(), filled: Condvar::new(), eased: Condvar::new(), under_way_max }
    }

    /// A request was read. Waits until it may be begun; `false` if the connection has ended.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        while state.under_way >= self.under_way_max && !state.closed {
            self.eased.wait(&mut state);
        }
        state.under_way += 1;
        !state.closed
    }

    /// Whether a request is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.state.lock().under_way > 0
    }

    /// The answer to request `id`.
    pub(crate) fn reply(&self, id: u64, reply: ClientReply) {
        let mut state = self.state.lock();
        if !state.closed {
            state.waiting.push(FromServer::Reply { id, reply });
            self.filled.notify_one();
        }
    }

    /// The connection ends; with `last`, the client is told why.
    pub(crate) fn close(&self, last: Option<String>) {
        let mut state = self.state.lock();
        if !mem::replace(&mut state.closed, true) {
            state.waiting.extend(last.map(FromServer::Bye));
        }
        self.filled.notify_one();
        self.eased.notify_one();
    }

    /// Waits for something to write, and takes it; `None` when nothing more will come.
    pub(crate) fn take(&self) -> Option<Vec<FromServer>> {
        let mut state = self.state.lock();
        while state.waiting.is_empty() && !state.closed {
            self.filled.wait(&mut state);
        }
        if state.waiting.is_empty() { None } else { Some(mem::take(&mut state.waiting)) }
    }

    /// So many replies were written.
    pub(crate) fn written(&self, replies: usize) {
        let mut state = self.state.lock();
        state.under_way = state.under_way.saturating_sub(replies);
        self.eased.notify_one();
    }
}
