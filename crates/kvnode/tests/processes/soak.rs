//! Random faults, drawn from a seed, while clients read and write: killed and stopped processes, links that are cut in
//! one direction, slow and failing syncs, and data directories that are emptied, restored from an older copy, or
//! removed under a running server. The histories of the clients must be linearizable, each server that stops must
//! give a reason, and a server without its data must stop until it is replaced.
//!
//! `KVNODE_SOAK_SECONDS=1800 KVNODE_SOAK_SEED=7 cargo test --release -p kvnode --test processes soak -- --nocapture`
//! runs one seed for half an hour.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use kvnode::wire::{Clerk, ClerkSettings};
use linearizability::register::{Access, History, ReadResult};
use linearizability::{Operation, Verdict};
use raftapi::ServerId;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tester::kv::KvClusterConfig;

use crate::cluster::Processes;

/// The time for which faults happen by default, in seconds.
const SECONDS: u64 = 10;
const CLIENTS: u32 = 4;
/// Few keys, so that clients meet; not one, so that a check stays short.
const KEYS: usize = 5;
/// Time limit of one operation. Faults end after a shorter time.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);
/// The pause of a client between two operations, so that a history of half an hour can be checked.
const PAUSE: Duration = Duration::from_millis(5);
/// Steps of the check of one key.
const BUDGET: u64 = 1 << 32;
/// Time limit for a server to catch up.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The operations of one client on each key.
type Operations = Vec<(usize, Operation<Access>)>;

#[test]
fn histories_are_linearizable_under_all_faults() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (seconds, seed) = (number("KVNODE_SOAK_SECONDS", SECONDS), number("KVNODE_SOAK_SEED", 1));
    let setting = KvClusterConfig { servers: 3, reliable: true, max_raft_state: Some(16 << 10) };
    let cluster = Processes::start(setting);
    let (stop, begun) = (Arc::new(AtomicBool::new(false)), Instant::now());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (addresses, stop) = (cluster.addresses(), Arc::clone(&stop));
            thread::spawn(move || run_client(client, seed, addresses, &stop, begun))
        })
        .collect();

    let mut nemesis = Nemesis { cluster, rng: ChaCha8Rng::seed_from_u64(seed), counts: BTreeMap::new() };
    // Before the cluster is founded, a server has no data that it could lose.
    (0..3).map(ServerId).for_each(|server| nemesis.wait_until_member(server));
    while begun.elapsed() < Duration::from_secs(seconds) {
        nemesis.fault();
        nemesis.pause(100..600);
    }
    stop.store(true, Relaxed);
    let mut histories: Vec<Vec<Operation<Access>>> = vec![Vec::new(); KEYS];
    for client in clients {
        let operations: Operations = client.join().expect("a client");
        operations.into_iter().for_each(|(key, operation)| histories[key].push(operation));
    }
    let count: usize = histories.iter().map(Vec::len).sum();
    println!("seed {seed}: {count} operations in {seconds} s; faults: {:?}", nemesis.counts);
    assert!(count as u64 > seconds * 10, "the clients make progress: {count}");
    for (key, operations) in histories.into_iter().enumerate() {
        let verdict = History::new(operations).check(BUDGET).verdict;
        assert_eq!(verdict, Verdict::Ok, "seed {seed}: the history of key {key}");
    }
}

/// Reads and writes random keys until it is stopped. Each write has a value of its own.
fn run_client(client: u32, seed: u64, addresses: Vec<String>, stop: &AtomicBool, begun: Instant) -> Operations {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (u64::from(client) + 1) << 32);
    let settings = ClerkSettings { deadline: Some(OPERATION_TIMEOUT), ..ClerkSettings::default() };
    let mut clerk = Clerk::new(addresses, settings);
    let now = || begun.elapsed().as_micros() as u64;
    let mut operations = Vec::new();
    let mut next = i64::from(client);
    while !stop.load(Relaxed) {
        let key = rng.random_range(0..KEYS);
        let name = format!("key-{key}");
        let call = now();
        let (action, answered) = if rng.random_bool(0.5) {
            next += i64::from(CLIENTS);
            (Access::Write(next), clerk.put(&name, next.to_string()).is_ok())
        } else {
            let read = clerk.get(&name);
            let result = match &read {
                Ok(Some(value)) => {
                    let text = std::str::from_utf8(value).expect("what was put was text");
                    ReadResult::Value(text.parse().expect("what was put was a number"))
                }
                Ok(None) => ReadResult::Absent,
                Err(_) => ReadResult::Unknown,
            };
            (Access::Read(result), read.is_ok())
        };
        // An operation without a reply may take effect at any later time.
        let ret = if answered { now() } else { u64::MAX };
        operations.push((key, Operation { client, call, ret, action }));
        thread::sleep(PAUSE);
    }
    operations
}

/// The source of faults. After each fault all servers run, are connected, and have their data.
struct Nemesis {
    cluster: Processes,
    rng: ChaCha8Rng,
    /// The number of faults of each kind.
    counts: BTreeMap<&'static str, u32>,
}

