//! A cluster of Raft servers in one process, over the simulated network: what a scenario tells its story with.
//!
//! - where the servers live, whatever they are, is in `hosts/`;
//! - [`lifecycle`](self) (start, crash, restart, links, the end) is in `lifecycle.rs`;
//! - what the servers deliver is read and checked in `applier.rs`;
//! - questions that a scenario asks (one leader? the same term? committed by how many?) are in `next_check_number.rs`;
//! - [`Cluster::one`], agreement on one command, is in `agree.rs`.

mod agree;
mod applier;
mod checks;
mod lifecycle;

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
use crate::diagnosis::Rule;
use crate::server_hosts::{HostedServer, ServerHosts, server_name};

pub use agree::Retry;

/// How long elections may take, as the course sees it: scenarios sleep in multiples of it.
pub const ELECTION_TIMEOUT: Duration = Duration::from_millis(1000);

/// How a server is built: [`Raft::make`], or something else with the same shape.
pub type RaftFactory<R> = Arc<dyn Fn(Vec<ClientEnd>, ServerId, Arc<Persister>, Sender<ApplyMsg>) -> R + Send + Sync>;

/// What a cluster is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// How many servers there are.
    pub servers: usize,
    /// Whether the network is reliable.
    pub reliable: bool,
    /// Whether the services make snapshots, one every ten indexes.
    pub snapshots: bool,
}

/// A cluster. Clones are handles to the same one.
///
/// Checks that do not hold end the run by panicking with a [`Violation`](crate::Violation).
pub struct Cluster<R: Raft>(Arc<Inner<R>>);

struct Inner<R: Raft> {
    hosts: Arc<ServerHosts<Node<R>>>,
    make: RaftFactory<R>,
    applied: Mutex<AppliedEntries>,
    /// Who was seen to lead in each term.
    leaders: Mutex<BTreeMap<Term, ServerId>>,
    /// Whether the services make snapshots.
    snapshots: bool,
    /// Whether the services ask their Rafts something before they read on.
    services_query_raft: AtomicBool,
    /// What would be to blame if something went wrong now.
    suspicion: Mutex<Option<(Rule, String)>>,
    rng: Mutex<rng::Stream>,
    /// How many random commands were drawn.
    commands_drawn: AtomicU64,
    next_check_number: AtomicU64,
    started_at: Instant,
}

/// An incarnation of a Raft server, and the service that reads what it delivers.
struct Node<R> {
    raft: Arc<R>,
    applier: applier::StopHandle,
}

impl<R: Raft> HostedServer for Node<R> {
    fn services(&self) -> Vec<Service> {
        self.raft.services()
    }

    fn kill(&self) {
        self.applier.stop();
        self.raft.kill();
    }
}

/// What a run cost, as the course counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// From begin to end on the run's own clock.
    pub elapsed: Duration,
    /// Servers in the cluster.
    pub servers: usize,
    /// RPCs sent, those that were lost included.
    pub rpcs: u64,
    /// Bytes of arguments and of replies.
    pub bytes: u64,
    /// Commands agreed on.
    pub commands: u64,
}

impl<R: Raft> Clone for Cluster<R> {
    fn clone(&self) -> Cluster<R> {
        Cluster(Arc::clone(&self.0))
    }
}

