//! Key/value servers in this process, over the simulated network.

use std::fmt;

use labrpc::{ClientEnd, Message, Name, Network, Service};
use labstd::rng::{self, SliceRandom};
use labstd::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use labstd::sync::{Arc, Mutex};
use raftapi::{KvClerk, KvService, Persister, ServerId, Term};
use record::{EventKind, Fault};

use super::cluster::{ClerkId, ErasedClerk, KvCluster};
use crate::server_hosts::{HostedServer, ServerHosts, server_name};

/// Constructor of a server: [`KvService::make`], or a function of the same shape.
pub type KvFactory<K> = Arc<dyn Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Option<usize>) -> K + Send + Sync>;

/// System under test: an implementation of [`KvService`], and the constructor of its servers.
pub struct KvSubject<K: KvService> {
    make: KvFactory<K>,
}

impl<K: KvService> KvSubject<K> {
    /// Creates a subject whose servers are made by [`KvService::make`].
    pub fn new() -> KvSubject<K> {
        KvSubject::with_factory(K::make)
    }

    /// Creates a subject whose servers are made by another function with the same arguments.
    pub fn with_factory(
        make: impl Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Option<usize>) -> K + Send + Sync + 'static,
    ) -> KvSubject<K> {
        KvSubject { make: Arc::new(make) }
    }

    /// Returns the constructor of the servers.
    pub(crate) fn factory(&self) -> KvFactory<K> {
        Arc::clone(&self.make)
    }
}

impl<K: KvService> Default for KvSubject<K> {
    fn default() -> KvSubject<K> {
        KvSubject::new()
    }
}

impl<K: KvService> Clone for KvSubject<K> {
    fn clone(&self) -> KvSubject<K> {
        KvSubject { make: self.factory() }
    }
}

impl<K: KvService> fmt::Debug for KvSubject<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvSubject").finish_non_exhaustive()
    }
}

/// Configuration of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvClusterConfig {
    /// Number of servers.
    pub servers: usize,
    /// Whether the network is reliable.
    pub reliable: bool,
    /// Size in bytes of the saved Raft state at which a service should take a snapshot; `None` means never.
    pub max_raft_state: Option<usize>,
}

/// A cluster of key/value servers in this process.
pub struct InProcessCluster<K: KvService> {
    hosts: Arc<ServerHosts<Server<K>>>,
    make: KvFactory<K>,
    max_raft_state: Option<usize>,
    clerks: AtomicUsize,
    rng: Mutex<rng::Stream>,
}

/// A key/value server, which owns its Raft.
struct Server<K>(K);

impl<K: KvService> HostedServer for Server<K> {
    fn services(&self) -> Vec<Service> {
        self.0.services()
    }

    fn kill(&self) {
        self.0.kill();
    }
}

impl<K: KvService> InProcessCluster<K> {
    /// Starts a cluster whose servers can all communicate, over a network without long delays.
    pub fn new(config: KvClusterConfig, make: KvFactory<K>) -> InProcessCluster<K> {
        let KvClusterConfig { servers, reliable, max_raft_state } = config;
        let cluster = InProcessCluster {
            hosts: ServerHosts::new(servers, Network::new()),
            make,
            max_raft_state,
            clerks: AtomicUsize::new(0),
            rng: Mutex::new(rng::stream("scenario")),
        };
        let all: Vec<ServerId> = cluster.hosts.servers().collect();
        all.iter().for_each(|&server| cluster.boot(server));
        cluster.hosts.partition(&[&all]);
        cluster.hosts.network().set_reliable(reliable);
        cluster
    }

    fn boot(&self, server: ServerId) {
        let (incarnation, peers) = self.hosts.begin_incarnation(server);
        let persister = Arc::clone(&incarnation.persister);
        let built = incarnation.group.enter(|| (self.make)(peers, server, persister, self.max_raft_state));
        self.hosts.attach(incarnation, Server(built));
    }
}

impl<K: KvService> KvCluster for InProcessCluster<K> {
    fn len(&self) -> usize {
        self.hosts.len()
    }

    fn leader(&self) -> Option<(Term, ServerId)> {
        let leads = |server| match self.hosts.call(server, |running| running.0.get_state())? {
            (term, true) => Some((term, server)),
            (_, false) => None,
        };
        self.hosts.servers().filter_map(leads).max()
    }

    fn partition(&self, parts: &[&[ServerId]]) {
        self.hosts.partition(parts);
    }

    fn crash(&self, server: ServerId) {
        self.hosts.close_links(server);
        self.hosts.crash(server);
    }

    fn start(&self, server: ServerId) {
        if self.hosts.faults_ended() && self.hosts.is_running(server) {
            return;
        }
        record::emit(EventKind::Fault(Fault::Restart(vec![server])));
        self.boot(server);
    }

    fn clerk(&self, to: &[ServerId]) -> (ClerkId, Box<dyn ErasedClerk>) {
        let clerk = ClerkId(self.clerks.fetch_add(1, Relaxed));
        let network = self.hosts.network();
        let end = |server| {
            let name = end_of(clerk, server);
            let end = network.make_end(name.clone());
            network.connect(name, server_name(server));
            end
        };
        let mut ends: Vec<ClientEnd> = self.hosts.servers().map(end).collect();
        self.connect_clerk(clerk, to);
        // The order of a clerk's list says nothing about the numbers of the servers.
        ends.shuffle(&mut *self.rng.lock());
        (clerk, Box::new(K::Clerk::make(ends)))
    }

    fn connect_clerk(&self, clerk: ClerkId, to: &[ServerId]) {
        to.iter().for_each(|&server| self.hosts.network().enable(end_of(clerk, server), true));
    }

    fn log_size(&self) -> usize {
        self.hosts.max_saved(Persister::raft_state_size)
    }

    fn snapshot_size(&self) -> usize {
        self.hosts.max_saved(Persister::snapshot_size)
    }

    fn rpcs(&self) -> u64 {
        self.hosts.network().total_count()
    }

    fn bytes(&self) -> u64 {
        self.hosts.network().total_bytes()
    }

    fn shut_down(&self) {
        self.hosts.shut_down();
    }

    fn abandon(&self) {
        self.hosts.abandon();
    }

    fn network(&self) -> Option<&Network> {
        Some(self.hosts.network())
    }
}

impl<K: KvService> fmt::Debug for InProcessCluster<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessCluster").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Returns the name of a clerk's end to a server.
fn end_of(clerk: ClerkId, server: ServerId) -> Name {
    Name::from(format!("{clerk}->{server}"))
}

/// Returns whether a message is a request of `clerk`, or a reply to one.
pub(crate) fn is_of_clerk(message: &Message<'_>, clerk: ClerkId) -> bool {
    message.end.as_str().strip_prefix(&clerk.to_string()).is_some_and(|rest| rest.starts_with("->"))
}

/// Returns whether a message is a request of `server` to another server, or a reply to one.
pub(crate) fn is_of_server(message: &Message<'_>, server: ServerId) -> bool {
    message.end.as_str().strip_prefix(&server.to_string()).is_some_and(|rest| rest.starts_with('#'))
}

/// Returns whether a message is a request to `server`, or a reply to one.
pub(crate) fn is_for(message: &Message<'_>, server: ServerId) -> bool {
    message.server.as_str() == server.to_string()
}
