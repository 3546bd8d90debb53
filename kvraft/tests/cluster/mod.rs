//! A small cluster of key/value servers over an in-process network, for the tests and the benchmark of this crate. It
//! starts, crashes and cuts off servers, and builds clerks.

#![allow(dead_code, reason = "each test file uses only a part of the cluster")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use labrpc::{ClientEnd, Network};
use labstd::channel::Sender;
use labstd::sync::Arc;
use labstd::thread::{self, Group};
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, KvClerk, KvService, Persister, Raft, RaftExt, ServerId};

/// The service under test, over the reference Raft.
pub(crate) type Reference = kvraft::KvServer<raft::Raft>;

/// The service under test, over a Raft without read index.
pub(crate) type PlainService = kvraft::KvServer<PlainRaft>;

/// A Raft with the lab's methods only; the optional ones have their defaults.
pub(crate) struct PlainRaft(raft::Raft);

impl Raft for PlainRaft {
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> PlainRaft {
        PlainRaft(raft::Raft::make(peers, me, persister, apply_ch))
    }

    raftapi::forward_raft!(0);
}

impl RaftExt for PlainRaft {}

/// Servers, their saved state, and the network between them.
pub(crate) struct Cluster<S: KvService> {
    pub(crate) network: Network,
    max_raft_state: Option<usize>,
    servers: RefCell<Vec<Server<S>>>,
    clerks: Cell<usize>,
    /// The thread groups of killed incarnations.
    killed: RefCell<Vec<Group>>,
}

struct Server<S> {
    persister: Arc<Persister>,
    incarnations: usize,
    live: Option<(Arc<S>, Group)>,
}

/// Time limit of [`eventually`]. It is long, so that a slow machine cannot break it.
pub(crate) const EVENTUALLY_LIMIT: Duration = Duration::from_secs(10);

/// Time limit for the threads of a killed server to end, as in the tester.
const KILL_GRACE: Duration = Duration::from_secs(2);

impl<S: KvService> Cluster<S> {
    /// Starts a cluster of `servers`, all connected to each other.
    pub(crate) fn new(servers: usize, max_raft_state: Option<usize>) -> Cluster<S> {
        let server = || Server { persister: Arc::new(Persister::new()), incarnations: 0, live: None };
        let cluster = Cluster {
            network: Network::new(),
            max_raft_state,
            servers: RefCell::new((0..servers).map(|_| server()).collect()),
            clerks: Cell::new(0),
            killed: RefCell::default(),
        };
        (0..servers).for_each(|server| cluster.start(server));
        cluster.heal();
        cluster
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.borrow().len()
    }