impl<R: Raft> Cluster<R> {
    /// A running cluster whose servers can all talk to each other, over a network with long delays.
    pub fn new(config: ClusterConfig, make: RaftFactory<R>) -> Cluster<R> {
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

    /// The number of servers.
    pub fn len(&self) -> usize {
        self.0.hosts.len()
    }

    /// Whether the cluster has no servers; it always has some.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All servers, in order.
    pub fn servers(&self) -> impl Iterator<Item = ServerId> + use<R> {
        (0..self.len()).map(ServerId)
    }

    /// The server `steps` places after `server`, around the circle.
    pub fn after(&self, server: ServerId, steps: usize) -> ServerId {
        ServerId((server.0 + steps) % self.len())
    }

    /// The network, for scenarios that do more to it than disconnect servers.
    pub fn network(&self) -> &Network {
        self.0.hosts.network()
    }

    /// Gives `command` to `server`. `None` if it is not the leader, or does not run.
    pub fn start(&self, server: ServerId, command: impl Into<Command>) -> Option<Started> {
        let command = command.into().encode();
        let bytes = command.len() as u64;
        let started = self.call(server, |raft| raft.start(command))??;
        let Started { index, term } = started;
        self.record_leader(server, term);
        record::emit_for(Some(server), EventKind::CommandSubmitted { index, term, bytes });
        Some(started)
    }

    /// The term of `server`, and whether it believes that it leads. `None` if it does not run. Ends the run if another
    /// server was seen to lead in that term, however long ago.
    pub fn state(&self, server: ServerId) -> Option<(Term, bool)> {
        let (term, leads) = self.call(server, R::get_state)?;
        if leads {
            self.record_leader(server, term);
        }
        Some((term, leads))
    }

    /// From now on each service asks its Raft for the term before it reads the next entry, or no longer.
    pub fn services_query_raft(&self, ask: bool) {
        self.0.services_query_raft.store(ask, Relaxed);
    }

    /// Says what would be to blame if from now on something wrong were applied, or a second leader elected in a term: a rule,
    /// and a few words, with which the failure's sentence then ends.
    pub fn suspect(&self, suspicion: Option<(Rule, String)>) {
        *self.0.suspicion.lock() = suspicion;
    }

    /// An objection, with what is suspected.
    fn with_suspicion(&self, DeliveryError { text, likely }: DeliveryError) -> DeliveryError {
        match self.0.suspicion.lock().take() {
            Some((rule, why)) => DeliveryError { text: format!("{text}: {why}"), likely: vec![rule] },
            None => DeliveryError { text, likely },
        }
    }

    /// Whether `server` has applied `index`, in this life or in one before.
    fn has_applied(&self, server: ServerId, index: Index) -> bool {
        self.0.applied.lock().has(server, index)
    }

    /// How many servers have applied `index`, and what.
    pub fn n_committed(&self, index: Index) -> (usize, Option<Command>) {
        self.0.applied.lock().committed(index)
    }

    /// The size of the largest Raft state that a server has saved, without snapshots; those that are crashed or cut off
    /// count as well.
    pub fn log_size(&self) -> usize {
        self.0.hosts.max_saved(Persister::raft_state_size)
    }

    /// How many snapshots brought a server further than it had applied entries.
    pub fn snapshots_installed(&self) -> u64 {
        self.0.applied.lock().installed()
    }

    /// RPCs that reached `server` since it was last started.
    pub fn rpc_count(&self, server: ServerId) -> u64 {
        self.network().count(server_name(server))
    }

    /// RPCs that reached any server, each counted since it was last started.
    pub fn rpcs(&self) -> u64 {
        self.servers().map(|server| self.rpc_count(server)).sum()
    }

    /// Bytes that went over the network so far.
    pub fn bytes(&self) -> u64 {
        self.network().total_bytes()
    }

    /// Sleeps on the run's clock.
    #[track_caller]
    pub fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }

    /// A random command: an integer that is not negative, larger than the numbers that scenarios choose themselves, and
    /// different from every other one of the run, so that an entry that appears is the one that was submitted.
    pub fn random_command(&self) -> i64 {
        let random = self.draw(|rng| rng.random_range(1..i64::from(i32::MAX)));
        let number = self.0.commands_drawn.fetch_add(1, Relaxed) & u64::from(u32::MAX);
        random << 32 | number as i64
    }

    /// Draws from the scenario's own stream of chance.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut rng::Stream) -> T) -> T {
        draw(&mut self.0.rng.lock())
    }

    /// What the run has cost so far.
    pub fn metrics(&self) -> Metrics {
        Metrics {
            elapsed: self.0.started_at.elapsed(),
            servers: self.len(),
            rpcs: self.network().total_count(),
            bytes: self.bytes(),
            commands: self.0.applied.lock().max_index().0,
        }
    }

    /// Calls the Raft of `server`, if it runs, as one of its own threads: what it records or starts meanwhile is its own.
    fn call<T>(&self, server: ServerId, call: impl FnOnce(&R) -> T) -> Option<T> {
        self.0.hosts.call(server, |node| call(&node.raft))
    }

    /// The number of the next check, for the record.
    fn next_check(&self) -> u64 {
        self.0.next_check_number.fetch_add(1, Relaxed)
    }
}

impl<R: Raft> fmt::Debug for Cluster<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("servers", &self.len()).finish_non_exhaustive()
    }
}
