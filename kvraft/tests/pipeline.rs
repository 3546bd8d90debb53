//! The client with many writes under way: nothing is lost, executed twice or out of order, whatever happens to its requests.

mod cluster;

use std::collections::BTreeSet;

use cluster::{Cluster, Plain, Reference, SOON, under_both_clocks};
use kvraft::{Pipeline, Ticket};
use labrpc::ClientEnd;
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{KvClerk, KvService};

const KEYS: usize = 4;

fn ends<S: KvService>(cluster: &Cluster<S>) -> Vec<ClientEnd> {
    (0..cluster.len()).map(|to| cluster.end(&format!("pipeline->S{to}"), to)).collect()
}

/// Submits `count` appends, each of its number to one of the keys, while `meanwhile` is done to the cluster; then every value
/// has its numbers, once each and in order.
fn append_and_check<S: KvService>(
    cluster: Cluster<S>,
    count: usize,
    capacity: usize,
    meanwhile: impl FnOnce(&Cluster<S>),
) {
    let ends = ends(&cluster);
    let client = thread::spawn("client", move || {
        let mut pipeline = Pipeline::make(&ends, capacity);
        let mut done = Vec::new();
        for n in 0..count {
            assert_eq!(pipeline.append(&format!("k{}", n % KEYS), &format!("{n} ")), Ticket(n as u64));
            if n % 10 == 0 {
                done.extend(pipeline.collect());
            }
        }
        while pipeline.in_flight() > 0 {
            done.extend(pipeline.collect());
        }
        assert_eq!(pipeline.collect(), [], "nothing is left, so there is nothing to wait for");
        done
    });
    meanwhile(&cluster);
    let done = client.join().expect("the client does not panic");
    let tickets: BTreeSet<Ticket> = done.iter().copied().collect();
    assert_eq!((done.len(), tickets.len()), (count, count), "each ticket comes back once");

    let mut clerk = cluster.clerk_of_all();
    for key in 0..KEYS {
        let expected: String = (key..count).step_by(KEYS).map(|n| format!("{n} ")).collect();
        assert_eq!(clerk.get(&format!("k{key}")), expected);
    }
    cluster.shut_down();
}

#[test]
fn every_write_is_executed_once_and_those_of_a_key_in_order() {
    under_both_clocks(|| append_and_check(Cluster::<Reference>::new(3, None), 200, 50, |_| {}));
}

#[test]
fn over_a_raft_with_nothing_but_an_apply_channel_too() {
    under_both_clocks(|| append_and_check(Cluster::<Plain>::new(3, None), 100, 50, |_| {}));
}

#[test]
fn a_pipeline_with_room_for_one_works() {
    under_both_clocks(|| append_and_check(Cluster::<Reference>::new(3, Some(500)), 40, 1, |_| {}));
}

#[test]
fn on_an_unreliable_network_too() {
    under_both_clocks(|| {
        let cluster = Cluster::<Reference>::new(3, Some(1000));
        cluster.network.set_reliable(false);
        append_and_check(cluster, 150, 30, |_| {});
    });
}

#[test]
fn while_leaders_crash_too() {
    under_both_clocks(|| {
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
fn who_submits_to_a_full_pipeline_waits() {
    under_both_clocks(|| {
        let cluster = Cluster::<Reference>::new(3, None);
        let mut pipeline = Pipeline::make(&ends(&cluster), 5);
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

/// A pipeline whose servers are gone would otherwise ask them for ever.
#[test]
fn one_that_is_dropped_leaves_no_thread_behind() {
    under_both_clocks(|| {
        let cluster = Cluster::<Reference>::new(3, None);
        let ends = ends(&cluster);
        (0..3).for_each(|server| cluster.crash(server));
        let mut pipeline = Pipeline::make(&ends, 5);
        pipeline.put("k", "never");
        drop(pipeline);
        let lanes = || thread::statuses().iter().filter(|thread| thread.name.starts_with("pipeline-lane")).count();
        let deadline = Instant::now() + SOON;
        while lanes() > 0 {
            assert!(Instant::now() < deadline, "a lane outlives its pipeline");
            thread::sleep(Duration::from_millis(10));
        }
        cluster.shut_down();
    });
}
