//! Where servers live, of whatever sort: a network, and for each server a place with its storage, which outlives it, and
//! its present incarnation, if it runs. Raft servers alone are a [`Cluster`](crate::Cluster); the key/value servers are in
//! [`kv`](crate::kv).
//!
//! - [`lifecycle`](self) (start, crash, the end) is in `lifecycle.rs`;
//! - who can talk to whom is in `links.rs`.

mod lifecycle;
mod links;

use labrpc::{Name, Network, Service};
use labstd::sync::{Arc, Condvar, Mutex};
use labstd::thread::Group;
use raftapi::{Persister, ServerId};

/// One incarnation of a server, as its host sees it.
pub(crate) trait HostedServer: Send + Sync + 'static {
    /// What it offers to the network.
    fn services(&self) -> Vec<Service>;

    /// Asks it to stop.
    fn kill(&self);
}

/// The servers of one run, and the network between them.
pub(crate) struct ServerHosts<S: HostedServer> {
    network: Network,
    slots: Mutex<Vec<HostSlot<S>>>,
    /// Whether the scenario is over, and a signal for those who wait for that.
    scenario_over: Mutex<bool>,
    scenario_over_changed: Condvar,
}

/// One server: its storage, and its present incarnation, if it runs.
struct HostSlot<S> {
    persister: Arc<Persister>,
    /// Whether it takes part in links between all that do; see [`ServerHosts::connect`].
    connected: bool,
    incarnations: u32,
    running: Option<RunningServer<S>>,
}

/// An incarnation of a server that runs.
struct RunningServer<S> {
    server: Arc<S>,
    group: Group,
    ends: Vec<Name>,
}

impl<S: HostedServer> ServerHosts<S> {
    /// Places for `servers` servers, none of which runs, on `network`.
    pub(crate) fn new(servers: usize, network: Network) -> Arc<ServerHosts<S>> {
        let slot = || HostSlot { persister: Arc::new(Persister::new()), connected: false, incarnations: 0, running: None };
        Arc::new(ServerHosts {
            network,
            slots: Mutex::new((0..servers).map(|_| slot()).collect()),
            scenario_over: Mutex::new(false),
            scenario_over_changed: Condvar::new(),
        })
    }

    /// The number of servers, those that do not run included.
    pub(crate) fn len(&self) -> usize {
        self.slots.lock().len()
    }

    /// All servers, in order.
    pub(crate) fn servers(&self) -> impl Iterator<Item = ServerId> + use<S> {
        (0..self.len()).map(ServerId)
    }

    /// The network between them.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Whether nothing goes wrong any more: see [`calm`](crate::fault_cutoff).
    pub(crate) fn faults_ended(&self) -> bool {
        self.network.is_calm()
    }

    /// Calls `server`, if it runs, as one of its own threads: what it records or starts meanwhile is its own.
    pub(crate) fn call<T>(&self, server: ServerId, call: impl FnOnce(&S) -> T) -> Option<T> {
        let (running, group) = {
            let slots = self.slots.lock();
            let running = slots[server.0].running.as_ref()?;
            (Arc::clone(&running.server), running.group.clone())
        };
        Some(group.enter(|| call(&running)))
    }

    /// Whether `server` runs.
    pub(crate) fn is_running(&self, server: ServerId) -> bool {
        self.slots.lock()[server.0].running.is_some()
    }

    /// The largest of what `size` says about the storages of all servers; those that are crashed or cut off count as well.
    pub(crate) fn max_saved(&self, size: impl Fn(&Persister) -> usize) -> usize {
        let slots = self.slots.lock();
        slots.iter().map(|slot| size(&slot.persister)).max().unwrap_or(0)
    }
}

/// The name under which the network knows a server.
pub(crate) fn server_name(server: ServerId) -> String {
    server.to_string()
}
