//! Tests of the client with many writes in flight. No write is lost, executed twice or executed out of order, whatever
//! happens to the requests.

use std::collections::BTreeSet;

use crate::cluster::servers::EVENTUALLY_LIMIT;
use crate::cluster::{Cluster, PlainService, Reference};
use kvraft::{Pipeline, SubmissionId};
use labstd::testing::under_both_clocks;
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{KvClerk, KvService};

/// Seeds of each simulated test.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=30;

const KEYS: usize = 4;

/// Submits `count` appends, each of its own number to one of the keys, and runs `meanwhile` on the cluster at the same
/// time. Then checks that every value has its numbers, once each and in order.
fn append_and_check<S: KvService>(
    cluster: Cluster<S>,
    count: usize,
    capacity: usize,
    meanwhile: impl FnOnce(&Cluster<S>),
) {
    let ends = cluster.client(&cluster.all()).0;
    let client = thread::spawn("client", move || {
        let mut pipeline = Pipeline::make(&ends, capacity);
        let mut done = Vec::new();
        for n in 0..count {
            assert_eq!(pipeline.append(&format!("k{}", n % KEYS), &format!("{n} ")), SubmissionId(n as u64));
            if n % 10 == 0 {
                done.extend(pipeline.collect());
            }
        }
        while pipeline.in_flight() > 0 {
            done.extend(pipeline.collect());
        }
        assert_eq!(pipeline.collect(), [], "no write is in flight, so collect does not block");
        done
    });
    meanwhile(&cluster);
    let done = client.join().expect("the client does not panic");
    let distinct: BTreeSet<SubmissionId> = done.iter().copied().collect();
    assert_eq!((done.len(), distinct.len()), (count, count), "each submission is collected once");

    let mut clerk = cluster.clerk_of_all();
    for key in 0..KEYS {
        let expected: String = (key..count).step_by(KEYS).map(|n| format!("{n} ")).collect();
        assert_eq!(clerk.get(&format!("k{key}")), expected);
    }
    cluster.shut_down();
}

#[test]
fn writes_are_executed_once_and_in_order_per_key() {
    under_both_clocks(SEEDS, || append_and_check(Cluster::<Reference>::new(3, None), 200, 50, |_| {}));
}

#[test]
fn writes_are_executed_once_over_a_plain_raft() {
    under_both_clocks(SEEDS, || append_and_check(Cluster::<PlainService>::new(3, None), 100, 50, |_| {}));
}

#[test]
fn a_pipeline_of_capacity_one_works() {
    under_both_clocks(SEEDS, || append_and_check(Cluster::<Reference>::new(3, Some(500)), 40, 1, |_| {}));
}

#[test]
fn writes_are_executed_once_on_an_unreliable_network() {
    under_both_clocks(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, Some(1000));
        cluster.network.set_reliable(false);
        append_and_check(cluster, 150, 30, |_| {});
    });
}

#[test]
fn writes_are_executed_once_while_leaders_crash() {
    under_both_clocks(SEEDS, || {
        append_and_check(Cluster::<Reference>::new(3, Some(1000)), 300, 20, |cluster| {
            for _ in 0..3 {
                let leader = cluster.leader();
                cluster.crash(leader);
                thread::sleep(Duration::from_millis(30));
                cluster.start(leader);
                cluster.heal();
                thread::sleep(Duration::from_millis(700));
            }
        });
    });
}

#[test]
fn submit_blocks_while_the_pipeline_is_full() {
    under_both_clocks(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, None);
        let mut pipeline = Pipeline::make(&cluster.client(&cluster.all()).0, 5);
        for n in 0..20 {
            pipeline.put("k", &n.to_string());
        }
        let mut done = 0;
        while pipeline.in_flight() > 0 {
            done += pipeline.collect().len();
        }
        assert_eq!(done, 20);
        assert_eq!(cluster.clerk_of_all().get("k"), "19");
        cluster.shut_down();
    });
}

/// Without this rule, a lane whose servers are gone would retry for ever.
#[test]
fn a_dropped_pipeline_leaves_no_thread_behind() {
    under_both_clocks(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, None);
        let ends = cluster.client(&cluster.all()).0;
        (0..3).for_each(|server| cluster.crash(server));
        let mut pipeline = Pipeline::make(&ends, 5);
        pipeline.put("k", "never");
        drop(pipeline);
        let lanes = || thread::statuses().iter().filter(|thread| thread.name.starts_with("pipeline-lane")).count();
        let deadline = Instant::now() + EVENTUALLY_LIMIT;
        while lanes() > 0 {
            assert!(Instant::now() < deadline, "a lane's thread outlives its pipeline");
            thread::sleep(Duration::from_millis(10));
        }
        cluster.shut_down();
    });
}
