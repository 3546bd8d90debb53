//! A cluster of Raft servers in one process, over the simulated network. Scenarios are written with its methods.
//!
//! - Hosting of the servers is in `server_hosts/`.
//! - Start, crash, restart, links and shutdown are in `lifecycle.rs`.
//! - `applier.rs` reads and checks the entries and snapshots that the servers deliver.
//! - The checks that a scenario calls (one leader? the same term? committed on how many servers?) are in `checks.rs`.
//! - The names that the RPCs of a Raft must have are in `rpc_names.rs`.
//! - [`Cluster::one`], agreement on one command, is in `agree.rs`.

mod agree;
mod applier;
mod checks;
mod lifecycle;
mod rpc_names;

use std::collections::BTreeMap;
use std::fmt;

use labrpc::{ClientEnd, Network, Service};
use labstd::channel::Sender;
use labstd::rng::{self, RngExt};
use labstd::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use labstd::sync::{Arc, Mutex};
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Index, Persister, Raft, ServerId, Started, Term};
use record::EventKind;

use crate::applied::{AppliedEntries, DeliveryError};
use crate::command::Command;
use crate::server_hosts::{HostedServer, ServerHosts, server_name};
use diagnosis::Rule;

pub use agree::Retry;

/// Time that the course allows for an election; scenarios sleep for multiples of it.
pub const ELECTION_TIMEOUT: Duration = Duration::from_millis(1000);

/// Constructor of a server: [`Raft::make`], or a function of the same shape.
pub type RaftFactory =
    Arc<dyn Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Sender<ApplyMsg>) -> Arc<dyn Raft> + Send + Sync>;

/// Configuration of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Number of servers.
    pub servers: usize,
    /// Whether the network is reliable.
    pub reliable: bool,
    /// Whether the services take snapshots, one every ten indexes.
    pub snapshots: bool,
}

/// A cluster. Clones are handles to the same cluster.
///
/// A check that does not hold fails the run by panicking with a [`Violation`](crate::Violation).
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    hosts: Arc<ServerHosts<Node>>,
    make: RaftFactory,
    applied: Mutex<AppliedEntries>,
    /// The leader of each term, as far as one was seen.
    leaders: Mutex<BTreeMap<Term, ServerId>>,
    /// Whether the services take snapshots.
    snapshots: bool,
    /// Whether each service queries its Raft before it reads the next message.
    services_query_raft: AtomicBool,
    /// The rule to blame if something goes wrong now.
    suspicion: Mutex<Option<(Rule, String)>>,
    rng: Mutex<rng::Stream>,
    /// Number of random commands drawn so far.
    commands_drawn: AtomicU64,
    /// Why the scenario could not do what its title says, if it could not.
    gave_up: Mutex<Option<String>>,
    next_check_number: AtomicU64,
    started_at: Instant,
}

/// One incarnation of a Raft server, and the service that reads its messages.
struct Node {
    server: ServerId,
    raft: Arc<dyn Raft>,
    applier: applier::StopHandle,
    /// Whether services take snapshots.
    snapshots: bool,
}

impl HostedServer for Node {
    fn services(&self) -> Vec<Service> {
        let services = self.raft.services();
        rpc_names::check(self.server, &services, self.snapshots);
        services
    }

    fn kill(&self) {
        self.applier.stop();
        self.raft.kill();
    }
}

/// The cost of a run, counted as the course counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Time from start to end on the run's own clock.
    pub elapsed: Duration,
    /// Number of servers in the cluster.
    pub servers: usize,
    /// RPCs sent, including lost ones.
    pub rpcs: u64,
    /// Bytes of arguments and replies.
    pub bytes: u64,
    /// Number of commands agreed on.
    pub commands: u64,
}

impl Cluster {
    /// Starts a cluster whose servers can all communicate, over a network with long delays.
    pub fn new(config: ClusterConfig, make: RaftFactory) -> Cluster {
        let servers = config.servers;
        let network = Network::new();
        network.set_reliable(config.reliable);
        network.set_long_delays(true);
        let cluster = Cluster(Arc::new(Inner {
            hosts: ServerHosts::new(servers, network),
            make,
            leaders: Mutex::default(),
            applied: Mutex::new(AppliedEntries::new(servers)),
            snapshots: config.snapshots,
            services_query_raft: AtomicBool::new(false),
            suspicion: Mutex::new(None),
            rng: Mutex::new(rng::stream("scenario")),
            commands_drawn: AtomicU64::new(0),
            gave_up: Mutex::new(None),
            next_check_number: AtomicU64::new(0),
            started_at: Instant::now(),
        }));
        for server in cluster.servers() {
            cluster.start_server(server);
        }
        for server in cluster.servers() {
            cluster.connect(server);
        }
        cluster
    }

    /// Notes that the situation which the scenario is about did not come about, and why. The run passes if nothing else
    /// fails, and says that it shows nothing.
    pub(crate) fn give_up(&self, reason: &str) {
        log::info!("gave up: {reason}");
        self.0.gave_up.lock().get_or_insert_with(|| reason.to_string());
    }

    /// Returns why the scenario gave up, if it did.
    pub(crate) fn gave_up(&self) -> Option<String> {
        self.0.gave_up.lock().clone()
    }

