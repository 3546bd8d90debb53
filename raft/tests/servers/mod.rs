//! Whole servers, threads included, on a network. A test starts, crashes and cuts off servers, and makes its own ends
//! to them. The servers of this crate's tests are Raft servers; `kvraft` and `mistakes` host key/value servers.

#![allow(dead_code, reason = "each test file uses only a part of this module")]

use std::cell::{Cell, RefCell};
use std::ops::Deref;

use labrpc::{ClientEnd, Network, Service};
use labstd::channel::{self, Receiver};
use labstd::sync::Arc;
use labstd::thread::{self, Group};
use labstd::time::{Duration, Instant};
use raftapi::{ApplyMsg, KvService, Persister, Raft, ServerId, Term};
use record::{EventKind, Fault, Scope};

/// Time limit of [`eventually`]. It is long, so that a slow machine cannot break it.
pub(crate) const EVENTUALLY_LIMIT: Duration = Duration::from_secs(10);

/// Time limit for the threads of a killed server to end, as in the tester.
const KILL_GRACE: Duration = Duration::from_secs(2);

/// A server, as its host uses it.
pub(crate) trait HostedServer {
    fn services(&self) -> Vec<Service>;
    fn get_state(&self) -> (Term, bool);
    fn kill(&self);
}

impl<R: Raft> HostedServer for R {
    fn services(&self) -> Vec<Service> {
        Raft::services(self)
    }

    fn get_state(&self) -> (Term, bool) {
        Raft::get_state(self)
    }

    fn kill(&self) {
        Raft::kill(self);
    }
}

/// A key/value server.
pub(crate) struct Kv<S>(pub(crate) S);

impl<S: KvService> HostedServer for Kv<S> {
    fn services(&self) -> Vec<Service> {
        self.0.services()
    }

    fn get_state(&self) -> (Term, bool) {
        self.0.get_state()
    }

    fn kill(&self) {
        self.0.kill();
    }
}

impl<S> Deref for Kv<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}

/// Servers, their saved states, and the network between them.
pub(crate) struct Servers<S> {
    pub(crate) network: Network,
    slots: RefCell<Vec<Slot<S>>>,
    /// Number of clients so far.
    clients: Cell<usize>,
    /// The thread groups of killed incarnations.
    killed: RefCell<Vec<Group>>,
}

/// One server: its saved state, and its current incarnation if it is running.
struct Slot<S> {
    persister: Arc<Persister>,
    incarnations: u32,
    running: Option<(Arc<S>, Group)>,
}

impl<R: Raft> Servers<R> {
    /// Starts a Raft server with its saved state. Returns its deliveries. It is not connected yet.
    pub(crate) fn start_raft(&self, me: usize) -> Receiver<ApplyMsg> {
        let (sender, deliveries) = channel::bounded(1);
        self.start(me, |ends, persister| R::make(ends, ServerId(me), persister, sender));
        deliveries
    }
}

impl<S: HostedServer> Servers<S> {
    /// Creates servers that have never run and do not run yet.
    pub(crate) fn new(count: usize) -> Servers<S> {
        let slot = || Slot { persister: Arc::new(Persister::new()), incarnations: 0, running: None };
        Servers {
            network: Network::new(),
            slots: RefCell::new((0..count).map(|_| slot()).collect()),
            clients: Cell::new(0),
            killed: RefCell::default(),
        }
    }

    /// Starts a server with its saved state. It is not connected yet.
    pub(crate) fn start(&self, me: usize, make: impl FnOnce(Vec<ClientEnd>, Arc<Persister>) -> S) {
        self.slots.borrow_mut()[me].incarnations += 1;
        let context = record::scope().map(|scope| Scope::new(&scope.recorder, Some(ServerId(me))).into_context());
        let group = Group::new(format!("S{me}#{}", self.incarnation(me)), context);
        let ends = (0..self.len()).map(|to| self.make_end(&self.peer_end(me, to), to)).collect();
        let server = group.enter(|| {
            let server = make(ends, self.persister(me));
            let services = server.services().into_iter().fold(labrpc::Server::new(), labrpc::Server::with);
            self.network.add_server(format!("S{me}"), services);
            server
        });
        self.slots.borrow_mut()[me].running = Some((Arc::new(server), group));
    }

    /// Crashes a server: it loses its connections and all state that it has not saved.
    pub(crate) fn crash(&self, me: usize) {
        self.network.delete_server(format!("S{me}"));
        let (server, group) = {
            let slot = &mut self.slots.borrow_mut()[me];
            slot.persister = Arc::new(slot.persister.copy());
            slot.running.take().expect("the server is running")
        };
        record::emit(EventKind::Fault(Fault::Crash(vec![ServerId(me)])));
        (0..self.len()).for_each(|to| self.network.delete_end(self.peer_end(me, to)));
        server.kill();
        self.killed.borrow_mut().push(group);
    }

