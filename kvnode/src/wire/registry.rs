//! The connections that a listener has: how many of which kind, and how they are ended.

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use raftapi::ServerId;

use super::Limits;
use super::hello::Purpose;
use super::outbox::Outbox;

/// All open connections of a listener.
#[derive(Debug)]
pub(crate) struct Registry {
    state: Mutex<State>,
    /// Signalled when a connection's thread is about to end.
    left: Condvar,
    limits: Limits,
    total: usize,
}

#[derive(Debug, Default)]
struct State {
    stopping: bool,
    next: u64,
    /// By a number that counts up: the first is the oldest.
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    stream: Arc<TcpStream>,
    address: SocketAddr,
    stage: Stage,
    /// Of a client: its reader may wait there.
    outbox: Option<Arc<Outbox>>,
}

/// What a connection has come to.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Handshake,
    Client,
    Server(ServerId, Purpose),
    /// Its socket is shut down, and its thread about to notice.
    Told,
}

impl Registry {
    /// For a server of a cluster of `servers`.
    pub(crate) fn new(limits: Limits, servers: usize) -> Registry {
        Registry { state: Mutex::default(), left: Condvar::new(), total: limits.connections(servers), limits }
    }

    /// A connection was accepted. `None` if it cannot be taken: there are too many, or the listener stops.
    pub(crate) fn enter(self: &Arc<Registry>, stream: Arc<TcpStream>, address: SocketAddr) -> Option<Ticket> {
        let mut state = self.state.lock();
        if state.stopping {
            return None;
        }
        if state.open.len() >= self.total {
            log::warn!("{address} is turned away: there are {} connections", self.total);
            return None;
        }
        if state.count(|stage| *stage == Stage::Handshake) >= self.limits.handshakes {
            state.tell_oldest(|stage| *stage == Stage::Handshake, "too many others are in their handshake");
        }
        let number = state.next;
        state.next += 1;
        state.open.insert(number, Open { stream, address, stage: Stage::Handshake, outbox: None });
        Some(Ticket { registry: Arc::clone(self), number })
    }

    /// Takes no more connections, and ends those that there are.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        for open in state.open.values() {
            let _ = open.stream.shutdown(Shutdown::Both);
            if let Some(outbox) = &open.outbox {
                outbox.close(None);
            }
        }
    }

    /// Whether [`stop`](Registry::stop) was called.
    pub(crate) fn is_stopping(&self) -> bool {
        self.state.lock().stopping
    }

    /// Waits until no connection is left, for as long as `patience`; how many are left.
    pub(crate) fn wait_until_empty(&self, patience: Duration) -> usize {
        let deadline = Instant::now() + patience;
        let mut state = self.state.lock();
        while !state.open.is_empty() && !self.left.wait_until(&mut state, deadline).timed_out() {}
        state.open.len()
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().open.len()
    }
}

impl State {
    fn count(&self, of: impl Fn(&Stage) -> bool) -> usize {
        self.open.values().filter(|open| of(&open.stage)).count()
    }

    /// Ends the oldest connection of a kind, if there is one.
    fn tell_oldest(&mut self, of: impl Fn(&Stage) -> bool, why: &str) {
        if let Some(open) = self.open.values_mut().find(|open| of(&open.stage)) {
            log::warn!("{}: ended: {why}", open.address);
            open.stage = Stage::Told;
            let _ = open.stream.shutdown(Shutdown::Both);
        }
    }
}

/// A connection's place among the others, for as long as its thread has it.
#[derive(Debug)]
pub(crate) struct Ticket {
    registry: Arc<Registry>,
    number: u64,
}

impl Ticket {
    /// The connection is a client's, whose replies go into `outbox`.
    ///
    /// # Errors
    ///
    /// If there are too many of them.
    pub(crate) fn become_client(&self, outbox: &Arc<Outbox>) -> Result<(), String> {
        let most = self.registry.limits.clients;
        let mut state = self.registry.state.lock();
        if state.count(|stage| *stage == Stage::Client) >= most {
            return Err(format!("there are {most} clients, and no more are let in"));
        }
        state.set(self.number, Stage::Client);
        if state.stopping {
            outbox.close(None);
        } else if let Some(open) = state.open.get_mut(&self.number) {
            open.outbox = Some(Arc::clone(outbox));
        }
        Ok(())
    }

    /// The connection is server `from`'s, which has proved it. An earlier one that it had for the same purpose is ended: it
    /// has given that up, or would not have made another.
    pub(crate) fn become_server(&self, from: ServerId, purpose: Purpose) {
        let mut state = self.registry.state.lock();
        state.tell_oldest(|stage| *stage == Stage::Server(from, purpose), "the same server has connected again");
        state.set(self.number, Stage::Server(from, purpose));
    }
}

impl State {
    /// A connection comes to another stage, unless it was told to go.
    fn set(&mut self, number: u64, stage: Stage) {
        if let Some(open) = self.open.get_mut(&number)
            && open.stage != Stage::Told
        {
            open.stage = stage;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.registry.state.lock();
        state.open.remove(&self.number);
        self.registry.left.notify_all();
    }
}