    /// Starts a server with its saved state. It is not connected to any server yet.
    pub(crate) fn start(&self, me: usize) {
        let servers = self.len();
        let this = &mut self.servers.borrow_mut()[me];
        this.incarnations += 1;
        this.persister = Arc::new(this.persister.copy());
        let group = Group::new(format!("S{me}#{}", this.incarnations), thread::context());
        let ends = (0..servers).map(|to| {
            let end = self.network.make_end(end_name(me, this.incarnations, to));
            self.network.connect(end_name(me, this.incarnations, to), format!("S{to}"));
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

    /// Crashes a server: it loses its connections and all state that it has not saved.
    pub(crate) fn crash(&self, me: usize) {
        let (service, group) = {
            let this = &mut self.servers.borrow_mut()[me];
            this.persister = Arc::new(this.persister.copy());
            this.live.take().expect("the server is running")
        };
        self.network.delete_server(format!("S{me}"));
        for to in 0..self.len() {
            self.network.delete_end(end_name(me, self.incarnation(me), to));
        }
        service.kill();
        self.killed.borrow_mut().push(group);
    }

    /// Connects servers within each part, and disconnects all others.
    pub(crate) fn partition(&self, parts: &[&[usize]]) {
        for from in (0..self.len()).filter(|&from| self.is_running(from)) {
            for to in 0..self.len() {
                let open = parts.iter().any(|part| part.contains(&from) && part.contains(&to));
                self.network.enable(end_name(from, self.incarnation(from), to), open);
            }
        }
    }

    /// Connects all servers with each other.
    pub(crate) fn heal(&self) {
        let all: Vec<usize> = (0..self.len()).collect();
        self.partition(&[&all]);
    }

    /// Cuts the leader off from the other servers. Returns the leader, which still believes that it leads, and the
    /// others.
    pub(crate) fn cut_off_leader(&self) -> (usize, Vec<usize>) {
        loop {
            let leader = self.leader();
            let others = without(leader, self.len());
            self.partition(&[&others, &[leader]]);
            // On a busy machine it may have been deposed just before the cut.
            if self.server(leader).get_state().1 {
                return (leader, others);
            }
            self.heal();
        }
    }

    /// Builds a clerk that can reach these servers.
    pub(crate) fn clerk(&self, reaches: &[usize]) -> S::Clerk {
        self.numbered_clerk(reaches).0
    }

    pub(crate) fn clerk_of_all(&self) -> S::Clerk {
        let all: Vec<usize> = (0..self.len()).collect();
        self.clerk(&all)
    }

    /// Builds a clerk that can reach these servers. Returns it with its number for [`reconnect`](Cluster::reconnect).
    pub(crate) fn numbered_clerk(&self, reaches: &[usize]) -> (S::Clerk, usize) {
        let number = self.clerks.get();
        self.clerks.set(number + 1);
        let ends = (0..self.len()).map(|to| self.end(&clerk_end(number, to), to)).collect();
        let clerk = S::Clerk::make(ends);
        self.reconnect(number, reaches);
        (clerk, number)
    }

    /// Connects the clerk to these servers, and to no others.
    pub(crate) fn reconnect(&self, clerk: usize, reaches: &[usize]) {
        for to in 0..self.len() {
            self.network.enable(clerk_end(clerk, to), reaches.contains(&to));
        }
    }

    /// Builds an enabled end to a server.
    pub(crate) fn end(&self, name: &str, to: usize) -> ClientEnd {
        let end = self.network.make_end(name);
        self.network.connect(name, format!("S{to}"));
        self.network.enable(name, true);
        end
    }

    pub(crate) fn server(&self, server: usize) -> Arc<S> {
        let servers = self.servers.borrow();
        Arc::clone(&servers[server].live.as_ref().expect("the server is running").0)
    }

    pub(crate) fn persister(&self, server: usize) -> Arc<Persister> {
        Arc::clone(&self.servers.borrow()[server].persister)
    }

    pub(crate) fn is_running(&self, server: usize) -> bool {
        self.servers.borrow()[server].live.is_some()
    }

    /// Returns the running servers.
    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.len()).filter(|&server| self.is_running(server)).collect()
    }

    /// Waits for a leader among these servers and returns the leader of the latest term.
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

    /// Kills all servers. Fails if one of their threads does not end in time.
    pub(crate) fn shut_down(self) {
        self.running().into_iter().for_each(|server| self.crash(server));
        self.network.cleanup();
        let deadline = Instant::now() + KILL_GRACE;
        for group in self.killed.take() {
            while !group.threads().is_empty() {
                let left: Vec<String> = group.threads().iter().map(ToString::to_string).collect();
                assert!(
                    Instant::now() < deadline,
                    "threads of {} are still alive after it was killed: {left:#?}",
                    group.name()
                );
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn incarnation(&self, server: usize) -> usize {
        self.servers.borrow()[server].incarnations
    }
}

/// Waits until `holds` returns true. Fails after [`EVENTUALLY_LIMIT`].
#[track_caller]
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + EVENTUALLY_LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "not so after {EVENTUALLY_LIMIT:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Returns all of `count` servers except `server`.
pub(crate) fn without(server: usize, count: usize) -> Vec<usize> {
    let all: BTreeSet<usize> = (0..count).collect();
    all.into_iter().filter(|&other| other != server).collect()
}

fn end_name(from: usize, incarnation: usize, to: usize) -> String {
    format!("S{from}#{incarnation}->S{to}")
}

fn clerk_end(number: usize, to: usize) -> String {
    format!("clerk{number}->S{to}")
}
