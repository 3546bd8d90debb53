//! The plain Raft without a mistake under every scenario: in the simulation each with many seeds, and on threads those
//! that do not take long. `LAB_RUNS=1000` runs a thousand seeds.

use tester::{About, Part, Scenario, Subject, raft_scenarios};
use wrong::Raft;

mod plain;

/// What of the last two parts runs on threads: persistence, and snapshots that are saved and read back.
const LATE_ON_THREADS: [&str; 3] = ["persist_1_3C", "unreliable_agree_3C", "snapshot_init_3D"];

/// The scenarios that are run on threads here; the root package runs all of them.
fn on_threads() -> impl Iterator<Item = Scenario> {
    let chosen = |about: &About| about.part <= Part::P3B || LATE_ON_THREADS.contains(&about.name);
    scenarios().into_iter().filter(move |scenario| chosen(&scenario.about))
}

/// All scenarios, told of the plain Raft.
fn scenarios() -> Vec<Scenario> {
    raft_scenarios(&Subject::made_by(Raft::making(None)))
}

#[test]
fn without_a_mistake_it_passes_every_scenario() {
    plain::passes_every(scenarios(), 25);
}

#[test]
fn without_a_mistake_it_passes_on_threads() {
    plain::passes_on_threads(on_threads());
}
