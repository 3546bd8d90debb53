//! What clients see while servers are cut off from each other, crash and come back.

mod cluster;

use cluster::{Cluster, Reference, SOON, eventually, simulated, under_both_clocks};
use kvraft::KvServer;
use labstd::Clock;
use labstd::rng::{self, RngExt};
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{KvClerk, KvService, Raft};

/// The course's story of one partition: the majority goes on; the minority answers nobody; after the heal those who waited
/// there get their answers, from the others, in their turn.
fn one_partition<R: Raft>() {
    let cluster = Cluster::<KvServer<R>>::new(5, None);
    let mut clerk = cluster.clerk_of_all();
    clerk.put("1", "13");

    let (leader, others) = cluster.cut_off_leader();
    let (majority, rest) = others.split_at(3);
    let minority = [rest, &[leader]].concat();
    cluster.partition(&[majority, &minority]);
    let mut in_majority = cluster.clerk(majority);
    in_majority.put("1", "14");
    assert_eq!(in_majority.get("1"), "14");

    let (mut writer, writers_ends) = cluster.clerk_with_ends(&minority);
    let (mut reader, readers_ends) = cluster.clerk_with_ends(&minority);
    let put = thread::spawn("writer", move || writer.put("1", "15"));
    let get = thread::spawn("reader", move || reader.get("1"));
    thread::sleep(Duration::from_secs(1));
    assert!(!put.is_finished() && !get.is_finished(), "the minority must not answer");
    assert_eq!(in_majority.get("1"), "14");
    in_majority.put("1", "16");
    assert_eq!(in_majority.get("1"), "16");

    cluster.heal();
    let everybody: Vec<usize> = (0..5).collect();
    cluster.reconnect(writers_ends, &everybody);
    cluster.reconnect(readers_ends, &everybody);
    let healed = Instant::now();
    eventually("those who waited are answered", || put.is_finished() && get.is_finished());
    if labstd::clock() == Clock::Simulated {
        assert!(healed.elapsed() < Duration::from_secs(3), "in {:?}", healed.elapsed());
    }
    assert_eq!(clerk.get("1"), "15", "the write that had to wait comes last");
    let read = get.join().expect("the reader does not panic");
    assert!(read == "15" || read == "16", "the read came after the partition and saw {read}");
    cluster.shut_down();
}

#[test]
fn a_minority_answers_nobody_until_it_is_healed() {
    under_both_clocks(one_partition::<raft::Raft>);
    under_both_clocks(one_partition::<cluster::PlainRaft>);
}

/// A clerk that reaches the minority alone stays with a leader that has nobody to commit with. When that is healed into a
/// quiet cluster there is no later entry that would take the place of the clerk's.
#[test]
fn a_deposed_leader_sends_its_clerks_elsewhere_soon() {
    simulated(|| {
        let cluster = Cluster::<Reference>::new(3, None);
        cluster.clerk_of_all().put("k", "");
        let (leader, others) = cluster.cut_off_leader();
        let (mut clerk, ends) = cluster.clerk_with_ends(&[leader]);
        let append = thread::spawn("clerk", move || clerk.append("k", "x"));
        eventually("the others elect a leader", || others.iter().any(|&server| cluster.server(server).get_state().1));
        thread::sleep(Duration::from_secs(5));
        assert!(!append.is_finished(), "it cannot commit");

        cluster.heal();
        cluster.reconnect(ends, &[0, 1, 2]);
        let healed = Instant::now();
        eventually("the clerk finds the new leader", || append.is_finished());
        assert!(healed.elapsed() < Duration::from_millis(500), "in {:?}", healed.elapsed());
        assert_eq!(cluster.clerk_of_all().get("k"), "x");
        cluster.shut_down();
    });
}

/// How long those who wait at a leader wait on after it has stepped down, in a quiet cluster.
fn told_after<R: Raft>() -> Duration {
    const CLERKS: usize = 5;
    let cluster = Cluster::<KvServer<R>>::new(3, None);
    cluster.clerk_of_all().put("k", "");
    let (leader, others) = cluster.cut_off_leader();
    let clerks: Vec<_> = (0..CLERKS)
        .map(|number| {
            let (mut clerk, ends) = cluster.clerk_with_ends(&[leader]);
            (thread::spawn(format!("clerk-{number}"), move || clerk.append("k", "x")), ends)
        })
        .collect();
    let old = cluster.server(leader);
    eventually("all clerks wait", || old.waiting() == CLERKS);
    eventually("the others elect a leader", || others.iter().any(|&server| cluster.server(server).get_state().1));
    assert_eq!(old.waiting(), CLERKS, "it does not know yet");
    // No clerk asks again at once: then another would wait.
    clerks.iter().for_each(|(_, ends)| cluster.reconnect(*ends, &[]));
    cluster.heal();
    let wait_until = |holds: &dyn Fn() -> bool| {
        while !holds() {
            thread::sleep(Duration::from_micros(100));
        }
        Instant::now()
    };
    let stepped_down = wait_until(&|| !old.get_state().1);
    let told = wait_until(&|| old.waiting() == 0);

    clerks.iter().for_each(|(_, ends)| cluster.reconnect(*ends, &[0, 1, 2]));
    clerks.into_iter().for_each(|(append, _)| append.join().expect("no clerk panics"));
    assert_eq!(cluster.clerk_of_all().get("k"), "x".repeat(CLERKS));
    cluster.shut_down();
    told - stepped_down
}

