//! Servers are killed repeatedly while clients write. No acknowledged write may be lost, and none may be executed
//! twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use kvnode::wire::{Clerk, ClerkSettings};
use raftapi::ServerId;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tester::kv::KvClusterConfig;

use crate::cluster::Processes;

/// Number of clusters. After most kills a cluster waits for an election, so several clusters wait side by side.
const CLUSTERS: u64 = 4;

/// Number of times that servers of a cluster are killed.
const ROUNDS: u32 = 25;

/// Number of clients of a cluster that write at the same time.
const CLIENTS: u64 = 8;

/// Pause of a client between two writes.
const PAUSE: Duration = Duration::from_millis(1);

/// Time limit for the servers to make progress on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn acknowledged_writes_survive_a_hundred_kills() {
    let _permit = tester::gate::admit_processes(30);
    thread::scope(|scope| {
        for seed in 1..=CLUSTERS {
            scope.spawn(move || kill_repeatedly(seed));
        }
    });
}

/// Kills servers of one cluster while clients write, and checks what the clients read at the end.
fn kill_repeatedly(seed: u64) {
    let setting = KvClusterConfig { servers: 3, reliable: true, max_raft_state: Some(4096) };
    let cluster = Processes::start(setting);
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (addresses, stop, acknowledged) = (cluster.addresses(), Arc::clone(&stop), Arc::clone(&acknowledged));
            thread::spawn(move || write(client, addresses, &stop, &acknowledged))
        })
        .collect();

    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let all: Vec<ServerId> = (0..setting.servers).map(ServerId).collect();
    let begun = Instant::now();
    for round in 0..ROUNDS {
        // Every client has made progress since the last kill.
        let goal = acknowledged.load(Relaxed) + CLIENTS;
        let since = Instant::now();
        while acknowledged.load(Relaxed) < goal {
            assert!(
                since.elapsed() < TIMEOUT,
                "seed {seed}, round {round}: the servers make no progress; their logs end with:\n{}",
                all.iter().map(|&id| format!("{id}: {}\n", cluster.log_tail(id))).collect::<String>()
            );
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(rng.random_range(0..100)));
        // One, two, or all servers at the same moment.
        let count = rng.random_range(1..=all.len());
        let killed: Vec<ServerId> = all.sample(&mut rng, count).copied().collect();
        killed.iter().for_each(|&id| cluster.kill(id));
        thread::sleep(Duration::from_millis(rng.random_range(0..100)));
        killed.iter().for_each(|&id| cluster.boot(id));
    }
    stop.store(true, Relaxed);
    let written: Vec<u64> = clients.into_iter().map(|client| client.join().expect("a client")).collect();
    let mut reader = Clerk::new(cluster.addresses(), ClerkSettings::default());
    for (client, &count) in (0..).zip(&written) {
        let value = reader.get(&key(client)).expect("a reply").unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&value), expected(client, count), "client {client}");
    }
    let total: u64 = written.iter().sum();
    println!("seed {seed}: {ROUNDS} rounds in {:.0} s, {total} writes acknowledged", begun.elapsed().as_secs_f64());
}

/// A client that appends numbers to its own key, and reads it from time to time. Returns the number of its writes.
fn write(client: u64, addresses: Vec<String>, stop: &AtomicBool, acknowledged: &AtomicU64) -> u64 {
    let mut clerk = Clerk::new(addresses, ClerkSettings::default());
    let mut written = 0;
    while !stop.load(Relaxed) {
        // A client without pauses would only keep the machine busy: a kill finds writes under way in any case.
        thread::sleep(PAUSE);
        clerk.append(&key(client), element(client, written)).expect("a reply");
        written += 1;
        acknowledged.fetch_add(1, Relaxed);
        if written % 64 == 0 {
            let value = clerk.get(&key(client)).expect("a reply").unwrap_or_default();
            assert_eq!(String::from_utf8_lossy(&value), expected(client, written), "client {client}");
        }
    }
    written
}

fn key(client: u64) -> String {
    format!("client-{client}")
}

fn element(client: u64, number: u64) -> String {
    format!("{client}.{number};")
}

fn expected(client: u64, count: u64) -> String {
    (0..count).map(|number| element(client, number)).collect()
}
