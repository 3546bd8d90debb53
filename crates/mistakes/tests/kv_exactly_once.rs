//! The plain key/value service without a mistake, on a bare network. Every append must be executed once and in the
//! order of its client, whatever messages are lost and whichever servers crash. This test does not use the tester, so
//! it gives independent evidence that the service is correct.

use labrpc::{ClientEnd, Name, Network};
use labstd::rng::{self, RngExt, SliceRandom};
use labstd::sync::{Arc, Mutex};
use labstd::thread::{self, Group};
use labstd::time::Duration;
use labstd::{Run, simulate};
use mistakes::{Clerk, KvMistake, KvServer, Raft};
use raftapi::{KvClerk, KvService, Persister, ServerId};

type Kv = KvServer<Raft>;

const SERVERS: usize = 3;
const CLIENTS: usize = 3;
const APPENDS: usize = 40;
const SEEDS: u64 = 200;

/// A cluster whose servers can be crashed and restarted.
struct Cluster {
    network: Network,
    mistake: Option<KvMistake>,
    max_raft_state: Option<usize>,
    servers: Mutex<Vec<Server>>,
}

#[derive(Default)]
struct Server {
    incarnation: usize,
    persister: Arc<Persister>,
    kv: Option<Kv>,
}

impl Cluster {
    fn new(max_raft_state: Option<usize>, mistake: Option<KvMistake>) -> Arc<Cluster> {
        let servers = Mutex::new((0..SERVERS).map(|_| Server::default()).collect());
        let cluster = Arc::new(Cluster { network: Network::new(), mistake, max_raft_state, servers });
        (0..SERVERS).for_each(|server| cluster.start(server));
        cluster
    }

    fn start(&self, server: usize) {
        let mut servers = self.servers.lock();
        let this = &mut servers[server];
        this.incarnation += 1;
        this.persister = Arc::new(this.persister.copy());
        let peers = self.ends(&format!("S{server}#{}", this.incarnation)).collect();
        let group = Group::new(format!("S{server}#{}", this.incarnation), None);
        group.enter(|| {
            let factory = Kv::factory(self.mistake);
            let kv = factory(peers, ServerId(server), Arc::clone(&this.persister), self.max_raft_state);
            let rpc_server = kv.services().into_iter().fold(labrpc::Server::new(), labrpc::Server::with);
            self.network.add_server(format!("S{server}"), rpc_server);
            this.kv = Some(kv);
        });
    }

    /// Crashes a server. Only the state that it saved before it left the network is there after its restart.
    fn crash(&self, server: usize) {
        self.network.delete_server(format!("S{server}"));
        let mut servers = self.servers.lock();
        let this = &mut servers[server];
        this.persister = Arc::new(this.persister.copy());
        this.kv.take().expect("the server runs").kill();
    }

    fn clerk(&self, number: usize) -> Clerk {
        let mut ends: Vec<ClientEnd> = self.ends(&format!("clerk-{number}")).collect();
        ends.shuffle(&mut rng::stream(&format!("shuffle-{number}")));
        Clerk::make(ends)
    }

    fn ends(&self, from: &str) -> impl Iterator<Item = ClientEnd> {
        (0..SERVERS).map(move |to| {
            let name = Name::from(format!("{from}->S{to}"));
            let end = self.network.make_end(&name);
            self.network.connect(&name, format!("S{to}"));
            self.network.enable(&name, true);
            end
        })
    }

    fn sizes(&self) -> (usize, usize) {
        let servers = self.servers.lock();
        let state = servers.iter().map(|server| server.persister.raft_state_size()).max();
        let snapshot = servers.iter().map(|server| server.persister.snapshot_size()).max();
        (state.unwrap_or(0), snapshot.unwrap_or(0))
    }

    fn shut_down(&self) {
        (0..SERVERS).for_each(|server| self.crash(server));
        self.network.cleanup();
    }
}

