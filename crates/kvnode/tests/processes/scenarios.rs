//! The scenarios of parts 4A and 4B on processes. A restart is `kill -9` and a new start, proxies cut partitions, and
//! the histories must be linearizable as in the lab.

use std::sync::Arc;

use tester::KvClusterFactory;

use crate::cluster::Processes;

fn processes() -> KvClusterFactory {
    Arc::new(Processes::start_for_tester)
}

tester::kv_tests_on!(processes());
