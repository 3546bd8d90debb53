//! The plain key/value service over the plain Raft, both without a mistake, under every scenario of parts 4A and 4B.
//! The simulation runs each scenario with several seeds. On threads a few short ones run. `LAB_RUNS=1000` runs a
//! thousand seeds.

use mistakes::{KvServer, Raft};
use tester::{KvSubject, Scenario, kv_scenarios};

use crate::passing;

/// The scenarios that run on threads. None takes longer than 15 s.
const ON_THREADS: [&str; 5] =
    ["unreliable_one_key_4A", "one_partition_4A", "snapshot_rpc_4B", "speed_4A", "snapshot_size_4B"];

/// Returns all scenarios, run against the plain service.
fn scenarios() -> Vec<Scenario> {
    kv_scenarios(&KvSubject::with_factory(<KvServer<Raft>>::factory(None)))
}

#[test]
fn a_correct_service_passes_every_scenario() {
    passing::assert_all_pass(scenarios(), 3);
}

#[test]
fn a_correct_service_passes_on_threads() {
    passing::assert_all_pass_on_threads(
        scenarios().into_iter().filter(|scenario| ON_THREADS.contains(&scenario.info.name)),
    );
}