/// Lets clients append to one key over an unreliable network while servers crash, sometimes all of them at once.
/// Returns the error in the final value, if there is one.
fn run_appends(cluster: &Arc<Cluster>) -> Option<String> {
    cluster.network.set_reliable(false);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let cluster = Arc::clone(cluster);
            thread::spawn(format!("client-{client}"), move || {
                let mut clerk = cluster.clerk(client);
                for n in 0..APPENDS {
                    clerk.append("k", &appended(client, n));
                }
            })
        })
        .collect();
    let mut chance = rng::stream("crashes");
    while clients.iter().any(|client| !client.is_finished()) {
        thread::sleep(Duration::from_millis(chance.random_range(0..1500)));
        let crashed = match chance.random_range(0..SERVERS * 2) {
            server if server < SERVERS => server..server + 1,
            _ => 0..SERVERS,
        };
        crashed.clone().for_each(|server| cluster.crash(server));
        thread::sleep(Duration::from_millis(chance.random_range(0..300)));
        crashed.for_each(|server| cluster.start(server));
    }
    clients.into_iter().for_each(|client| client.join().expect("a client ends"));
    error_in(&cluster.clerk(CLIENTS).get("k"))
}

/// Returns the error in `value`, which must be an interleaving of the clients' appends in their order.
fn error_in(value: &str) -> Option<String> {
    let mut next = [0; CLIENTS];
    let mut rest = value;
    while !rest.is_empty() {
        let after = |client: usize| rest.strip_prefix(&appended(client, next[client])).map(|rest| (client, rest));
        let Some((client, after)) = (0..CLIENTS).find_map(after) else {
            return Some(format!(
                "after the first {next:?} appends of the clients, the rest is not the next append of any client: {value}"
            ));
        };
        next[client] += 1;
        rest = after;
    }
    (next != [APPENDS; CLIENTS]).then(|| format!("appends are missing: {value}"))
}

fn appended(client: usize, n: usize) -> String {
    format!("x {client} {n} y")
}

/// Calls [`run_appends`] in a simulation of its own. Returns the sizes of the largest Raft state and snapshot.
fn run(seed: u64, max_raft_state: Option<usize>, mistake: Option<KvMistake>) -> Result<(usize, usize), String> {
    let outcome = Run::simulated(seed).time_limit(Duration::from_secs(300)).execute(move || {
        let cluster = Cluster::new(max_raft_state, mistake);
        let wrong = run_appends(&cluster);
        let sizes = cluster.sizes();
        cluster.shut_down();
        wrong.map_or(Ok(sizes), Err)
    });
    outcome.result.map_err(|failure| failure.to_string())?
}

#[test]
fn every_append_is_executed_once_and_in_order() {
    for seed in 1..=SEEDS {
        let (_, snapshot) = run(seed, None, None).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        assert_eq!(snapshot, 0, "seed {seed}: an unrequested snapshot");
    }
}

#[test]
fn with_snapshots_every_append_is_executed_once_in_order() {
    for seed in 1..=SEEDS {
        let (state, snapshot) = run(seed, Some(1000), None).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        assert!(state <= 8 * 1000, "seed {seed}: a Raft state of {state} bytes");
        assert!(snapshot > 0, "seed {seed}: no snapshot");
    }
}

#[test]
fn this_test_detects_a_reexecuted_write() {
    let seen = (1..=SEEDS).filter(|&seed| run(seed, None, Some(KvMistake::ReexecutesARetry)).is_err()).count();
    assert!(seen > 0, "none of {SEEDS} seeds");
}

#[test]
fn an_unwritten_key_is_empty_and_a_put_replaces_a_value() {
    simulate(1, || {
        let cluster = Cluster::new(None, None);
        let mut clerk = cluster.clerk(0);
        assert_eq!(clerk.get("k"), "");
        clerk.append("k", "a");
        clerk.append("k", "b");
        assert_eq!(clerk.get("k"), "ab");
        clerk.put("k", "c");
        assert_eq!(clerk.get("k"), "c");
        assert_eq!(clerk.get("other"), "");
        cluster.shut_down();
    });
}
