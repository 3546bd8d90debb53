//! Hosting of servers of any kind: a network, and for each server a slot with its storage, which outlives the server,
//! and its current incarnation, if it is running. [`Cluster`](crate::Cluster) hosts plain Raft servers;
//! [`kv`](crate::kv) hosts key/value servers.
//!
//! - Start, crash and shutdown are in `lifecycle.rs`.
//! - Links between servers are in `links.rs`.

mod lifecycle;
mod links;

use labrpc::{Name, Network, Service};
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread::Group;
use raftapi::{Persister, ServerId};

/// One incarnation of a server, as its host uses it.
pub(crate) trait HostedServer: Send + Sync + 'static {
    /// Returns the RPC services of the server.
    fn services(&self) -> Vec<Service>;

    /// Asks the server to stop.
    fn kill(&self);
}

/// The servers of one run, and the network between them.
pub(crate) struct ServerHosts<S: HostedServer> {
    network: Network,
    slots: Mutex<Vec<HostSlot<S>>>,
    /// Whether the scenario is over, and the condition variable of the threads that wait for this.
    scenario_over: Mutex<bool>,
    scenario_over_changed: Condvar,
}

/// One server: its storage, and its current incarnation, if it is running.
struct HostSlot<S> {
    persister: Arc<Persister>,
    /// Whether it is one of the connected servers; see [`ServerHosts::connect`].
    connected: bool,
    incarnations: u32,
    running: Option<RunningServer<S>>,
}

/// A running incarnation of a server.
struct RunningServer<S> {
    server: Arc<S>,
    group: Group,
    ends: Vec<Name>,
}

impl<S: HostedServer> ServerHosts<S> {
    /// Creates slots for `servers` servers on `network`; no server is running.
    pub(crate) fn new(servers: usize, network: Network) -> Arc<ServerHosts<S>> {
        let slot =
            || HostSlot { persister: Arc::new(Persister::new()), connected: false, incarnations: 0, running: None };
        Arc::new(ServerHosts {
            network,
            slots: Mutex::new((0..servers).map(|_| slot()).collect()),
            scenario_over: Mutex::new(false),
            scenario_over_changed: Condvar::new(),
        })
    }

    /// Returns the number of servers, including stopped ones.
    pub(crate) fn len(&self) -> usize {
        self.slots.lock().len()
    }

    /// Returns all servers, in order.
    pub(crate) fn servers(&self) -> impl Iterator<Item = ServerId> + use<S> {
        (0..self.len()).map(ServerId)
    }

    /// Returns the network between the servers.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Returns whether the [fault cutoff](crate::fault_cutoff) has passed.
    pub(crate) fn faults_ended(&self) -> bool {
        self.network.is_calm()
    }

    /// Calls `server`, if it is running, as one of its own threads. Events that it records and threads that it starts
    /// meanwhile belong to it.
    pub(crate) fn call<T>(&self, server: ServerId, call: impl FnOnce(&S) -> T) -> Option<T> {
        let (running, group) = {
            let slots = self.slots.lock();
            let running = slots[server.0].running.as_ref()?;
            (Arc::clone(&running.server), running.group.clone())
        };
        Some(group.enter(|| call(&running)))
    }

    /// Returns whether `server` is running.
    pub(crate) fn is_running(&self, server: ServerId) -> bool {
        self.slots.lock()[server.0].running.is_some()
    }

    /// Returns the maximum of `size` over the storages of all servers, including crashed and disconnected ones.
    pub(crate) fn max_saved(&self, size: impl Fn(&Persister) -> usize) -> usize {
        let slots = self.slots.lock();
        slots.iter().map(|slot| size(&slot.persister)).max().unwrap_or(0)
    }
}

/// Returns the network's name of a server.
pub(crate) fn server_name(server: ServerId) -> String {
    server.to_string()
}