impl Nemesis {
    fn fault(&mut self) {
        let server = self.server();
        let kind = match self.rng.random_range(0..100) {
            0..30 => self.kill_some(),
            30..50 => self.stop_and_continue(server),
            50..70 => self.cut_links(),
            70..80 => self.disk_fails(server),
            80..87 => self.empty_directory(server),
            87..94 => self.older_copy(server),
            _ => self.remove_directory(server),
        };
        *self.counts.entry(kind).or_default() += 1;
    }

    fn server(&mut self) -> ServerId {
        ServerId(self.rng.random_range(0..3))
    }

    fn pause(&mut self, milliseconds: std::ops::Range<u64>) {
        thread::sleep(Duration::from_millis(self.rng.random_range(milliseconds)));
    }

    fn kill_some(&mut self) -> &'static str {
        let killed: Vec<ServerId> = (0..3).map(ServerId).filter(|_| self.rng.random_bool(0.5)).collect();
        killed.iter().for_each(|&id| self.cluster.kill(id));
        self.pause(0..300);
        killed.iter().for_each(|&id| self.cluster.boot(id));
        "killed"
    }

    fn stop_and_continue(&mut self, server: ServerId) -> &'static str {
        self.cluster.signal(server, "STOP");
        self.pause(100..1500);
        self.cluster.signal(server, "CONT");
        "stopped"
    }

    /// Cuts some links, each in one direction.
    fn cut_links(&mut self) -> &'static str {
        let pairs: Vec<(ServerId, ServerId)> =
            (0..3).flat_map(|from| (0..3).map(move |to| (ServerId(from), ServerId(to)))).collect();
        let cut: Vec<_> = pairs.into_iter().filter(|(from, to)| from != to && self.rng.random_bool(0.5)).collect();
        cut.iter().for_each(|&(from, to)| self.cluster.set_link(from, to, false));
        self.pause(300..1500);
        cut.iter().for_each(|&(from, to)| self.cluster.set_link(from, to, true));
        "partitioned"
    }

    /// Makes each sync slow, and one of them fail: the server must stop with one line, and starts again.
    fn disk_fails(&mut self, server: ServerId) -> &'static str {
        self.cluster.kill(server);
        let (delay, fails_at) = (self.rng.random_range(0..20), self.rng.random_range(20..60));
        self.cluster.boot_with(server, &["--sync-faults", &format!("{delay}:{fails_at}")]);
        let line = self.cluster.wait_for_failure(server);
        assert!(line.contains("check whether the disk is full or broken"), "{line}");
        self.cluster.boot(server);
        "failing disk"
    }

    fn empty_directory(&mut self, server: ServerId) -> &'static str {
        self.cluster.kill(server);
        fs::remove_dir_all(self.cluster.data(server)).expect("a directory");
        self.cluster.boot(server);
        self.stops_and_is_replaced(server, "is new");
        "emptied"
    }

    fn older_copy(&mut self, server: ServerId) -> &'static str {
        let (data, copy) = (self.cluster.data(server), self.cluster.data(server).with_extension("copy"));
        self.cluster.kill(server);
        let _ = fs::remove_dir_all(&copy);
        crate::lost_data::copy(&data, &copy);
        self.cluster.boot(server);
        // The others save the new start before they admit the server.
        self.wait_until_member(server);
        self.cluster.kill(server);
        fs::remove_dir_all(&data).expect("a directory");
        fs::rename(&copy, &data).expect("the copy");
        self.cluster.boot(server);
        self.stops_and_is_replaced(server, "is an older copy");
        "older copy"
    }

    fn remove_directory(&mut self, server: ServerId) -> &'static str {
        fs::remove_dir_all(self.cluster.data(server)).expect("a directory");
        let line = self.cluster.wait_for_failure(server);
        assert!(line.contains("was removed or replaced under the running server"), "{line}");
        self.cluster.boot(server);
        self.stops_and_is_replaced(server, "is new");
        "removed"
    }

    fn stops_and_is_replaced(&mut self, server: ServerId, reason: &str) {
        let line = self.cluster.wait_for_failure(server);
        assert!(line.contains(reason) && line.contains("serve --replace"), "{line}");
        let _ = fs::remove_dir_all(self.cluster.data(server));
        self.cluster.boot_with(server, &["--replace"]);
        self.wait_until_member(server);
    }

    /// Waits until the server follows or leads as an ordinary member, and has applied something in this start.
    fn wait_until_member(&mut self, server: ServerId) {
        let begun = Instant::now();
        let is_member = |status: &kvnode::node::NodeStatus| status.standing.is_empty() && status.leader.is_some();
        while !self.cluster.status(server).as_ref().is_some_and(is_member) {
            assert!(begun.elapsed() < TIMEOUT, "{server} does not catch up: {}", self.cluster.log_tail(server));
            thread::sleep(Duration::from_millis(10));
        }
    }
}
