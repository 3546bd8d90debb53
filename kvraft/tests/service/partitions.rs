//! Tests of the service from its clients' view, with partitions, crashes and restarts.

use crate::cluster::servers::{EVENTUALLY_LIMIT, eventually};
use crate::cluster::{Cluster, PlainRaft, Reference};
use kvraft::KvServer;
use labstd::Clock;
use labstd::rng::{self, RngExt};
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use labstd::testing::{simulate_seeds, under_both_clocks};
use labstd::thread;
use labstd::time::{Duration, Instant};
use raftapi::{KvClerk, KvService, RaftExt};

/// Seeds of each simulated test.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=30;

/// The course's scenario of one partition. The majority continues; the minority answers no request. After the heal, the
/// requests that waited at the minority are answered by the others.
fn one_partition<R: RaftExt>() {
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

    let (mut writer, writer_number) = cluster.numbered_clerk(&minority);
    let (mut reader, reader_number) = cluster.numbered_clerk(&minority);
    let put = thread::spawn("writer", move || writer.put("1", "15"));
    let get = thread::spawn("reader", move || reader.get("1"));
    thread::sleep(Duration::from_secs(1));
    assert!(!put.is_finished() && !get.is_finished(), "the minority must not answer");
    assert_eq!(in_majority.get("1"), "14");
    in_majority.put("1", "16");
    assert_eq!(in_majority.get("1"), "16");

    cluster.heal();
    let all: Vec<usize> = (0..5).collect();
    cluster.reconnect(writer_number, &all);
    cluster.reconnect(reader_number, &all);
    let healed = Instant::now();
    eventually("the waiting requests are answered", || put.is_finished() && get.is_finished());
    if labstd::clock() == Clock::Simulated {
        assert!(healed.elapsed() < Duration::from_secs(3), "in {:?}", healed.elapsed());
    }
    assert_eq!(clerk.get("1"), "15", "the write that had to wait is executed last");
    let read = get.join().expect("the reader does not panic");
    assert!(read == "15" || read == "16", "the read was executed after the partition and returned {read}");
    cluster.shut_down();
}

#[test]
fn a_minority_answers_no_request_until_the_heal() {
    under_both_clocks(SEEDS, one_partition::<raft::Raft>);
    under_both_clocks(SEEDS, one_partition::<PlainRaft>);
}

/// A clerk that reaches only the minority waits at a leader that cannot commit. After the heal the cluster is quiet, so
/// no later entry takes the place of the clerk's entry.
#[test]
fn a_deposed_leader_soon_refuses_its_clerks() {
    simulate_seeds(SEEDS, || {
        let cluster = Cluster::<Reference>::new(3, None);
        cluster.clerk_of_all().put("k", "");
        let (leader, others) = cluster.cut_off_leader();
        let (mut clerk, number) = cluster.numbered_clerk(&[leader]);
        let append = thread::spawn("clerk", move || clerk.append("k", "x"));
        eventually("the others elect a leader", || others.iter().any(|&server| cluster.server(server).get_state().1));
        thread::sleep(Duration::from_secs(5));
        assert!(!append.is_finished(), "a leader that is cut off cannot commit");

        cluster.heal();
        cluster.reconnect(number, &[0, 1, 2]);
        let healed = Instant::now();
        eventually("the clerk finds the new leader", || append.is_finished());
        assert!(healed.elapsed() < Duration::from_millis(500), "in {:?}", healed.elapsed());
        assert_eq!(cluster.clerk_of_all().get("k"), "x");
        cluster.shut_down();
    });
}

/// Measures how long requests keep waiting at a leader after it has stepped down in a quiet cluster.
fn time_until_refused<R: RaftExt>() -> Duration {
    const CLERKS: usize = 5;
    let cluster = Cluster::<KvServer<R>>::new(3, None);
    cluster.clerk_of_all().put("k", "");
    let (leader, others) = cluster.cut_off_leader();
    let clerks: Vec<_> = (0..CLERKS)
        .map(|number| {
            let (mut clerk, clerk_number) = cluster.numbered_clerk(&[leader]);
            (thread::spawn(format!("clerk-{number}"), move || clerk.append("k", "x")), clerk_number)
        })
        .collect();
    let old = cluster.server(leader);
    eventually("all clerks wait", || old.waiting_requests() == CLERKS);
    eventually("the others elect a leader", || others.iter().any(|&server| cluster.server(server).get_state().1));
    assert_eq!(old.waiting_requests(), CLERKS, "the leader does not know yet that it is deposed");
    // Disconnect the clerks, so that no retry waits at the leader again.
    clerks.iter().for_each(|(_, number)| cluster.reconnect(*number, &[]));
    cluster.heal();
    let wait_until = |holds: &dyn Fn() -> bool| {
        while !holds() {
            thread::sleep(Duration::from_micros(100));
        }
        Instant::now()
    };
    let stepped_down = wait_until(&|| !old.get_state().1);
    let refused = wait_until(&|| old.waiting_requests() == 0);

    clerks.iter().for_each(|(_, number)| cluster.reconnect(*number, &[0, 1, 2]));
    clerks.into_iter().for_each(|(append, _)| append.join().expect("no clerk panics"));
    assert_eq!(cluster.clerk_of_all().get("k"), "x".repeat(CLERKS));
    cluster.shut_down();
    refused - stepped_down
}

