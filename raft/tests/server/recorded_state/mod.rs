//! The record alone gives every server's state at every moment: role, term, vote, the log with the term of each entry,
//! and the commit, applied and snapshot indexes. Clusters run through faults, and a small reader reconstructs each
//! server's state from the events. At many moments the tests compare it with the state that the server reports and has
//! saved.

mod cluster;
mod model;

use cluster::Cluster;
use labstd::Run;
use labstd::rng::{self, RngExt};
use labstd::thread;
use labstd::time::Duration;
use model::Coverage;
use record::{Options, Recorder, Scope};

/// Runs a cluster through faults and compares everything after each step.
fn run_with_faults(servers: usize, steps: usize) -> Coverage {
    let mut cluster = Cluster::new(servers);
    let mut rng = rng::stream("faults");
    for _ in 0..steps {
        match rng.random_range(0..10) {
            0..3 => {
                let (one, other): (Vec<usize>, Vec<usize>) = (0..servers).partition(|_| rng.random_bool(0.5));
                cluster.servers.partition(&[&one, &other]);
            }
            3..5 => cluster.servers.heal(),
            5..7 => {
                let server = rng.random_range(0..servers);
                if cluster.servers.is_running(server) {
                    cluster.crash(server);
                } else {
                    cluster.start(server);
                }
            }
            7 => cluster.servers.network.set_reliable(rng.random_bool(0.5)),
            _ => {}
        }
        for _ in 0..rng.random_range(1..6) {
            cluster.propose(rng.random_range(0..4));
            cluster.compare();
            thread::sleep(Duration::from_micros(rng.random_range(0..150_000)));
            cluster.compare();
        }
    }
    cluster.servers.network.set_reliable(true);
    for server in 0..servers {
        if !cluster.servers.is_running(server) {
            cluster.start(server);
        }
    }
    cluster.servers.heal();
    cluster.wait_until_quiet();
    let coverage = cluster.model.coverage;
    cluster.servers.shut_down();
    coverage
}

fn recorded(run: Run, servers: usize, steps: usize) -> Coverage {
    let recorder = Recorder::new(Options::default());
    let context = Scope::new(&recorder, None).into_context();
    let outcome =
        run.context(context).time_limit(Duration::from_secs(300)).execute(move || run_with_faults(servers, steps));
    outcome.result.unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn the_record_alone_gives_each_servers_state() {
    let mut total = Coverage::default();
    for seed in 0..30 {
        let run = recorded(Run::simulated(seed).named(format!("seed {seed}")), if seed % 3 == 0 { 5 } else { 3 }, 60);
        total.restarts_with_a_log += run.restarts_with_a_log;
        total.restarts_with_a_snapshot += run.restarts_with_a_snapshot;
        total.batches_of_several_terms += run.batches_of_several_terms;
        total.truncations += run.truncations;
        total.snapshots_taken += run.snapshots_taken;
        total.snapshots_installed += run.snapshots_installed;
        total.logs_replaced_by_a_snapshot += run.logs_replaced_by_a_snapshot;
        total.comparisons += run.comparisons;
    }
    println!("{total:?}");
    assert!(total.comparisons > 10_000, "{total:?}");
    let hard = [
        total.restarts_with_a_log,
        total.restarts_with_a_snapshot,
        total.batches_of_several_terms,
        total.truncations,
        total.snapshots_taken,
        total.snapshots_installed,
        total.logs_replaced_by_a_snapshot,
    ];
    assert!(
        hard.iter().all(|&count| count >= 5),
        "the runs contain every event that is difficult to follow: {total:?}"
    );
}

#[test]
fn the_record_gives_each_servers_state_on_threads() {
    let coverage = recorded(Run::threads(1), 3, 12);
    assert!(coverage.comparisons > 0, "{coverage:?}");
}
