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
type ServerFactory =
    Arc<dyn Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Option<usize>) -> Box<dyn ErasedServer> + Send + Sync>;

/// A [`KvService`] of any type.
trait ErasedServer: Send + Sync {
    /// Calls [`KvService::services`].
    fn services(&self) -> Vec<Service>;

    /// Calls [`KvService::get_state`].
    fn get_state(&self) -> (Term, bool);

    /// Calls [`KvService::kill`].
    fn kill(&self);
}

impl<K: KvService> ErasedServer for K {
    fn services(&self) -> Vec<Service> {
        KvService::services(self)
    }

    fn get_state(&self) -> (Term, bool) {
        KvService::get_state(self)
    }

    fn kill(&self) {
        KvService::kill(self);
    }
}

/// An implementation of [`KvService`], as the system under test. Only its constructors know the types of the servers
/// and the clerks, so the scenarios are compiled once, for all implementations.
#[derive(Clone)]
pub struct KvSubject {
    make: ServerFactory,
    make_clerk: fn(Vec<ClientEnd>) -> Box<dyn ErasedClerk>,
}

impl KvSubject {
    /// Creates a subject whose servers are made by [`KvService::make`].
    pub fn of<K: KvService>() -> KvSubject {
        KvSubject::with_factory(K::make)
    }

    /// Creates a subject whose servers are made by another function with the same arguments.
    pub fn with_factory<K: KvService>(
        make: impl Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Option<usize>) -> K + Send + Sync + 'static,
    ) -> KvSubject {
        KvSubject {
            make: Arc::new(move |peers, me, persister, max_raft_state| {
                Box::new(make(peers, me, persister, max_raft_state))
            }),
            make_clerk: |ends| Box::new(K::Clerk::make(ends)),
        }
    }
}

impl fmt::Debug for KvSubject {
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
pub struct InProcessCluster {
    hosts: Arc<ServerHosts<Server>>,
    subject: KvSubject,
    max_raft_state: Option<usize>,
    clerks: AtomicUsize,
    rng: Mutex<rng::Stream>,
}

/// A key/value server, which owns its Raft.
struct Server(Box<dyn ErasedServer>);

impl HostedServer for Server {
    fn services(&self) -> Vec<Service> {
        self.0.services()
    }

    fn kill(&self) {
        self.0.kill();
    }
}

impl InProcessCluster {
    /// Starts a cluster whose servers can all communicate, over a network without long delays.
    pub fn new(config: KvClusterConfig, subject: KvSubject) -> InProcessCluster {
        let KvClusterConfig { servers, reliable, max_raft_state } = config;
        let cluster = InProcessCluster {
            hosts: ServerHosts::new(servers, Network::new()),
            subject,
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
        let built = incarnation.group.enter(|| (self.subject.make)(peers, server, persister, self.max_raft_state));
        self.hosts.attach(incarnation, Server(built));
    }
}

impl KvCluster for InProcessCluster {
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
        (clerk, (self.subject.make_clerk)(ends))
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

impl fmt::Debug for InProcessCluster {
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
