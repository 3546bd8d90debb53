//! Table of the scenarios of part 4. [`kv_scenarios`] lists the course's first, in the course's order, and then ours.

use labrpc::Network;
use labstd::sync::Arc;
use labstd::time::Duration;
use raftapi::KvService;

use super::kv_generic::GenericTest;
use super::{ours_kv, ours_reads, part_4a, part_4b};
use crate::kv::{InProcessCluster, KvCluster, KvClusterConfig, KvSubject, KvTest};
use crate::part::Part;
use crate::scenario::{AbandonOnFailure, Scenario, ScenarioOutcome};
use crate::scenario_info::ScenarioInfo;

/// Maximum duration of an operation in a scenario of ours, including several elections. In a scenario of the course, an
/// operation may take as long as the run.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);

/// A row of the table: a scenario, and the configuration of its cluster.
struct Row {
    info: ScenarioInfo,
    reliable: bool,
    max_raft_state: Option<usize>,
    body: Body,
}

/// Body of a scenario.
#[derive(Clone, Copy)]
enum Body {
    /// The generic test, whose history is checked after the run.
    Generic(GenericTest),
    /// A body for a cluster of any kind.
    AnyCluster(fn(&KvTest)),
    /// A body that intercepts single messages, which needs a network in this process.
    Intercepting(fn(&KvTest, &Network)),
}

impl Row {
    /// Creates a generic test of the course.
    fn generic(name: &'static str, part: Part, seconds: u32, generic: GenericTest) -> Row {
        let GenericTest { servers, unreliable, max_raft_state, .. } = generic;
        let info = ScenarioInfo { name, part, title: generic.title(), from_course: true, servers, seconds };
        Row { info, reliable: !unreliable, max_raft_state, body: Body::Generic(generic) }
    }

    /// Creates another scenario of the course, over a reliable network.
    fn course(
        name: &'static str,
        part: Part,
        title: &'static str,
        servers: usize,
        seconds: u32,
        body: fn(&KvTest),
    ) -> Row {
        let info = ScenarioInfo { name, part, title: title.to_string(), from_course: true, servers, seconds };
        Row { info, reliable: true, max_raft_state: snapshots_in(part), body: Body::AnyCluster(body) }
    }

    /// Creates one of our own scenarios: three servers over a reliable network.
    fn ours(name: &'static str, part: Part, title: &'static str, seconds: u32, body: fn(&KvTest, &Network)) -> Row {
        let info = ScenarioInfo { name, part, title: title.to_string(), from_course: false, servers: 3, seconds };
        Row { info, reliable: true, max_raft_state: snapshots_in(part), body: Body::Intercepting(body) }
    }

    /// Switches to an unreliable network.
    fn unreliable(self) -> Row {
        Row { reliable: false, ..self }
    }

    /// Returns the scenario, which runs on a cluster that `make_cluster` starts.
    fn into_scenario(self, make_cluster: KvClusterFactory) -> Scenario {
        let Row { info, reliable, max_raft_state, body } = self;
        let title = info.title.clone();
        let config = KvClusterConfig { servers: info.servers, reliable, max_raft_state };
        let operation_timeout = (!info.from_course).then_some(OPERATION_TIMEOUT);
        Scenario::new(info, move |clock, progress| {
            let cluster = make_cluster(config);
            cluster.network().into_iter().for_each(|network| progress.apply_fault_cutoff(network));
            let _abandon = AbandonOnFailure { clock, abandon: || cluster.abandon() };
            let test = KvTest::new(Arc::clone(&cluster), progress.clone(), &title, operation_timeout);
            match body {
                Body::Generic(generic) => generic.run(&test),
                Body::AnyCluster(body) => body(&test),
                Body::Intercepting(body) => body(
                    &test,
                    cluster.network().expect(
                        "intercepting scenarios run on a \
                                                                                  network in this process",
                    ),
                ),
            }
            let stages = test.finish();
            cluster.shut_down();
            ScenarioOutcome { stages, history: matches!(body, Body::Generic(_)).then(|| test.take_history()) }
        })
    }

    /// Returns whether the scenario can run on a cluster of any kind.
    fn runs_on_any_cluster(&self) -> bool {
        !matches!(self.body, Body::Intercepting(_))
    }
}

/// Returns the maximum Raft state in a part; `None` if its services take no snapshots.
fn snapshots_in(part: Part) -> Option<usize> {
    (part == Part::P4B).then_some(part_4b::MAX_RAFT_STATE)
}

