//! The plain Raft without a mistake under every scenario. The simulation runs each scenario with many seeds. On threads
//! the short ones run. `LAB_RUNS=1000` runs a thousand seeds.

use mistakes::Raft;
use tester::{Part, Scenario, ScenarioInfo, Subject, raft_scenarios};

use crate::passing;

/// The scenarios of the last two parts that run on threads: persistence, and snapshots that are saved and read back.
const LATE_ON_THREADS: [&str; 3] = ["persist_1_3C", "unreliable_agree_3C", "snapshot_init_3D"];

/// Returns the scenarios that run on threads here: those of the course in the first two parts, and a few others. The
/// root package runs all of them on threads.
fn on_threads() -> impl Iterator<Item = Scenario> {
    let chosen =
        |about: &ScenarioInfo| about.part <= Part::P3B && about.from_course || LATE_ON_THREADS.contains(&about.name);
    scenarios().into_iter().filter(move |scenario| chosen(&scenario.info))
}

/// Returns all scenarios, run against the plain Raft.
fn scenarios() -> Vec<Scenario> {
    raft_scenarios(&Subject::with_factory(Raft::factory(None)))
}

#[test]
fn a_correct_raft_passes_every_scenario() {
    passing::assert_all_pass(scenarios(), 25);
}

#[test]
fn a_correct_raft_passes_on_threads() {
    passing::assert_all_pass_on_threads(on_threads());
}
