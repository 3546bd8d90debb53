//! A small cluster of key/value servers over an in-process network, for the tests and the benchmark of this room: starts,
//! crashes and cuts servers off, and makes clerks.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use bytes::Bytes;
use labrpc::{ClientEnd, Network, Service};
use labstd::Run;
use labstd::channel::Sender;
use labstd::sync::Arc;
use labstd::thread::{self, Group};
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, Index, KvClerk, KvService, Persister, Raft, ServerId, Started, Term};

/// The service under test, as it is used.
pub(crate) type Reference = kvraft::KvServer<raft::Raft>;

/// The same over a Raft that knows no read index.
pub(crate) type Plain = kvraft::KvServer<PlainRaft>;

/// A Raft with the methods that the lab asks for, and the defaults of the others.
pub(crate) struct PlainRaft(raft::Raft);

impl Raft for PlainRaft {
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> PlainRaft {
        PlainRaft(raft::Raft::make(peers, me, persister, apply_ch))
    }

    fn services(&self) -> Vec<Service> {
        self.0.services()
    }

    fn start(&self, command: Bytes) -> Option<Started> {
        self.0.start(command)
    }

    fn get_state(&self) -> (Term, bool) {
        self.0.get_state()
    }

    fn snapshot(&self, index: Index, snapshot: Bytes) {
        self.0.snapshot(index, snapshot);
    }

    fn persist_bytes(&self) -> usize {
        self.0.persist_bytes()
    }

    fn kill(&self) {
        self.0.kill();
    }
}

/// Servers, what they have saved, and the network between them.
pub(crate) struct Cluster<S: KvService> {
    pub(crate) network: Network,
    max_raft_state: Option<usize>,
    servers: RefCell<Vec<Server<S>>>,
    clerks: Cell<usize>,
    /// The incarnations that were killed.
    dead: RefCell<Vec<Group>>,
}

struct Server<S> {
    persister: Arc<Persister>,
    incarnations: usize,
    live: Option<(Arc<S>, Group)>,
}

/// How long something may take that must happen at all.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// How long a simulated story may take on its own clock: one that waits for ever fails.
const SIMULATED_AT_MOST: Duration = Duration::from_secs(300);

/// How long the threads of a killed server may take to end.
const KILL_GRACE: Duration = Duration::from_secs(2);

impl<S: KvService> Cluster<S> {
    /// A running cluster of `servers` that can all talk to each other.
    pub(crate) fn new(servers: usize, max_raft_state: Option<usize>) -> Cluster<S> {
        let server = || Server { persister: Arc::new(Persister::new()), incarnations: 0, live: None };
        let cluster = Cluster {
            network: Network::new(),
            max_raft_state,
            servers: RefCell::new((0..servers).map(|_| server()).collect()),
            clerks: Cell::new(0),
            dead: RefCell::default(),
        };
        (0..servers).for_each(|server| cluster.start(server));
        cluster.heal();
        cluster
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.borrow().len()
    }

    /// Starts a server with what it had saved. It is connected to nobody.
    pub(crate) fn start(&self, me: usize) {
        let servers = self.len();
        let this = &mut self.servers.borrow_mut()[me];
        this.incarnations += 1;
        this.persister = Arc::new(this.persister.copy());
        let group = Group::new(format!("S{me}#{}", this.incarnations), thread::context());
        let ends = (0..servers).map(|to| {
            let end = self.network.make_end(link(me, this.incarnations, to));
            self.network.connect(link(me, this.incarnations, to), format!("S{to}"));
            end
        });
        let (ends, persister) = (ends.collect(), Arc::clone(&this.persister));
        let service = group.enter(|| {
            let service = Arc::new(S::make(ends, ServerId(me), persister, self.max_raft_state));
            let server = service.services().into_iter().fold(labrpc::Server::new(), labrpc::Server::with);
            self.network.add_server(format!("S{me}"), server);
            service
        });
        this.live = Some((service, group));
    }

    /// Crashes a server.
    pub(crate) fn crash(&self, me: usize) {
        let (service, group) = {
            let this = &mut self.servers.borrow_mut()[me];
            this.persister = Arc::new(this.persister.copy());
            this.live.take().expect("it runs")
        };
        self.network.delete_server(format!("S{me}"));
        for to in 0..self.len() {
            self.network.delete_end(link(me, self.incarnation(me), to));
        }
        service.kill();
        self.dead.borrow_mut().push(group);
    }

    /// Servers in the same part can talk to each other. Those in none keep quiet.
    pub(crate) fn partition(&self, parts: &[&[usize]]) {
        for from in (0..self.len()).filter(|&from| self.runs(from)) {
            for to in 0..self.len() {
                let open = parts.iter().any(|part| part.contains(&from) && part.contains(&to));
                self.network.enable(link(from, self.incarnation(from), to), open);
            }
        }
    }