/// Returns all scenarios of a key/value service, the course's first, for `subject`.
pub fn kv_scenarios<K: KvService>(subject: &KvSubject<K>) -> Vec<Scenario> {
    let make = subject.factory();
    let make_cluster: KvClusterFactory =
        Arc::new(move |config| Arc::new(InProcessCluster::new(config, Arc::clone(&make))));
    table().into_iter().map(|row| row.into_scenario(Arc::clone(&make_cluster))).collect()
}

/// Function that starts a cluster for a scenario.
pub type KvClusterFactory = Arc<dyn Fn(KvClusterConfig) -> Arc<dyn KvCluster> + Send + Sync>;

/// Returns the scenarios that need no network in this process, which include all of the course's. They run on clusters
/// that `make_cluster` starts.
pub fn kv_scenarios_on(make_cluster: &KvClusterFactory) -> Vec<Scenario> {
    table()
        .into_iter()
        .filter(Row::runs_on_any_cluster)
        .map(|row| row.into_scenario(Arc::clone(make_cluster)))
        .collect()
}

#[rustfmt::skip]
fn table() -> Vec<Row> {
    use Part::{P4A, P4B};
    let (generic, course, ours) = (Row::generic, Row::course, Row::ours);
    let plain = GenericTest { clients: 5, servers: 5, ..GenericTest::default() };
    let one = GenericTest { clients: 1, ..plain };
    let unreliable = GenericTest { unreliable: true, ..plain };
    let snapshots = GenericTest { max_raft_state: snapshots_in(P4B), ..plain };
    let crash = |generic| GenericTest { crash: true, ..generic };
    let partitions = |generic| GenericTest { partitions: true, ..generic };
    let random_keys = |generic| GenericTest { clients: 15, servers: 7, random_keys: true, ..generic };
    let snapshots_unreliable = GenericTest { unreliable: true, ..snapshots };
    vec![
        generic("basic_4A", P4A, 15, one),
        course("speed_4A", P4A, "ops complete fast enough", 3, 3, part_4a::speed),
        generic("concurrent_4A", P4A, 15, plain),
        generic("unreliable_4A", P4A, 16, unreliable),
        course("unreliable_one_key_4A", P4A, "concurrent append to same key, unreliable", 3, 2, part_4a::unreliable_one_key).unreliable(),
        course("one_partition_4A", P4A, "progress in majority", 5, 4, part_4a::one_partition),
        generic("many_partitions_one_client_4A", P4A, 23, partitions(one)),
        generic("many_partitions_many_clients_4A", P4A, 23, partitions(plain)),
        generic("persist_one_client_4A", P4A, 20, crash(one)),
        generic("persist_concurrent_4A", P4A, 20, crash(plain)),
        generic("persist_concurrent_unreliable_4A", P4A, 21, crash(unreliable)),
        generic("persist_partition_4A", P4A, 28, crash(partitions(plain))),
        generic("persist_partition_unreliable_4A", P4A, 28, crash(partitions(unreliable))),
        generic("persist_partition_unreliable_linearizable_4A", P4A, 29, random_keys(crash(partitions(unreliable)))),
        course("snapshot_rpc_4B", P4B, "InstallSnapshot RPC", 3, 4, part_4b::snapshot_rpc),
        course("snapshot_size_4B", P4B, "snapshot size is reasonable", 3, 2, part_4b::snapshot_size),
        course("speed_4B", P4B, "ops complete fast enough", 3, 3, part_4a::speed),
        generic("snapshot_recover_4B", P4B, 20, GenericTest { clients: 1, ..crash(snapshots) }),
        generic("snapshot_recover_many_clients_4B", P4B, 21, GenericTest { clients: 20, ..crash(snapshots) }),
        generic("snapshot_unreliable_4B", P4B, 16, snapshots_unreliable),
        generic("snapshot_unreliable_recover_4B", P4B, 21, crash(snapshots_unreliable)),
        generic("snapshot_unreliable_recover_concurrent_partition_4B", P4B, 28, crash(partitions(snapshots_unreliable))),
        generic("snapshot_unreliable_recover_concurrent_partition_linearizable_4B", P4B, 29, random_keys(crash(partitions(snapshots_unreliable)))),
        ours("first_get_4A", P4A, "the first operation of a new leader is a Get", 5, ours_reads::first_get),
        ours("cut_off_get_4A", P4A, "a disconnected leader answers no Get", 7, ours_reads::cut_off_get),
        ours("lost_reply_4A", P4A, "an operation whose reply is lost is executed once", 2, ours_kv::lost_reply),
        ours("next_leader_4A", P4A, "the next leader executes nothing again", 5, ours_kv::next_leader),
        ours("twice_in_the_log_4A", P4A, "an operation is twice in the log", 5, ours_kv::twice_in_the_log),
        ours("anothers_result_4A", P4A, "a client never gets another operation's result", 3, ours_kv::anothers_result),
        ours("lost_entry_4A", P4A, "an entry is lost, and its client is told", 8, ours_kv::lost_entry),
        ours("duplicate_after_snapshot_4B", P4B, "a snapshot remembers executed operations", 3, ours_kv::duplicate_after_snapshot),
        ours("duplicate_after_install_4B", P4B, "a snapshot from the leader remembers executed operations", 4, ours_kv::duplicate_after_install),
    ]
}

