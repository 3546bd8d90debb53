//! The open connections of a listener: their kinds, their limits, and their end.

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use raftapi::ServerId;

use super::Limits;
use super::hello::Purpose;
use super::outbox::Outbox;
use super::warnings::Warnings;

/// All open connections of a listener.
#[derive(Debug)]
pub(crate) struct Registry {
    state: Mutex<State>,
    /// Signalled when a connection's thread is about to end.
    removed: Condvar,
    limits: Limits,
    warnings: Arc<Warnings>,
    connections_max: usize,
}

#[derive(Debug, Default)]
struct State {
    stopping: bool,
    next_number: u64,
    /// By ascending number: the first is the oldest.
    open: BTreeMap<u64, OpenConnection>,
}

#[derive(Debug)]
struct OpenConnection {
    stream: Arc<TcpStream>,
    address: SocketAddr,
    stage: Stage,
    /// The outbox of a client, on which the connection's reader may wait.
    outbox: Option<Arc<Outbox>>,
}

/// The stage of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Handshake,
    Client,
    Server(ServerId, Purpose),
    /// The socket is shut down, and the connection's thread is about to notice.
    Closing,
}

impl Registry {
    /// Creates the registry of a server in a cluster of `servers`.
    pub(crate) fn new(limits: Limits, servers: usize, warnings: Arc<Warnings>) -> Registry {
        Registry {
            state: Mutex::default(),
            removed: Condvar::new(),
            connections_max: limits.connections(servers),
            limits,
            warnings,
        }
    }

    /// Admits an accepted connection. Returns `None` if there are too many, or the listener stops.
    pub(crate) fn admit(self: &Arc<Registry>, stream: Arc<TcpStream>, address: SocketAddr) -> Option<ConnectionSlot> {
        let mut state = self.state.lock();
        if state.stopping {
            return None;
        }
        if state.open.len() >= self.connections_max {
            let warning = format_args!("{address}: refused: there are {} connections already", self.connections_max);
            self.warnings.warn(warning);
            return None;
        }
        if state.count(|stage| *stage == Stage::Handshake) >= self.limits.handshakes {
            let why = "too many connections are in their handshake";
            state.close_oldest(|stage| *stage == Stage::Handshake, why, &self.warnings);
        }
        let number = state.next_number;
        state.next_number += 1;
        state.open.insert(number, OpenConnection { stream, address, stage: Stage::Handshake, outbox: None });
        Some(ConnectionSlot { registry: Arc::clone(self), number })
    }

    /// Admits no more connections, and closes the open ones.
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

    /// Returns whether [`stop`](Registry::stop) was called.
    pub(crate) fn is_stopping(&self) -> bool {
        self.state.lock().stopping
    }

    /// Waits until no connection is left, at most for `timeout`. Returns the number of connections left.
    pub(crate) fn wait_until_empty(&self, timeout: Duration) -> usize {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock();
        while !state.open.is_empty() && !self.removed.wait_until(&mut state, deadline).timed_out() {}
        state.open.len()
    }

    /// Returns the number of connections.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().open.len()
    }
}

impl State {
    fn count(&self, of: impl Fn(&Stage) -> bool) -> usize {
        self.open.values().filter(|open| of(&open.stage)).count()
    }

    /// Closes the oldest connection in a matching stage, if there is one.
    fn close_oldest(&mut self, of: impl Fn(&Stage) -> bool, why: &str, warnings: &Warnings) {
        if let Some(open) = self.open.values_mut().find(|open| of(&open.stage)) {
            warnings.warn(format_args!("{}: ended: {why}", open.address));
            open.stage = Stage::Closing;
            let _ = open.stream.shutdown(Shutdown::Both);
        }
    }
}

/// The registration of a connection, which its thread holds. Dropping it removes the connection.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    registry: Arc<Registry>,
    number: u64,
}

impl ConnectionSlot {
    /// Registers the connection as a client's, whose replies go into `outbox`.
    ///
    /// # Errors
    ///
    /// If there are too many clients.
    pub(crate) fn become_client(&self, outbox: &Arc<Outbox>) -> Result<(), String> {
        let limit = self.registry.limits.clients;
        let mut state = self.registry.state.lock();
        if state.count(|stage| *stage == Stage::Client) >= limit {
            return Err(format!("there are {limit} clients already, which is the limit"));
        }
        state.set_stage(self.number, Stage::Client);
        if state.stopping {
            outbox.close(None);
        } else if let Some(open) = state.open.get_mut(&self.number) {
            open.outbox = Some(Arc::clone(outbox));
        }
        Ok(())
    }

    /// Registers the connection as that of the authenticated server `from`. An earlier connection of the same server
    /// for the same purpose is closed, because the server must have given it up.
    pub(crate) fn become_server(&self, from: ServerId, purpose: Purpose) {
        let mut state = self.registry.state.lock();
        let why = "the same server has connected again";
        state.close_oldest(|stage| *stage == Stage::Server(from, purpose), why, &self.registry.warnings);
        state.set_stage(self.number, Stage::Server(from, purpose));
    }
}

impl State {
    /// Sets the stage of a connection, unless it is closing.
    fn set_stage(&mut self, number: u64, stage: Stage) {
        if let Some(open) = self.open.get_mut(&number)
            && open.stage != Stage::Closing
        {
            open.stage = stage;
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut state = self.registry.state.lock();
        state.open.remove(&self.number);
        self.registry.removed.notify_all();
    }
}
