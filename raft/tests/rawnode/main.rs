//! `RawNode`s from the view of their owners: single cases (`cases.rs`), and the five properties of Figure 3 over
//! thousands of random schedules (`network.rs`). In a schedule messages are lost, repeated and reordered, owners crash
//! at every point of carrying out a `Ready`, transfers of snapshots fail, and timers fire at any moment. When the
//! faults end, ticks alone must elect a leader and bring a new command to all servers.
//!
//! A failure names its seed; `RAWNODE_SEED=n cargo test -p raft --test rawnode` runs that schedule alone.

mod cases;
mod network;
#[path = "../owner/mod.rs"]
mod owner;
#[path = "../properties/mod.rs"]
mod properties;

use network::{Network, Totals};

/// Number of schedules of each test, and number of steps of each schedule before the faults end.
const SCHEDULES: u64 = 2_000;
const STEPS: usize = 1_500;

#[test]
fn three_nodes_keep_every_property_of_figure_3() {
    run_schedules(3);
}

#[test]
fn five_nodes_keep_every_property_of_figure_3() {
    run_schedules(5);
}

#[test]
fn a_single_node_keeps_every_property_of_figure_3() {
    run_schedules(1);
}

fn run_schedules(servers: usize) {
    let only = std::env::var("RAWNODE_SEED").ok().map(|seed| seed.parse().expect("RAWNODE_SEED is a number"));
    let seeds = only.map_or(0..SCHEDULES, |seed| seed..seed + 1);
    let mut totals = Totals::default();
    for seed in seeds {
        let result = std::panic::catch_unwind(|| {
            let mut network = Network::new(servers, seed);
            (0..STEPS).for_each(|_| network.random_step());
            let totals = network.totals();
            network.recover();
            totals
        });
        match result {
            Ok(more) => totals += more,
            Err(panic) => {
                eprintln!("{servers} nodes, seed {seed} failed; RAWNODE_SEED={seed} replays it");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // Schedules in which none of this happens would prove nothing.
    let schedules = SCHEDULES as usize;
    let Totals { committed, installed, confirmed, lost, crashes } = totals;
    let alone = servers == 1;
    assert!(
        only.is_some()
            || committed > 5 * schedules
                && (alone || installed > schedules / 16)
                && confirmed > schedules / 4
                && (alone || lost > schedules / 8)
                && crashes.iter().all(|&count| count > schedules / 4),
        "too few events under faults: {totals:?}"
    );
}
