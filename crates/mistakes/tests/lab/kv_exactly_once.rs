//! The plain key/value service without a mistake, on a bare network. Every append must be executed once and in the
//! order of its client, whatever messages are lost and whichever servers crash. This test does not use the tester, so
//! it gives independent evidence that the service is correct.

use std::ops::Range;

use labstd::rng::{self, RngExt, SliceRandom};
use labstd::thread;
use labstd::time::Duration;
use labstd::{Run, simulate};
use mistakes::{Clerk, KvMistake, KvServer, Raft};
use raftapi::{KvClerk, Persister, ServerId};

use crate::servers::{Kv, Servers};

const SERVERS: usize = 3;
const CLIENTS: usize = 3;
const APPENDS: usize = 40;
const SEEDS: u64 = 200;

/// A cluster whose servers can be crashed and restarted.
struct Cluster {
    servers: Servers<Kv<KvServer<Raft>>>,
    mistake: Option<KvMistake>,
    max_raft_state: Option<usize>,
}

impl Cluster {
    fn new(max_raft_state: Option<usize>, mistake: Option<KvMistake>) -> Cluster {
        let cluster = Cluster { servers: Servers::new(SERVERS), mistake, max_raft_state };
        cluster.start(0..SERVERS);
        cluster
    }

    fn start(&self, servers: Range<usize>) {
        for me in servers {
            let make = KvServer::<Raft>::factory(self.mistake);
            self.servers.start(me, |ends, persister| Kv(make(ends, ServerId(me), persister, self.max_raft_state)));
        }
        self.servers.heal();
    }

    fn clerk(&self) -> Clerk {
        let (mut ends, number) = self.servers.client(&self.servers.all());
        ends.shuffle(&mut rng::stream(&format!("shuffle-{number}")));
        Clerk::make(ends)
    }

    /// Returns the size of the largest saved state.
    fn largest(&self, size: impl Fn(&Persister) -> usize) -> usize {
        self.servers.all().into_iter().map(|server| size(&self.servers.persister(server))).max().unwrap_or(0)
    }
}

/// Lets clients append to one key over an unreliable network while servers crash, sometimes all of them at once.
/// Returns the error in the final value, if there is one.
fn run_appends(cluster: &Cluster) -> Option<String> {
    cluster.servers.network.set_reliable(false);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let mut clerk = cluster.clerk();
            thread::spawn(format!("client-{client}"), move || {
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
        crashed.clone().for_each(|server| cluster.servers.crash(server));
        thread::sleep(Duration::from_millis(chance.random_range(0..300)));
        cluster.start(crashed);
    }
    clients.into_iter().for_each(|client| client.join().expect("a client ends"));
    error_in(&cluster.clerk().get("k"))
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
        let sizes = (cluster.largest(Persister::raft_state_size), cluster.largest(Persister::snapshot_size));
        cluster.servers.shut_down();
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
        let mut clerk = cluster.clerk();
        assert_eq!(clerk.get("k"), "");
        clerk.append("k", "a");
        clerk.append("k", "b");
        assert_eq!(clerk.get("k"), "ab");
        clerk.put("k", "c");
        assert_eq!(clerk.get("k"), "c");
        assert_eq!(clerk.get("other"), "");
        cluster.servers.shut_down();
    });
}
