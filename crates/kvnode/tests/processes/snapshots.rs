//! Test that a server that was away for long gets a snapshot while the others work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use kvnode::wire::{Clerk, ClerkSettings};
use raftapi::ServerId;
use tester::kv::KvClusterConfig;

use crate::cluster::Processes;

/// Time limit for a server to catch up on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The state that is sent: number of keys, and bytes of each value.
const KEYS: u64 = 400;
const VALUE_BYTES: usize = 20_000;

/// The server that is away.
const AWAY: ServerId = ServerId(2);

/// Number of kills of that server while the snapshot arrives.
const KILLS: u64 = 5;

fn key(number: u64) -> String {
    format!("key-{number}")
}

fn value(number: u64) -> String {
    format!("{number};").repeat(VALUE_BYTES / 6)
}

/// The bytes of all keys and values.
fn total_bytes() -> u64 {
    (0..KEYS).map(|number| (key(number).len() + value(number).len()) as u64).sum()
}

#[test]
fn a_lagging_server_gets_a_snapshot_while_the_others_work() {
    let _permit = tester::gate::admit_processes(10);
    let cluster = Processes::start(KvClusterConfig { servers: 3, reliable: true, max_raft_state: Some(100_000) });
    let mut clerk = Clerk::new(cluster.addresses(), ClerkSettings::default());
    clerk.put("first", "1").expect("a reply");
    cluster.kill(AWAY);
    (0..KEYS).for_each(|number| clerk.put(&key(number), value(number)).expect("a reply"));

    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let writer = {
        let (addresses, stop, written) = (cluster.addresses(), Arc::clone(&stop), Arc::clone(&written));
        thread::spawn(move || {
            let mut clerk = Clerk::new(addresses, ClerkSettings::default());
            while !stop.load(Relaxed) {
                let number = written.load(Relaxed);
                clerk.append("meanwhile", format!("{number};")).expect("a reply");
                written.store(number + 1, Relaxed);
            }
        })
    };
    let before = written.load(Relaxed);
    cluster.boot(AWAY);
    for round in 1..=KILLS {
        thread::sleep(Duration::from_millis(40 * round));
        cluster.kill(AWAY);
        cluster.boot(AWAY);
    }
    let begun = Instant::now();
    loop {
        let statuses = [0, 1, 2].map(|server| cluster.status(ServerId(server)));
        if let [Some(first), Some(second), Some(away)] = &statuses
            && away.data_bytes >= total_bytes()
            && away.applied.0 + 100 >= first.applied.max(second.applied).0
        {
            break;
        }
        assert!(begun.elapsed() < TIMEOUT, "{statuses:?}\n{}", cluster.log_tail(AWAY));
        thread::sleep(Duration::from_millis(10));
    }
    assert!(cluster.full_log(AWAY).contains("from a snapshot"), "{}", cluster.log_tail(AWAY));
    assert!(written.load(Relaxed) > before, "nothing was written while it caught up");
    stop.store(true, Relaxed);
    writer.join().expect("a writer");
    let written = written.load(Relaxed);

    // With another server down, a majority includes this server and needs its data.
    for other in [ServerId(0), ServerId(1)] {
        cluster.kill(other);
        for number in 0..KEYS {
            let found = clerk.get(&key(number)).expect("a reply").unwrap_or_default();
            assert!(found == value(number).as_bytes(), "{} without {other}", key(number));
        }
        let meanwhile = clerk.get("meanwhile").expect("a reply").unwrap_or_default();
        let expected: String = (0..written).map(|number| format!("{number};")).collect();
        assert!(meanwhile == expected.as_bytes(), "without {other}");
        cluster.boot(other);
        // The next server may be killed only after this one has caught up.
        let begun = Instant::now();
        while cluster.status(other).is_none_or(|status| status.data_bytes < total_bytes()) {
            assert!(begun.elapsed() < TIMEOUT, "{}", cluster.log_tail(other));
            thread::sleep(Duration::from_millis(10));
        }
    }
}
