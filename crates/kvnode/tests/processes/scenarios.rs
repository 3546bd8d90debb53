//! The scenarios of parts 4A and 4B on processes. A restart is `kill -9` and a new start, proxies cut partitions, and
//! the histories must be linearizable as in the lab.

use std::sync::Arc;

use tester::KvClusterFactory;

use crate::cluster::Processes;

/// Maximum number of clusters at a time. With twice as many, a busy machine with two processors only holds elections.
const CLUSTERS_MAX: usize = 12;

fn processes() -> KvClusterFactory {
    tester::gate::limit_kv_runs(CLUSTERS_MAX);
    Arc::new(Processes::start_for_tester)
}

tester::kv_tests_on!(processes());