/// Calls `$crate::$callback!` with its arguments in parentheses and the names of all scenarios of a key/value service.
/// A test checks that the names are those of [`kv_scenarios`].
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_kv_scenario {
    ($callback:ident $($args:tt)*) => {
        $crate::$callback! { ($($args)*)
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
            first_get_4A
            cut_off_get_4A
            lost_reply_4A
            next_leader_4A
            twice_in_the_log_4A
            anothers_result_4A
            lost_entry_4A
            duplicate_after_snapshot_4B
            duplicate_after_install_4B
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_names_equal_the_names_in_the_table() {
        let table = table();
        let infos: Vec<_> = table.iter().map(|row| &row.info).collect();
        let names: Vec<_> = infos.iter().map(|info| info.name).collect();
        assert_eq!(names, crate::__for_each_kv_scenario!(__names));
        assert!(infos.iter().all(|info| info.name.ends_with(info.part.number())));
        let of = |part| infos.iter().filter(|info| info.from_course && info.part == part).count();
        assert_eq!((of(Part::P4A), of(Part::P4B)), (14, 9));
    }

    /// The course's table: clients, servers, flags (unreliable, restarts, partitions, random keys), and the title.
    #[test]
    #[rustfmt::skip]
    fn parameters_and_titles_equal_those_of_the_course() {
        let expected = [
            ("basic_4A", 1, 5, "----", "one client"),
            ("concurrent_4A", 5, 5, "----", "many clients"),
            ("unreliable_4A", 5, 5, "u---", "unreliable net, many clients"),
            ("many_partitions_one_client_4A", 1, 5, "--p-", "partitions, one client"),
            ("many_partitions_many_clients_4A", 5, 5, "--p-", "partitions, many clients"),
            ("persist_one_client_4A", 1, 5, "-c--", "restarts, one client"),
            ("persist_concurrent_4A", 5, 5, "-c--", "restarts, many clients"),
            ("persist_concurrent_unreliable_4A", 5, 5, "uc--", "unreliable net, restarts, many clients"),
            ("persist_partition_4A", 5, 5, "-cp-", "restarts, partitions, many clients"),
            ("persist_partition_unreliable_4A", 5, 5, "ucp-", "unreliable net, restarts, partitions, many clients"),
            ("persist_partition_unreliable_linearizable_4A", 15, 7, "ucpr", "unreliable net, restarts, partitions, random keys, many clients"),
            ("snapshot_recover_4B", 1, 5, "-c--", "restarts, snapshots, one client"),
            ("snapshot_recover_many_clients_4B", 20, 5, "-c--", "restarts, snapshots, many clients"),
            ("snapshot_unreliable_4B", 5, 5, "u---", "unreliable net, snapshots, many clients"),
            ("snapshot_unreliable_recover_4B", 5, 5, "uc--", "unreliable net, restarts, snapshots, many clients"),
            ("snapshot_unreliable_recover_concurrent_partition_4B", 5, 5, "ucp-", "unreliable net, restarts, partitions, snapshots, many clients"),
            ("snapshot_unreliable_recover_concurrent_partition_linearizable_4B", 15, 7, "ucpr", "unreliable net, restarts, partitions, snapshots, random keys, many clients"),
        ];
        let flags = |generic: &GenericTest| -> String {
            let flags = [(generic.unreliable, 'u'), (generic.crash, 'c'), (generic.partitions, 'p'), (generic.random_keys, 'r')];
            flags.into_iter().map(|(holds, letter)| if holds { letter } else { '-' }).collect()
        };
        let rows = table();
        let seen: Vec<_> = rows
            .iter()
            .filter_map(|row| {
                let Body::Generic(generic) = &row.body else { return None };
                assert_eq!(row.reliable, !generic.unreliable, "{}", row.info.name);
                assert_eq!(generic.max_raft_state, snapshots_in(row.info.part), "{}", row.info.name);
                Some((row.info.name, generic.clients, row.info.servers, flags(generic), row.info.title.as_str()))
            })
            .collect();
        let expected: Vec<_> = expected.into_iter().map(|(name, clients, servers, flags, title)| (name, clients, servers, flags.to_string(), title)).collect();
        assert_eq!(seen, expected);
    }
}
