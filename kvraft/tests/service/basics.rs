//! Tests of the service from its clients' view, without faults other than lost messages.

use crate::cluster::servers::eventually;
use crate::cluster::{Cluster, PlainRaft, PlainService, Reference};
use kvraft::KvServer;
use labstd::testing::{simulate_seeds, under_both_clocks};
use labstd::thread;
use raftapi::{KvClerk, KvService, RaftExt};

/// Seeds of each simulated test.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=30;

fn basic_operations<S: KvService>() {
    let cluster = Cluster::<S>::new(3, None);
    let mut clerk = cluster.clerk_of_all();
    assert_eq!(clerk.get("a"), "", "a key that was never written is empty");
    clerk.append("a", "x");
    assert_eq!(clerk.get("a"), "x", "an Append to a new key is a Put");
    clerk.append("a", "y");
    clerk.append("a", "");
    assert_eq!(clerk.get("a"), "xy");
    clerk.put("a", "z");
    clerk.put("", "the empty key is a key");
    assert_eq!(clerk.get("a"), "z");
    let mut other = cluster.clerk_of_all();
    assert_eq!((other.get("a"), other.get("")), ("z".to_string(), "the empty key is a key".to_string()));
    other.put("a", "");
    assert_eq!(clerk.get("a"), "");
    cluster.shut_down();
}

#[test]
fn get_put_and_append_work() {
    under_both_clocks(SEEDS, basic_operations::<Reference>);
}

#[test]
fn get_put_and_append_work_over_a_raft_without_read_index() {
    under_both_clocks(SEEDS, basic_operations::<PlainService>);
}

#[test]
fn a_service_of_one_server_works() {
    fn check<S: KvService>() {
        let cluster = Cluster::<S>::new(1, None);
        let mut clerk = cluster.clerk_of_all();
        for n in 0..20 {
            clerk.append("a", &format!("{n} "));
        }
        assert_eq!(clerk.get("a"), (0..20).map(|n| format!("{n} ")).collect::<String>());
        cluster.shut_down();
    }
    under_both_clocks(SEEDS, check::<Reference>);
    under_both_clocks(SEEDS, check::<PlainService>);
}

/// Clerks append to one key at the same time. The value must have every append once, and those of each clerk in order.
fn appends_to_one_key<R: RaftExt>(reliable: bool) {
    const CLERKS: usize = 5;
    const APPENDS: usize = 10;
    let cluster = Cluster::<KvServer<R>>::new(5, None);
    cluster.network.set_reliable(reliable);
    let clerks: Vec<_> = (0..CLERKS)
        .map(|number| {
            let mut clerk = cluster.clerk_of_all();
            thread::spawn(format!("clerk-{number}"), move || {
                for n in 0..APPENDS {
                    clerk.append("k", &format!("<{number}:{n}>"));
                    assert!(clerk.get("k").contains(&format!("<{number}:{n}>")), "a clerk reads what it has written");
                }
            })
        })
        .collect();
    clerks.into_iter().for_each(|clerk| clerk.join().expect("no clerk panics"));

    let value = cluster.clerk_of_all().get("k");
    for clerk in 0..CLERKS {
        let positions = (0..APPENDS).map(|n| {
            let found: Vec<_> = value.match_indices(&format!("<{clerk}:{n}>")).map(|(position, _)| position).collect();
            assert_eq!(found.len(), 1, "append {n} of clerk {clerk} was executed once: {value}");
            found[0]
        });
        assert!(positions.is_sorted(), "the appends of clerk {clerk} are in order: {value}");
    }
    // Duplicates of requests may still arrive after their clerks have their replies.
    for server in cluster.running() {
        eventually("no request waits any more", || cluster.server(server).waiting_requests() == 0);
    }
    cluster.shut_down();
}

#[test]
fn concurrent_appends_to_one_key_are_executed_once() {
    under_both_clocks(SEEDS, || appends_to_one_key::<raft::Raft>(true));
    under_both_clocks(SEEDS, || appends_to_one_key::<PlainRaft>(true));
}

#[test]
fn concurrent_appends_work_on_an_unreliable_network() {
    under_both_clocks(SEEDS, || appends_to_one_key::<raft::Raft>(false));
    under_both_clocks(SEEDS, || appends_to_one_key::<PlainRaft>(false));
}

/// A new leader has not committed an entry of its own term, so it has no read index. The Get's own entry changes that.
#[test]
fn a_get_may_be_the_first_operation_after_an_election() {
    under_both_clocks(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, None);
        let mut clerk = cluster.clerk_of_all();
        clerk.put("a", "old");
        cluster.crash(cluster.leader());
        assert_eq!(clerk.get("a"), "old", "the new leader has the entries that the old one committed");
        let leader = cluster.leader();
        let entries = cluster.server(leader).last_applied().0;
        assert!(entries >= 2, "the entries are the Put and the Get");
        cluster.shut_down();
    });
}

#[test]
#[cfg_attr(not(feature = "fast"), ignore = "it tests a fast path")]
fn gets_add_no_log_entries_once_a_leader_has_committed() {
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, None);
        let mut clerk = cluster.clerk_of_all();
        clerk.put("a", "1");
        let leader = cluster.server(cluster.leader());
        let entries = leader.last_applied();
        for _ in 0..100 {
            assert_eq!(clerk.get("a"), "1");
        }
        assert_eq!(leader.last_applied(), entries);
        cluster.shut_down();
    });
}

#[test]
fn clerk_ids_are_distinct_and_follow_from_the_seed() {
    let ids = |seed| {
        labstd::simulate(seed, || {
            let cluster = Cluster::<Reference>::new(1, None);
            (0..50).map(|_| format!("{:?}", cluster.clerk_of_all())).collect::<std::collections::BTreeSet<_>>()
        })
    };
    assert_eq!(ids(1).len(), 50, "all clerks of a run have different ids");
    assert_eq!(ids(1), ids(1), "the same seed gives the same ids");
    assert!(ids(1).is_disjoint(&ids(2)), "another seed gives other ids");
}
