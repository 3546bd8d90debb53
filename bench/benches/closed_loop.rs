//! Benchmark of the cost of an operation. Clerks run in a closed loop, half Appends and half Gets, on a reliable
//! network.
//!
//! `cargo bench --manifest-path bench/Cargo.toml --bench closed_loop` prints the real time and the RPCs per operation,
//! for several sizes of the cluster and numbers of clerks, simulated (the sum of seeds 1 to 5) and on threads. `--
//! simulated` or `-- threads` prints only one of them.

#[path = "../../kvraft/tests/cluster/mod.rs"]
mod cluster;

use cluster::{Cluster, Reference};
use labstd::thread;
use labstd::time::{Duration, Instant};
use labstd::{Clock, Run};
use raftapi::KvClerk;
use record::{Options, Recorder, Scope};

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wants = |clock: &str| wanted.is_empty() || wanted.iter().any(|name| name == clock);
    println!("clock      servers clerks snapshots       ops  real us/op  run us/op  RPCs/op");
    for (clock, clerks) in [(Clock::Simulated, [1, 20]), (Clock::Threads, [1, 32])] {
        if !wants(if clock == Clock::Simulated { "simulated" } else { "threads" }) {
            continue;
        }
        for servers in [3, 5] {
            for clerks in clerks {
                for max_raft_state in [None, Some(1000)] {
                    measure(clock, servers, clerks, max_raft_state);
                }
            }
        }
    }
}

/// Number of operations of a clerk on a value before it empties the value, so that values stay short.
const OPERATIONS_PER_VALUE: usize = 1000;

/// Total cost of one or more runs.
#[derive(Default)]
struct Costs {
    operations: usize,
    real: Duration,
    elapsed: Duration,
    rpcs: u64,
}

fn measure(clock: Clock, servers: usize, clerks: usize, max_raft_state: Option<usize>) {
    // The seed decides the schedule of a simulation, and schedules differ in cost.
    let seeds = if clock == Clock::Simulated { 1..=5 } else { 1..=1 };
    let mut sum = Costs::default();
    for seed in seeds {
        // Recording is a part of the cost of a run.
        let recorder = Recorder::new(Options::default());
        let run = Run::new(clock, seed).context(Scope::new(&recorder, None).into_context());
        let outcome = run.execute(move || closed_loop(servers, clerks, max_raft_state));
        let (operations, elapsed, rpcs) = outcome.result.expect("a run without faults succeeds");
        sum.operations += operations;
        sum.elapsed += elapsed;
        sum.rpcs += rpcs;
        // Starting and stopping a simulated cluster takes hardly any real time. On threads an election takes real time,
        // so only the loop itself is counted.
        sum.real += if clock == Clock::Simulated { outcome.stats.wall_time } else { elapsed };
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / sum.operations as f64;
    println!(
        "{:<10} {servers:>7} {clerks:>6} {:>9} {:>9} {:>11.1} {:>10.1} {:>8.2}",
        if clock == Clock::Simulated { "simulated" } else { "threads" },
        if max_raft_state.is_some() { "yes" } else { "no" },
        sum.operations,
        micros(sum.real),
        micros(sum.elapsed),
        sum.rpcs as f64 / sum.operations as f64,
    );
}

/// Runs the clerks. Returns the number of operations, their time on the run's clock, and the number of RPCs.
fn closed_loop(servers: usize, clerks: usize, max_raft_state: Option<usize>) -> (usize, Duration, u64) {
    let operations = 10_000 / clerks;
    let cluster = Cluster::<Reference>::new(servers, max_raft_state);
    cluster.clerk_of_all().put("ready", "");
    let begun = Instant::now();
    let rpcs = cluster.network.total_count();
    let threads: Vec<_> = (0..clerks)
        .map(|number| {
            let mut clerk = cluster.clerk_of_all();
            thread::spawn(format!("clerk-{number}"), move || {
                let key = number.to_string();
                for n in 0..operations {
                    match n % 2 {
                        _ if n % OPERATIONS_PER_VALUE == 0 => clerk.put(&key, ""),
                        0 => clerk.append(&key, &format!("x {number} {n} y")),
                        _ => drop(clerk.get(&key)),
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("a clerk does not panic"));
    let rpcs = cluster.network.total_count() - rpcs;
    let costs = (operations * clerks, begun.elapsed(), rpcs);
    cluster.shut_down();
    costs
}
