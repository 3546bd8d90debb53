//! The scenarios of parts 4A and 4B on processes. A restart is `kill -9` and a new start, proxies cut partitions, and
//! the histories must be linearizable as in the lab.

use std::sync::Arc;

use tester::{Clock, KvClusterFactory, harness, kv_scenarios_on};

use crate::cluster::Processes;

/// Runs the scenario with this name once.
fn run_scenario(name: &str) {
    let host: KvClusterFactory = Arc::new(Processes::start_for_tester);
    harness::run_test(&kv_scenarios_on(&host), Clock::Threads, name, env!("CARGO_PKG_NAME"));
}

macro_rules! on_processes {
    ($($name:ident)*) => {
        $(
            #[test]
            #[expect(non_snake_case, reason = "a scenario's name ends in its part, as in the course")]
            fn $name() {
                run_scenario(stringify!($name));
            }
        )*

        #[test]
        fn every_scenario_that_supports_processes_is_listed() {
            let host: KvClusterFactory = Arc::new(Processes::start_for_tester);
            let names: Vec<&str> = kv_scenarios_on(&host).iter().map(|scenario| scenario.info.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

on_processes! {
    basic_4A
    speed_4A
    concurrent_4A
    unreliable_4A
    unreliable_one_key_4A
    one_partition_4A
    many_partitions_one_client_4A
    many_partitions_many_clients_4A
    persist_one_client_4A
    persist_concurrent_4A
    persist_concurrent_unreliable_4A
    persist_partition_4A
    persist_partition_unreliable_4A
    persist_partition_unreliable_linearizable_4A
    snapshot_rpc_4B
    snapshot_size_4B
    speed_4B
    snapshot_recover_4B
    snapshot_recover_many_clients_4B
    snapshot_unreliable_4B
    snapshot_unreliable_recover_4B
    snapshot_unreliable_recover_concurrent_partition_4B
    snapshot_unreliable_recover_concurrent_partition_linearizable_4B
}
