//! Throughput and latency of three servers over a reliable network, on threads: operations per second, median and 99th
//! percentile.
//!
//! `cargo bench --manifest-path bench/Cargo.toml --bench clerks` measures 1 and 32 clerks, each in a closed loop on its
//! own key: Puts alone, with and without snapshots, Gets alone, and half Appends, half Gets as in the lab. `-- Puts 32`
//! measures only these rows.

use std::time::{Duration, Instant};

use labstd::{Run, thread};
use raftapi::ServerId;
use tester::kv::{ErasedClerk, InProcessCluster, KvCluster, KvClusterConfig, KvSubject};

const SERVERS: usize = 3;

/// Duration of the measurement of each row.
const MEASURED: Duration = Duration::from_secs(3);

/// Operations on a value before a Put replaces it, so that it does not grow without end.
const OPERATIONS_A_VALUE: u64 = 1000;

/// The size of Raft's saved state at which a server with snapshots makes one, in bytes, as in part 4B.
const MAX_RAFT_STATE: usize = 1000;

/// The operations of the clerks.
#[derive(Clone, Copy, Debug)]
enum Load {
    Puts,
    PutsSnapshots,
    Gets,
    AppendsAndGets,
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let (loads, counts) = ([Load::Puts, Load::PutsSnapshots, Load::Gets, Load::AppendsAndGets], [1, 32]);
    let some_count = counts.iter().any(|count: &usize| wanted.contains(&count.to_string()));
    println!("{:<16} {:>6} {:>11} {:>12} {:>9} {:>9}", "load", "clerks", "operations", "a second", "median", "99th");
    for load in loads.into_iter().filter(|load| wants(&format!("{load:?}"))) {
        for clerks in counts.into_iter().filter(|count| !some_count || wants(&count.to_string())) {
            let mut latencies = measure(load, clerks);
            latencies.sort_unstable();
            let percentile = |share: f64| latencies[(latencies.len() as f64 * share) as usize].as_secs_f64() * 1e6;
            println!(
                "{:<16} {clerks:>6} {:>11} {:>12.0} {:>6.0} us {:>6.0} us",
                format!("{load:?}"),
                latencies.len(),
                latencies.len() as f64 / MEASURED.as_secs_f64(),
                percentile(0.5),
                percentile(0.99)
            );
        }
    }
}

/// Returns the latency of each operation.
fn measure(load: Load, clerks: usize) -> Vec<Duration> {
    let outcome = Run::threads(1).time_limit(Duration::from_secs(60)).execute(move || {
        let max_raft_state = matches!(load, Load::PutsSnapshots).then_some(MAX_RAFT_STATE);
        let setting = KvClusterConfig { servers: SERVERS, reliable: true, max_raft_state };
        let cluster = InProcessCluster::new(setting, KvSubject::of::<kvraft::KvServer<raft::Raft>>());
        let all: Vec<ServerId> = (0..SERVERS).map(ServerId).collect();
        // Waits for a leader.
        cluster.clerk(&all).1.put("ready", "");
        let end = Instant::now() + MEASURED;
        let clerks: Vec<_> = (0..clerks)
            .map(|number| {
                let (_, clerk) = cluster.clerk(&all);
                thread::spawn(format!("clerk-{number}"), move || work(load, clerk, number, end))
            })
            .collect();
        let latencies = clerks.into_iter().flat_map(|clerk| clerk.join().expect("a clerk does not panic")).collect();
        cluster.shut_down();
        latencies
    });
    outcome.result.expect("the run passes")
}

/// Runs one clerk until `end`. Returns the latency of each operation.
fn work(load: Load, mut clerk: Box<dyn ErasedClerk>, number: usize, end: Instant) -> Vec<Duration> {
    let key = number.to_string();
    let mut latencies = Vec::new();
    for operation in 0.. {
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        match load {
            Load::Puts | Load::PutsSnapshots => clerk.put(&key, "sixteen letters."),
            Load::Gets => drop(clerk.get(&key)),
            Load::AppendsAndGets if operation % OPERATIONS_A_VALUE == 0 => clerk.put(&key, ""),
            Load::AppendsAndGets if operation % 2 == 0 => clerk.append(&key, &format!("x {number} {operation} y")),
            Load::AppendsAndGets => drop(clerk.get(&key)),
        }
        latencies.push(begun.elapsed());
    }
    latencies
}