#[test]
fn those_who_wait_at_a_leader_are_told_at_once_when_it_steps_down() {
    simulated(|| {
        let after = told_after::<raft::Raft>();
        assert!(after < Duration::from_millis(10), "after {after:?}");
    });
}

#[test]
fn over_a_raft_that_does_not_tell_they_are_told_when_the_server_looks() {
    simulated(|| {
        let after = told_after::<cluster::PlainRaft>();
        assert!(after < Duration::from_millis(60), "after {after:?}");
    });
}

/// What is done to a cluster while clients use it.
#[derive(Clone, Copy)]
struct Faults {
    unreliable: bool,
    partitions: bool,
    crashes: bool,
    max_raft_state: Option<usize>,
}

/// Clerks append to values of their own and read them while everything goes wrong: each sees exactly what it has written.
/// Afterwards nobody waits at any server, and all of them have the same.
fn storm<R: Raft>(faults: Faults, clerks: usize, rounds: usize) {
    const SERVERS: usize = 5;
    let cluster = Cluster::<KvServer<R>>::new(SERVERS, faults.max_raft_state);
    cluster.network.set_reliable(!faults.unreliable);
    let over = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..clerks)
        .map(|number| {
            let (mut clerk, over) = (cluster.clerk_of_all(), Arc::clone(&over));
            thread::spawn(format!("clerk-{number}"), move || {
                let (key, mut written) = (number.to_string(), String::new());
                for n in 0.. {
                    if over.load(SeqCst) {
                        break;
                    }
                    let more = format!("<{number}:{n}>");
                    clerk.append(&key, &more);
                    written.push_str(&more);
                    assert_eq!(clerk.get(&key), written, "clerk {number} reads what it has written");
                }
                written
            })
        })
        .collect();

    let mut rng = rng::stream("faults");
    for _ in 0..rounds {
        if faults.partitions {
            let (one, other): (Vec<usize>, Vec<usize>) = (0..SERVERS).partition(|_| rng.random_bool(0.5));
            cluster.partition(&[&one, &other]);
        }
        thread::sleep(Duration::from_millis(rng.random_range(200..1200)));
        if faults.crashes && rng.random_bool(0.3) {
            (0..SERVERS).for_each(|server| cluster.crash(server));
            (0..SERVERS).for_each(|server| cluster.start(server));
            cluster.heal();
        } else if faults.crashes {
            let server = rng.random_range(0..SERVERS);
            cluster.crash(server);
            cluster.start(server);
        }
        if let Some(max) = faults.max_raft_state {
            for server in 0..SERVERS {
                let size = cluster.persister(server).raft_state_size();
                assert!(size <= 8 * max, "the log of S{server} was not trimmed: {size} bytes");
            }
        }
    }
    over.store(true, SeqCst);
    cluster.heal();
    let mut reader = cluster.clerk_of_all();
    for (number, thread) in threads.into_iter().enumerate() {
        eventually("every clerk is answered after the heal", || thread.is_finished());
        let written = thread.join().expect("no clerk panics");
        assert_eq!(reader.get(&number.to_string()), written);
    }
    // All that is under way arrives, and every server applies what the first has.
    let applied = cluster.server(cluster.leader()).applied();
    for server in 0..SERVERS {
        eventually("every server catches up", || cluster.server(server).applied() >= applied);
        eventually("nobody waits any more", || cluster.server(server).waiting() == 0);
    }
    cluster.shut_down();
}

#[test]
fn clerks_read_what_they_have_written_through_partitions() {
    let faults = Faults { unreliable: false, partitions: true, crashes: false, max_raft_state: None };
    simulated(move || storm::<raft::Raft>(faults, 5, 8));
    simulated(move || storm::<cluster::PlainRaft>(faults, 5, 8));
    labstd::run(move || storm::<raft::Raft>(faults, 5, 2));
}

#[test]
fn clerks_read_what_they_have_written_through_everything() {
    let faults = Faults { unreliable: true, partitions: true, crashes: true, max_raft_state: Some(1000) };
    simulated(move || storm::<raft::Raft>(faults, 5, 8));
    simulated(move || storm::<cluster::PlainRaft>(faults, 5, 8));
    labstd::run(move || storm::<raft::Raft>(faults, 5, 2));
}

#[test]
fn clerks_read_what_they_have_written_through_crashes_and_snapshots() {
    let faults = Faults { unreliable: false, partitions: false, crashes: true, max_raft_state: Some(1000) };
    simulated(move || storm::<raft::Raft>(faults, 5, 4));
    simulated(move || storm::<cluster::PlainRaft>(faults, 5, 4));
}

/// Many requests at once, and the leader taken away under them.
#[test]
fn a_hundred_requests_at_a_leader_that_falls_are_all_answered() {
    simulated(|| {
        let cluster = Cluster::<Reference>::new(3, None);
        cluster.clerk_of_all().put("ready", "");
        let clerks: Vec<_> = (0..100)
            .map(|number| {
                let mut clerk = cluster.clerk_of_all();
                thread::spawn(format!("clerk-{number}"), move || {
                    for _ in 0..5 {
                        clerk.append(&number.to_string(), "x");
                    }
                    clerk.get(&number.to_string())
                })
            })
            .collect();
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(3));
            let (leader, _) = cluster.cut_off_leader();
            thread::sleep(Duration::from_secs(1));
            cluster.heal();
            eventually("the old leader's requests are answered", || cluster.server(leader).waiting() == 0);
        }
        let begun = Instant::now();
        for clerk in clerks {
            assert_eq!(clerk.join().expect("no clerk panics"), "xxxxx");
        }
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        cluster.shut_down();
    });
}
