//! Random faults, drawn from a seed, while clients read and write. `nemesis.rs` has the faults. The histories of the
//! clients must be linearizable, each server that stops must give a known reason, and at the end all servers must have
//! the same data.
//!
//! `KVNODE_SOAK_SECONDS=1800 KVNODE_SOAK_SEED=7 cargo test --release -p kvnode --test processes soak -- --nocapture`
//! runs one seed for half an hour.
//!
//! # The size of a history
//!
//! The cost of a check grows fast with the number of operations without a reply, because each of them may take effect
//! at any later time. So the clients use new keys every [`KEY_LIFETIME`]. The check loses nothing by this. Each key is
//! a register of its own, and a history is linearizable if and only if the history of each register is (Herlihy and
//! Wing, 1990). A write that is lost after the last client has left its key would go unnoticed. So one client reads
//! every key at the end, and these reads belong to the histories.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use kvnode::storage::{self, Storage, SyncPolicy};
use kvnode::wire::{Clerk, ClerkSettings};
use linearizability::register::{Access, History, ReadResult};
use linearizability::{Operation, Verdict};
use raftapi::ServerId;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tester::kv::KvClusterConfig;

use crate::cluster::Processes;
use crate::nemesis::{Nemesis, TIMEOUT};

/// The time for which faults happen by default, in seconds.
const SECONDS: u64 = 10;
const SERVERS: usize = 3;
const CLIENTS: u32 = 4;
/// Few keys at a time, so that clients meet.
const KEYS: usize = 5;
/// The time after which the clients use other keys. It is longer than most faults, so that a key lives through some.
const KEY_LIFETIME: Duration = Duration::from_secs(10);
/// Time limit of one operation. Some faults last longer, so some operations get no reply.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause of a client between two operations, so that the servers have time for faults on a busy machine.
const PAUSE: Duration = Duration::from_millis(5);
/// Steps of the check of one key: less than a minute.
const BUDGET: u64 = 1 << 28;

/// The operations on each key.
type Histories = BTreeMap<String, Vec<Operation<Access>>>;

#[test]
fn histories_are_linearizable_under_all_faults() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (seconds, seed) = (number("KVNODE_SOAK_SECONDS", SECONDS), number("KVNODE_SOAK_SEED", 1));
    let setting = KvClusterConfig { servers: SERVERS, reliable: true, max_raft_state: Some(16 << 10) };
    let cluster = Processes::start(setting);
    let (stop, begun) = (Arc::new(AtomicBool::new(false)), Instant::now());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (client, stop) = (Client::new(client, cluster.addresses(), begun), Arc::clone(&stop));
            let rng = ChaCha8Rng::seed_from_u64(seed ^ (u64::from(client.id) + 1) << 32);
            thread::spawn(move || client.run(rng, &stop))
        })
        .collect();

    let mut nemesis = Nemesis::new(cluster, seed);
    while begun.elapsed() < Duration::from_secs(seconds) {
        nemesis.fault();
    }
    stop.store(true, Relaxed);
    let mut histories = Histories::new();
    let mut add = |more: Histories| {
        more.into_iter().for_each(|(key, operations)| histories.entry(key).or_default().extend(operations));
    };
    clients.into_iter().for_each(|client| add(client.join().expect("a client")));
    let mut reader = Client::with_timeout(CLIENTS, nemesis.cluster.addresses(), begun, TIMEOUT);
    (0..=reader.key_generation()).for_each(|generation| (0..KEYS).for_each(|key| reader.read(generation, key)));
    add(reader.histories);

    print_figures(seed, seconds, &nemesis, &histories);
    let keys: BTreeSet<String> = histories.keys().cloned().collect();
    check_histories(histories);
    for server in servers() {
        let log = nemesis.cluster.full_log(server);
        let evidence: Vec<&str> = log.lines().filter(|line| line.contains("it has lost data")).collect();
        assert!(evidence.is_empty(), "{server} says that a server has lost data without noticing: {evidence:?}");
    }
    servers_have_the_same_data(&nemesis.cluster, &keys);
}

/// Prints the figures of a run. Fails if the clients made no progress.
fn print_figures(seed: u64, seconds: u64, nemesis: &Nemesis, histories: &Histories) {
    let operations = || histories.values().flatten();
    let count = operations().count();
    let unanswered = operations().filter(|operation| operation.ret == u64::MAX).count();
    let is_write = |operation: &&Operation<Access>| matches!(operation.action, Access::Write(_));
    let acknowledged = operations().filter(is_write).filter(|write| write.ret != u64::MAX).count();
    println!(
        "seed {seed}, {seconds} s: {count} operations on {} keys, {acknowledged} of them acknowledged writes, \
         {unanswered} without a reply",
        histories.len()
    );
    println!("faults: {:?}", nemesis.counts);
    println!("faults beside another one: {:?}", nemesis.side_counts);
    println!("servers that stopped, by reason: {:?}", nemesis.reasons);
    assert!(count as u64 > seconds * 10, "the clients make progress: {count}");
}