    /// Connects servers within each part, and disconnects all others.
    pub(crate) fn partition(&self, parts: &[&[usize]]) {
        for from in self.running() {
            for to in self.all() {
                let open = parts.iter().any(|part| part.contains(&from) && part.contains(&to));
                self.network.enable(self.peer_end(from, to), open);
            }
        }
    }

    /// Connects all servers with each other.
    pub(crate) fn heal(&self) {
        self.partition(&[&self.all()]);
    }

    /// Makes the ends of a new client to all servers, of which it reaches these. Returns them with the client's number
    /// for [`reconnect`](Servers::reconnect).
    pub(crate) fn client(&self, reaches: &[usize]) -> (Vec<ClientEnd>, usize) {
        let client = self.clients.replace(self.clients.get() + 1);
        let ends = self.all().into_iter().map(|to| self.make_end(&client_end(client, to), to)).collect();
        self.reconnect(client, reaches);
        (ends, client)
    }

    /// Connects a client to these servers, and to no others.
    pub(crate) fn reconnect(&self, client: usize, reaches: &[usize]) {
        self.all().iter().for_each(|to| self.network.enable(client_end(client, *to), reaches.contains(to)));
    }

    /// Makes a new client's end to one server.
    pub(crate) fn end(&self, to: usize) -> ClientEnd {
        self.client(&[to]).0.swap_remove(to)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.borrow().len()
    }

    /// Returns all servers, including stopped ones.
    pub(crate) fn all(&self) -> Vec<usize> {
        (0..self.len()).collect()
    }

    /// Returns all servers except one.
    pub(crate) fn others(&self, server: usize) -> Vec<usize> {
        (0..self.len()).filter(|&other| other != server).collect()
    }

    /// Returns the running servers.
    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.len()).filter(|&server| self.is_running(server)).collect()
    }

    pub(crate) fn is_running(&self, server: usize) -> bool {
        self.slots.borrow()[server].running.is_some()
    }

    /// Returns a server, which must be running.
    pub(crate) fn server(&self, server: usize) -> Arc<S> {
        Arc::clone(&self.slots.borrow()[server].running.as_ref().expect("the server is running").0)
    }

    /// Calls `f` as one of the threads of a running server. Events that it records and threads that it starts belong to
    /// the server.
    pub(crate) fn call<T>(&self, server: usize, f: impl FnOnce(Arc<S>) -> T) -> T {
        let running = self.slots.borrow()[server].running.as_ref().map(|(_, group)| group.clone());
        running.expect("the server is running").enter(|| f(self.server(server)))
    }

    /// Returns the state that a server has saved, and to which it saves if it is running.
    pub(crate) fn persister(&self, server: usize) -> Arc<Persister> {
        Arc::clone(&self.slots.borrow()[server].persister)
    }

    /// Waits for the leader of the latest term among these servers.
    pub(crate) fn leader_among(&self, servers: &[usize]) -> usize {
        wait_for("a leader is elected", || {
            let latest = servers.iter().map(|&server| (self.server(server).get_state(), server)).max();
            latest.and_then(|((_, leads), server)| leads.then_some(server))
        })
    }

    pub(crate) fn leader(&self) -> usize {
        self.leader_among(&self.running())
    }

    /// Kills all servers. Fails if one of their threads does not end in time.
    pub(crate) fn shut_down(&self) {
        self.running().into_iter().for_each(|server| self.crash(server));
        self.network.cleanup();
        let deadline = Instant::now() + KILL_GRACE;
        for group in self.killed.take() {
            while !group.threads().is_empty() {
                let left: Vec<String> = group.threads().iter().map(ToString::to_string).collect();
                assert!(Instant::now() < deadline, "threads of {} outlive it: {left:#?}", group.name());
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn incarnation(&self, server: usize) -> u32 {
        self.slots.borrow()[server].incarnations
    }

    /// Returns the name of an end of a server's current incarnation.
    fn peer_end(&self, from: usize, to: usize) -> String {
        format!("S{from}#{}->S{to}", self.incarnation(from))
    }

    fn make_end(&self, name: &str, to: usize) -> ClientEnd {
        let end = self.network.make_end(name);
        self.network.connect(name, format!("S{to}"));
        end
    }
}

fn client_end(client: usize, to: usize) -> String {
    format!("client{client}->S{to}")
}

/// Waits until `holds` returns true. Fails after [`EVENTUALLY_LIMIT`].
#[track_caller]
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    wait_for(what, || holds().then_some(()));
}

/// Waits until `find` returns a value. Fails after [`EVENTUALLY_LIMIT`].
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, find: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + EVENTUALLY_LIMIT;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < deadline, "not so after {EVENTUALLY_LIMIT:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
