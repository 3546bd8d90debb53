//! Table of the scenarios of part 4. [`kv_scenarios`] lists the course's first, in the course's order, and then ours.

use labrpc::Network;
use labstd::ThreadLag;
use labstd::sync::Arc;
use labstd::time::Duration;

use super::kv_generic::{GenericTest, PACE};
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
    thread_lag: ThreadLag,
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
        let body = Body::Generic(generic);
        Row { info, reliable: !unreliable, max_raft_state, thread_lag: ThreadLag::Drawn, body }
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
        let (max_raft_state, body) = (snapshots_in(part), Body::AnyCluster(body));
        Row { info, reliable: true, max_raft_state, thread_lag: ThreadLag::Drawn, body }
    }

    /// Creates one of our own scenarios: three servers over a reliable network.
    fn ours(name: &'static str, part: Part, title: &'static str, seconds: u32, body: fn(&KvTest, &Network)) -> Row {
        let info = ScenarioInfo { name, part, title: title.to_string(), from_course: false, servers: 3, seconds };
        let (max_raft_state, body) = (snapshots_in(part), Body::Intercepting(body));
        Row { info, reliable: true, max_raft_state, thread_lag: ThreadLag::Drawn, body }
    }

    /// Switches to an unreliable network.
    fn unreliable(self) -> Row {
        Row { reliable: false, ..self }
    }

    /// Switches thread lag off: a limit of the scenario leaves no time for it.
    fn without_thread_lag(self) -> Row {
        Row { thread_lag: ThreadLag::Never, ..self }
    }

    /// Changes the pace of a generic test.
    fn at_pace(self, pace: Duration) -> Row {
        let body = match self.body {
            Body::Generic(generic) => Body::Generic(GenericTest { pace, ..generic }),
            other => other,
        };
        Row { body, ..self }
    }

    /// Returns the scenario, which runs on a cluster that `make_cluster` starts.
    fn into_scenario(self, make_cluster: KvClusterFactory) -> Scenario {
        let Row { info, reliable, max_raft_state, thread_lag, body } = self;
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
                Body::Intercepting(body) => {
                    body(&test, cluster.network().expect("intercepting scenarios run on a network in this process"))
                }
            }
            let stages = test.finish();
            cluster.shut_down();
            ScenarioOutcome {
                stages,
                history: matches!(body, Body::Generic(_)).then(|| test.take_history()),
                gave_up: None,
            }
        })
        .with_thread_lag(thread_lag)
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
pub fn kv_scenarios(subject: &KvSubject) -> Vec<Scenario> {
    kv_scenarios_at_pace(subject, PACE)
}