    /// All servers can talk to each other.
    pub(crate) fn heal(&self) {
        let all: Vec<usize> = (0..self.len()).collect();
        self.partition(&[&all]);
    }

    /// Cuts the leader off from the others, and these from it; returns who it is and who they are. It still leads then, in
    /// its own eyes.
    pub(crate) fn cut_off_leader(&self) -> (usize, Vec<usize>) {
        loop {
            let leader = self.leader();
            let others = without(leader, self.len());
            self.partition(&[&others, &[leader]]);
            // On a machine that is too busy it may have been deposed at the last moment.
            if self.server(leader).get_state().1 {
                return (leader, others);
            }
            self.heal();
        }
    }

    /// A clerk that can reach these servers, and the ends through which it does.
    pub(crate) fn clerk(&self, reaches: &[usize]) -> S::Clerk {
        self.clerk_with_ends(reaches).0
    }

    pub(crate) fn clerk_of_all(&self) -> S::Clerk {
        let all: Vec<usize> = (0..self.len()).collect();
        self.clerk(&all)
    }

    /// A clerk and the number under which [`reconnect`](Cluster::reconnect) knows it.
    pub(crate) fn clerk_with_ends(&self, reaches: &[usize]) -> (S::Clerk, usize) {
        let number = self.clerks.get();
        self.clerks.set(number + 1);
        let ends = (0..self.len()).map(|to| self.end(&clerk_end(number, to), to)).collect();
        let clerk = S::Clerk::make(ends);
        self.reconnect(number, reaches);
        (clerk, number)
    }

    /// From now on the clerk reaches these servers.
    pub(crate) fn reconnect(&self, clerk: usize, reaches: &[usize]) {
        for to in 0..self.len() {
            self.network.enable(clerk_end(clerk, to), reaches.contains(&to));
        }
    }

    /// An end to a server, enabled.
    pub(crate) fn end(&self, name: &str, to: usize) -> ClientEnd {
        let end = self.network.make_end(name);
        self.network.connect(name, format!("S{to}"));
        self.network.enable(name, true);
        end
    }

    pub(crate) fn server(&self, server: usize) -> Arc<S> {
        let servers = self.servers.borrow();
        Arc::clone(&servers[server].live.as_ref().expect("it runs").0)
    }

    pub(crate) fn persister(&self, server: usize) -> Arc<Persister> {
        Arc::clone(&self.servers.borrow()[server].persister)
    }

    pub(crate) fn runs(&self, server: usize) -> bool {
        self.servers.borrow()[server].live.is_some()
    }

    /// The servers that run.
    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.len()).filter(|&server| self.runs(server)).collect()
    }

    /// The leader of the latest term among these servers, waited for.
    pub(crate) fn leader_among(&self, servers: &[usize]) -> usize {
        let states = || servers.iter().map(|&server| (self.server(server).get_state(), server));
        let leader = || {
            let latest = states().map(|((term, _), _)| term).max()?;
            states().find(|&((term, leads), _)| leads && term == latest).map(|(_, server)| server)
        };
        eventually("a leader is elected", || leader().is_some());
        leader().unwrap_or_else(|| self.leader_among(servers))
    }

    pub(crate) fn leader(&self) -> usize {
        self.leader_among(&self.running())
    }

    /// Kills all servers; fails if one of their threads does not end.
    pub(crate) fn shut_down(self) {
        self.running().into_iter().for_each(|server| self.crash(server));
        self.network.cleanup();
        let deadline = Instant::now() + KILL_GRACE;
        for group in self.dead.take() {
            while !group.threads().is_empty() {
                let left: Vec<String> = group.threads().iter().map(ToString::to_string).collect();
                assert!(Instant::now() < deadline, "these threads of {} outlive it: {left:#?}", group.name());
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn incarnation(&self, server: usize) -> usize {
        self.servers.borrow()[server].incarnations
    }
}

/// Waits until `holds`, which it must soon.
#[track_caller]
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "not so after {SOON:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Runs a story on threads once and simulated with many seeds.
pub(crate) fn under_both_clocks(story: impl Fn() + Send + Sync + Copy + 'static) {
    simulated(story);
    labstd::run(story);
}

/// Runs a story simulated with many seeds.
pub(crate) fn simulated(story: impl Fn() + Send + Sync + Copy + 'static) {
    for seed in 1..=30 {
        let outcome = Run::simulated(seed).time_limit(SIMULATED_AT_MOST).execute(story);
        outcome.result.unwrap_or_else(|failure| panic!("[seed {seed}] {failure}"));
    }
}

/// The others of `of` servers.
pub(crate) fn without(server: usize, of: usize) -> Vec<usize> {
    let all: BTreeSet<usize> = (0..of).collect();
    all.into_iter().filter(|&other| other != server).collect()
}

fn link(from: usize, incarnation: usize, to: usize) -> String {
    format!("S{from}#{incarnation}->S{to}")
}

fn clerk_end(number: usize, to: usize) -> String {
    format!("clerk{number}->S{to}")
}