fn check_histories(histories: Histories) {
    let (begun, count) = (Instant::now(), histories.len());
    for (key, operations) in histories {
        let history = History::new(operations);
        let verdict = history.check(BUDGET).verdict;
        assert_eq!(verdict, Verdict::Ok, "the history of {key}: {:?}", history.operations());
    }
    println!("{count} of {count} histories linearizable, checked in {:.1} s", begun.elapsed().as_secs_f64());
}

/// Ends the servers when each has applied everything, and compares the values of all keys in their directories.
fn servers_have_the_same_data(cluster: &Processes, keys: &BTreeSet<String>) {
    wait_until_all_have_applied_all(cluster);
    // An applied entry reaches the disk with the next save.
    let mut client = Client::with_timeout(CLIENTS, cluster.addresses(), Instant::now(), TIMEOUT);
    client.clerk.put("end", "").expect("all servers run");
    wait_until_all_have_applied_all(cluster);
    servers().for_each(|server| cluster.shut_down_server(server));
    let values = servers().map(|server| {
        let owner = storage::Identity { cluster: "raftlab".to_string(), server, servers: SERVERS };
        let (storage, _) = Storage::open(cluster.data(server), &owner, SyncPolicy::Never).expect("its directory");
        keys.iter().map(|key| storage.get(key.as_bytes()).expect("a key can be read")).collect::<Vec<_>>()
    });
    let values: Vec<_> = values.collect();
    assert!(values.iter().all(|of_server| *of_server == values[0]), "the servers differ: {values:?}");
    println!("the {SERVERS} servers have the same value of each key");
}

fn wait_until_all_have_applied_all(cluster: &Processes) {
    let begun = Instant::now();
    loop {
        let statuses: Vec<_> = servers().filter_map(|server| cluster.status(server)).collect();
        let last = statuses.iter().map(|status| status.last_index).max();
        if statuses.len() == SERVERS && statuses.iter().all(|status| Some(status.applied) == last) {
            return;
        }
        assert!(begun.elapsed() < TIMEOUT, "some server does not catch up: {statuses:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn servers() -> impl Iterator<Item = ServerId> {
    (0..SERVERS).map(ServerId)
}

/// A client of the cluster, and the operations that it has executed.
struct Client {
    id: u32,
    clerk: Clerk,
    begun: Instant,
    histories: Histories,
}

impl Client {
    fn new(id: u32, addresses: Vec<String>, begun: Instant) -> Client {
        Client::with_timeout(id, addresses, begun, OPERATION_TIMEOUT)
    }

    fn with_timeout(id: u32, addresses: Vec<String>, begun: Instant, timeout: Duration) -> Client {
        let settings = ClerkSettings { deadline: Some(timeout), ..ClerkSettings::default() };
        Client { id, clerk: Clerk::new(addresses, settings), begun, histories: Histories::new() }
    }

    /// Reads and writes random keys until it is stopped. Each write has a value of its own.
    fn run(mut self, mut rng: ChaCha8Rng, stop: &AtomicBool) -> Histories {
        let mut next = i64::from(self.id);
        while !stop.load(Relaxed) {
            let (generation, key) = (self.key_generation(), rng.random_range(0..KEYS));
            if rng.random_bool(0.5) {
                next += i64::from(CLIENTS);
                self.write(generation, key, next);
            } else {
                self.read(generation, key);
            }
            thread::sleep(PAUSE);
        }
        self.histories
    }

    fn key_generation(&self) -> u64 {
        self.begun.elapsed().as_secs() / KEY_LIFETIME.as_secs()
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    fn write(&mut self, generation: u64, key: usize, value: i64) {
        let (name, call) = (key_name(generation, key), self.now());
        let is_answered = self.clerk.put(&name, value.to_string()).is_ok();
        self.record(name, call, Access::Write(value), is_answered);
    }

    fn read(&mut self, generation: u64, key: usize) {
        let (name, call) = (key_name(generation, key), self.now());
        let read = self.clerk.get(&name);
        let result = match &read {
            Ok(Some(value)) => {
                let text = std::str::from_utf8(value).expect("what was put was text");
                ReadResult::Value(text.parse().expect("what was put was a number"))
            }
            Ok(None) => ReadResult::Absent,
            Err(_) => ReadResult::Unknown,
        };
        self.record(name, call, Access::Read(result), read.is_ok());
    }

    fn record(&mut self, key: String, call: u64, action: Access, is_answered: bool) {
        // An operation without a reply may take effect at any later time.
        let ret = if is_answered { self.now() } else { u64::MAX };
        self.histories.entry(key).or_default().push(Operation { client: self.id, call, ret, action });
    }
}

fn key_name(generation: u64, key: usize) -> String {
    format!("key-{generation}-{key}")
}