/// Returns the same scenarios with another mean pause between the operations of a client in the generic tests. For the
/// measurement by which the pace is chosen.
pub fn kv_scenarios_at_pace(subject: &KvSubject, pace: Duration) -> Vec<Scenario> {
    let subject = subject.clone();
    let make_cluster: KvClusterFactory =
        Arc::new(move |config| Arc::new(InProcessCluster::new(config, subject.clone())));
    table().into_iter().map(|row| row.at_pace(pace).into_scenario(Arc::clone(&make_cluster))).collect()
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

/// Generic test of the course with five clients of five servers; the others are variants of it.
const PLAIN: GenericTest = GenericTest {
    clients: 5,
    servers: 5,
    unreliable: false,
    crash: false,
    partitions: false,
    max_raft_state: None,
    random_keys: false,
    pace: PACE,
};
const ONE: GenericTest = GenericTest { clients: 1, ..PLAIN };
const UNRELIABLE: GenericTest = GenericTest { unreliable: true, ..PLAIN };
const SNAPSHOTS: GenericTest = GenericTest { max_raft_state: Some(part_4b::MAX_RAFT_STATE), ..PLAIN };
const SNAPSHOTS_UNRELIABLE: GenericTest = GenericTest { unreliable: true, ..SNAPSHOTS };

/// Adds crashes to a generic test.
fn crash(generic: GenericTest) -> GenericTest {
    GenericTest { crash: true, ..generic }
}

/// Adds partitions to a generic test.
fn partitions(generic: GenericTest) -> GenericTest {
    GenericTest { partitions: true, ..generic }
}

/// Adds random keys to a generic test, with more clients and servers.
fn random_keys(generic: GenericTest) -> GenericTest {
    GenericTest { clients: 15, servers: 7, random_keys: true, ..generic }
}

fn table() -> Vec<Row> {
    use Part::{P4A, P4B};
    crate::__kv_table!(__rows)
}

/// The table of the scenarios: name, constructor of the [`Row`], and its other arguments. The rows under
/// `any_cluster` need no network in this process. Calls `$crate::$callback!` with its arguments in parentheses and the
/// table.
#[doc(hidden)]
#[macro_export]
macro_rules! __kv_table {
    ($callback:ident $($args:tt)*) => {
        $crate::$callback! { ($($args)*)
            any_cluster {
                basic_4A = generic(P4A, 15, ONE);
                speed_4A = course(P4A, "ops complete fast enough", 3, 3, part_4a::speed);
                concurrent_4A = generic(P4A, 15, PLAIN);
                unreliable_4A = generic(P4A, 16, UNRELIABLE);
                unreliable_one_key_4A = course(P4A, "concurrent append to same key, unreliable", 3, 2, part_4a::unreliable_one_key).unreliable();
                one_partition_4A = course(P4A, "progress in majority", 5, 4, part_4a::one_partition);
                many_partitions_one_client_4A = generic(P4A, 23, partitions(ONE));
                many_partitions_many_clients_4A = generic(P4A, 23, partitions(PLAIN));
                persist_one_client_4A = generic(P4A, 20, crash(ONE));
                persist_concurrent_4A = generic(P4A, 20, crash(PLAIN));
                persist_concurrent_unreliable_4A = generic(P4A, 21, crash(UNRELIABLE));
                persist_partition_4A = generic(P4A, 28, crash(partitions(PLAIN)));
                persist_partition_unreliable_4A = generic(P4A, 28, crash(partitions(UNRELIABLE)));
                persist_partition_unreliable_linearizable_4A = generic(P4A, 29, random_keys(crash(partitions(UNRELIABLE))));
                snapshot_rpc_4B = course(P4B, "InstallSnapshot RPC", 3, 4, part_4b::snapshot_rpc);
                snapshot_size_4B = course(P4B, "snapshot size is reasonable", 3, 2, part_4b::snapshot_size);
                speed_4B = course(P4B, "ops complete fast enough", 3, 3, part_4a::speed);
                snapshot_recover_4B = generic(P4B, 20, GenericTest { clients: 1, ..crash(SNAPSHOTS) });
                snapshot_recover_many_clients_4B = generic(P4B, 21, GenericTest { clients: 20, ..crash(SNAPSHOTS) });
                snapshot_unreliable_4B = generic(P4B, 16, SNAPSHOTS_UNRELIABLE);
                snapshot_unreliable_recover_4B = generic(P4B, 21, crash(SNAPSHOTS_UNRELIABLE));
                snapshot_unreliable_recover_concurrent_partition_4B = generic(P4B, 28, crash(partitions(SNAPSHOTS_UNRELIABLE)));
                snapshot_unreliable_recover_concurrent_partition_linearizable_4B = generic(P4B, 29, random_keys(crash(partitions(SNAPSHOTS_UNRELIABLE))));
            }
            this_process {
                first_get_4A = ours(P4A, "the first operation of a new leader is a Get", 5, ours_reads::first_get);
                cut_off_get_4A = ours(P4A, "a disconnected leader answers no Get", 7, ours_reads::cut_off_get).without_thread_lag();
                refused_4A = ours(P4A, "a refused operation is tried elsewhere", 2, ours_kv::refused);
                lost_reply_4A = ours(P4A, "an operation whose reply is lost is executed once", 2, ours_kv::lost_reply);
                next_leader_4A = ours(P4A, "the next leader executes nothing again", 5, ours_kv::next_leader);
                twice_in_the_log_4A = ours(P4A, "an operation is twice in the log", 5, ours_kv::twice_in_the_log);
                anothers_result_4A = ours(P4A, "a client never gets another operation's result", 3, ours_kv::anothers_result);
                lost_entry_4A = ours(P4A, "an entry is lost, and its client is told", 8, ours_kv::lost_entry);
                duplicate_after_snapshot_4B = ours(P4B, "a snapshot remembers executed operations", 3, ours_kv::duplicate_after_snapshot);
                duplicate_after_install_4B = ours(P4B, "a snapshot from the leader remembers executed operations", 4, ours_kv::duplicate_after_install);
            }
        }
    };
}

/// Calls `$crate::$callback!` with its arguments in parentheses and the names of all scenarios of a key/value service.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_kv_scenario {
    ($($callback:tt)*) => { $crate::__kv_table! { __row_names $($callback)* } };
}

/// Calls `$crate::$callback!` with its arguments in parentheses and the names of the scenarios of
/// [`kv_scenarios_on`].
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_kv_scenario_on_any_cluster {
    ($($callback:tt)*) => { $crate::__kv_table! { __any_cluster_names $($callback)* } };
}

/// Calls `$crate::$callback!` with its arguments in parentheses and the names of the first section of the table.
#[doc(hidden)]
#[macro_export]
macro_rules! __any_cluster_names {
    (($callback:ident $($args:tt)*) any_cluster { $($name:ident = $row:expr;)* } this_process $others:tt) => {
        $crate::$callback! { ($($args)*) $($name)* }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_with_the_part_and_the_course_has_23_scenarios() {
        let table = table();
        let infos: Vec<_> = table.iter().map(|row| &row.info).collect();
        assert!(infos.iter().all(|info| info.name.ends_with(info.part.number())));
        let of = |part| infos.iter().filter(|info| info.from_course && info.part == part).count();
        assert_eq!((of(Part::P4A), of(Part::P4B)), (14, 9));
    }

    #[test]
    fn only_intercepting_scenarios_need_this_process() {
        let table = table();
        let names: Vec<_> = table.iter().filter(|row| row.runs_on_any_cluster()).map(|row| row.info.name).collect();
        assert_eq!(names, crate::__for_each_kv_scenario_on_any_cluster!(__names));
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