    /// Returns the number of servers.
    pub fn len(&self) -> usize {
        self.0.hosts.len()
    }

    /// Returns whether the cluster has no servers; it always has some.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all servers, in order.
    pub fn servers(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.len()).map(ServerId)
    }

    /// Returns the server `steps` places after `server`, in a circle.
    pub fn after(&self, server: ServerId, steps: usize) -> ServerId {
        ServerId((server.0 + steps) % self.len())
    }

    /// Returns the network, for scenarios that do more than disconnect servers.
    pub fn network(&self) -> &Network {
        self.0.hosts.network()
    }

    /// Submits `command` to `server`. Returns `None` if it is not the leader or not running.
    pub fn start(&self, server: ServerId, command: impl Into<Command>) -> Option<Started> {
        let command = command.into().encode();
        let bytes = command.len() as u64;
        let started = self.call(server, |raft| raft.start(command))??;
        let Started { index, term } = started;
        self.record_leader(server, term);
        record::emit_for(Some(server), EventKind::CommandSubmitted { index, term, bytes });
        Some(started)
    }

    /// Returns the term of `server`, and whether it believes that it leads. Returns `None` if it is not running. Fails
    /// the run if another server was ever seen to lead in that term.
    pub fn state(&self, server: ServerId) -> Option<(Term, bool)> {
        let (term, leads) = self.call(server, |raft| raft.get_state())?;
        if leads {
            self.record_leader(server, term);
        }
        Some((term, leads))
    }

    /// From now on, makes each service query the term of its Raft before it reads the next entry (`true`), or not
    /// (`false`).
    pub fn set_services_query_raft(&self, ask: bool) {
        self.0.services_query_raft.store(ask, Relaxed);
    }

    /// Sets the cause to report if, from now on, a wrong entry is applied or a second leader is elected in a term: a
    /// rule, and a few words that end the failure's sentence.
    pub fn suspect(&self, suspicion: Option<(Rule, String)>) {
        *self.0.suspicion.lock() = suspicion;
    }

    /// Returns the violation with the suspected cause, if one is set.
    fn with_suspicion(&self, DeliveryError { text, likely }: DeliveryError) -> DeliveryError {
        match self.0.suspicion.lock().take() {
            Some((rule, why)) => DeliveryError { text: format!("{text}: {why}"), likely: vec![rule] },
            None => DeliveryError { text, likely },
        }
    }

    /// Returns whether `server` has applied `index`, in this incarnation or in an earlier one.
    fn has_applied(&self, server: ServerId, index: Index) -> bool {
        self.0.applied.lock().has(server, index)
    }

    /// Returns how many servers have applied `index`, and the command.
    pub fn n_committed(&self, index: Index) -> (usize, Option<Command>) {
        self.0.applied.lock().committed(index)
    }

    /// Returns the size in bytes of the largest saved Raft state, without snapshots. Crashed and disconnected servers
    /// count.
    pub fn log_size(&self) -> usize {
        self.0.hosts.max_saved(Persister::raft_state_size)
    }

    /// Returns the number of snapshots that moved a server beyond its last applied entry.
    pub fn snapshots_installed(&self) -> u64 {
        self.0.applied.lock().installed()
    }

    /// Returns the number of RPCs that reached `server` since its last start.
    pub fn rpc_count(&self, server: ServerId) -> u64 {
        self.network().count(server_name(server))
    }

    /// Returns the number of RPCs that reached any server, each counted since its last start.
    pub fn rpcs(&self) -> u64 {
        self.servers().map(|server| self.rpc_count(server)).sum()
    }

    /// Returns the number of bytes sent over the network so far.
    pub fn bytes(&self) -> u64 {
        self.network().total_bytes()
    }

    /// Sleeps on the run's clock.
    #[track_caller]
    pub fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }

    /// Returns a random command: an integer that is not negative, larger than the numbers that scenarios choose, and
    /// unique in the run. So an entry that appears is the one that was submitted.
    pub fn random_command(&self) -> i64 {
        let random = self.draw(|rng| rng.random_range(1..i64::from(i32::MAX)));
        let number = self.0.commands_drawn.fetch_add(1, Relaxed) & u64::from(u32::MAX);
        random << 32 | number as i64
    }

    /// Draws from the scenario's own random stream.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut rng::Stream) -> T) -> T {
        draw(&mut self.0.rng.lock())
    }

    /// Returns the cost of the run so far.
    pub fn metrics(&self) -> Metrics {
        Metrics {
            elapsed: self.0.started_at.elapsed(),
            servers: self.len(),
            rpcs: self.network().total_count(),
            bytes: self.bytes(),
            commands: self.0.applied.lock().max_index().0,
        }
    }

    /// Calls the Raft of `server`, if it is running, as one of its own threads. Events that it records and threads that
    /// it starts meanwhile belong to the server.
    fn call<T>(&self, server: ServerId, call: impl FnOnce(&dyn Raft) -> T) -> Option<T> {
        self.0.hosts.call(server, |node| call(&*node.raft))
    }

    /// Returns the number of the next check, for the record.
    fn next_check(&self) -> u64 {
        self.0.next_check_number.fetch_add(1, Relaxed)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("servers", &self.len()).finish_non_exhaustive()
    }
}
