//! The plain key/value service over the plain Raft, both without a mistake, under every scenario of parts 4A and 4B: in
//! the simulation each with several seeds, and on threads a few that do not take long. `LAB_RUNS=1000` runs a thousand
//! seeds.

use tester::{KvSubject, Scenario, kv_scenarios};
use wrong::{KvServer, Raft};

mod plain;

/// What runs on threads: none takes longer than 15 s.
const ON_THREADS: [&str; 5] =
    ["unreliable_one_key_4A", "one_partition_4A", "snapshot_rpc_4B", "speed_4A", "snapshot_size_4B"];

/// All scenarios, told of the plain service.
fn scenarios() -> Vec<Scenario> {
    kv_scenarios(&KvSubject::made_by(<KvServer<Raft>>::making(None)))
}

#[test]
fn without_a_mistake_it_passes_every_scenario() {
    plain::passes_every(scenarios(), 3);
}

#[test]
fn without_a_mistake_it_passes_on_threads() {
    plain::passes_on_threads(scenarios().into_iter().filter(|scenario| ON_THREADS.contains(&scenario.about.name)));
}
