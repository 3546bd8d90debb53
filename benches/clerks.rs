//! What clients get from three servers over a reliable network, on threads: operations per second, and how long one takes at
//! the median and at the 99th percentile.
//!
//! `cargo bench --bench clerks` measures 1 and 32 clerks, each in a closed loop on a key of its own: Puts alone, Gets alone,
//! and half Appends, half Gets as in the lab.

use std::time::{Duration, Instant};

use labstd::sync::Arc;
use labstd::{Run, thread};
use raftapi::ServerId;
use tester::kv::{InProcess, KvCluster, KvHandle, KvSetting};

const SERVERS: usize = 3;

/// How long each row is measured.
const MEASURED: Duration = Duration::from_secs(3);

/// Operations on a value before it is put anew, so that it does not grow without end.
const OPERATIONS_A_VALUE: u64 = 1000;

/// What the clerks ask for.
#[derive(Clone, Copy, Debug)]
enum Load {
    Puts,
    Gets,
    AppendsAndGets,
}

fn main() {
    println!("{:<16} {:>6} {:>11} {:>12} {:>9} {:>9}", "load", "clerks", "operations", "a second", "median", "99th");
    for load in [Load::Puts, Load::Gets, Load::AppendsAndGets] {
        for clerks in [1, 32] {
            let mut latencies = measure(load, clerks);
            latencies.sort_unstable();
            let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize].as_secs_f64() * 1e6;
            println!(
                "{:<16} {clerks:>6} {:>11} {:>12.0} {:>6.0} us {:>6.0} us",
                format!("{load:?}"),
                latencies.len(),
                latencies.len() as f64 / MEASURED.as_secs_f64(),
                at(0.5),
                at(0.99)
            );
        }
    }
}

/// How long each operation took.
fn measure(load: Load, clerks: usize) -> Vec<Duration> {
    let outcome = Run::threads(1).time_limit(Duration::from_secs(60)).execute(move || {
        let setting = KvSetting { servers: SERVERS, reliable: true, max_raft_state: None };
        let make = <kvraft::KvServer<raft::Raft> as raftapi::KvService>::make;
        let cluster = InProcess::new(setting, Arc::new(make));
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
    outcome.result.expect("nothing goes wrong")
}

/// One clerk, until the end.
fn work(load: Load, mut clerk: Box<dyn KvHandle>, number: usize, end: Instant) -> Vec<Duration> {
    let key = number.to_string();
    let mut latencies = Vec::new();
    for operation in 0.. {
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        match load {
            Load::Puts => clerk.put(&key, "a value of 24 characters"),
            Load::Gets => drop(clerk.get(&key)),
            Load::AppendsAndGets if operation % OPERATIONS_A_VALUE == 0 => clerk.put(&key, ""),
            Load::AppendsAndGets if operation % 2 == 0 => clerk.append(&key, &format!("x {number} {operation} y")),
            Load::AppendsAndGets => drop(clerk.get(&key)),
        }
        latencies.push(begun.elapsed());
    }
    latencies
}