#[test]
#[cfg_attr(not(feature = "fast"), ignore = "it tests a fast path")]
fn requests_are_refused_at_once_when_their_leader_steps_down() {
    simulate_seeds(SEEDS, || {
        let after = time_until_refused::<raft::Raft>();
        assert!(after < Duration::from_millis(10), "after {after:?}");
    });
}

#[test]
fn requests_are_refused_by_polling_over_a_plain_raft() {
    simulate_seeds(SEEDS, || {
        let after = time_until_refused::<PlainRaft>();
        assert!(after < Duration::from_millis(60), "after {after:?}");
    });
}

/// Faults of a cluster while clients use it.
#[derive(Clone, Copy)]
struct Faults {
    unreliable: bool,
    partitions: bool,
    crashes: bool,
    max_raft_state: Option<usize>,
}

/// Clerks append to their own values and read them during faults. Each clerk must read exactly what it has written.
/// Afterwards no request waits at any server, and all servers catch up.
fn clerks_under_faults<R: RaftExt>(faults: Faults, clerks: usize, rounds: usize) {
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
                    let text = format!("<{number}:{n}>");
                    clerk.append(&key, &text);
                    written.push_str(&text);
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
    // Requests in flight arrive, and every server applies as much as the leader has applied.
    let applied = cluster.server(cluster.leader()).last_applied();
    for server in 0..SERVERS {
        eventually("every server catches up", || cluster.server(server).last_applied() >= applied);
        eventually("no request waits any more", || cluster.server(server).waiting_requests() == 0);
    }
    cluster.shut_down();
}

#[test]
fn clerks_read_their_writes_during_partitions() {
    let faults = Faults { unreliable: false, partitions: true, crashes: false, max_raft_state: None };
    simulate_seeds(SEEDS, move || clerks_under_faults::<raft::Raft>(faults, 5, 8));
    simulate_seeds(SEEDS, move || clerks_under_faults::<PlainRaft>(faults, 5, 8));
    labstd::run(move || clerks_under_faults::<raft::Raft>(faults, 5, 2));
}

#[test]
fn clerks_read_their_writes_during_all_faults() {
    let faults = Faults { unreliable: true, partitions: true, crashes: true, max_raft_state: Some(1000) };
    simulate_seeds(SEEDS, move || clerks_under_faults::<raft::Raft>(faults, 5, 8));
    simulate_seeds(SEEDS, move || clerks_under_faults::<PlainRaft>(faults, 5, 8));
    labstd::run(move || clerks_under_faults::<raft::Raft>(faults, 5, 2));
}

#[test]
fn clerks_read_their_writes_during_crashes_and_snapshots() {
    let faults = Faults { unreliable: false, partitions: false, crashes: true, max_raft_state: Some(1000) };
    simulate_seeds(SEEDS, move || clerks_under_faults::<raft::Raft>(faults, 5, 4));
    simulate_seeds(SEEDS, move || clerks_under_faults::<PlainRaft>(faults, 5, 4));
}

/// Many requests are in flight when the leader is cut off, three times.
#[test]
fn a_hundred_requests_at_deposed_leaders_are_all_answered() {
    simulate_seeds(SEEDS, || {
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
            eventually("the old leader's requests are answered", || cluster.server(leader).waiting_requests() == 0);
        }
        let begun = Instant::now();
        for clerk in clerks {
            assert_eq!(clerk.join().expect("no clerk panics"), "xxxxx");
        }
        assert!(begun.elapsed() < EVENTUALLY_LIMIT, "{:?}", begun.elapsed());
        cluster.shut_down();
    });
}
