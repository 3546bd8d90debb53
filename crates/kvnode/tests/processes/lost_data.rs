//! A server comes back without its data, with an older copy of it, or loses it while it runs. It must stop and name the
//! command that brings it back, and nothing acknowledged may be lost. Clusters of other servers are refused.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use kvnode::node::{NodeRole, NodeStatus};
use kvnode::wire::{Clerk, ClerkSettings};
use raftapi::ServerId;
use tester::kv::KvClusterConfig;

use crate::cluster::Processes;

/// Time limit for servers to react on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The time for which a cluster must have no leader. It is three times the longest election timeout.
const NO_LEADER_TIME: Duration = Duration::from_secs(3);

const S0: ServerId = ServerId(0);
const S1: ServerId = ServerId(1);
const S2: ServerId = ServerId(2);
const ALL: [ServerId; 3] = [S0, S1, S2];

fn start() -> Processes {
    Processes::start(KvClusterConfig { servers: 3, reliable: true, max_raft_state: None })
}

fn clerk(cluster: &Processes) -> Clerk {
    let settings = ClerkSettings { deadline: Some(TIMEOUT), ..ClerkSettings::default() };
    Clerk::new(cluster.addresses(), settings)
}

#[track_caller]
fn wait_until(cluster: &Processes, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        let logs: String = ALL.iter().map(|&id| format!("{id}: {}\n", cluster.log_tail(id))).collect();
        assert!(begun.elapsed() < TIMEOUT, "timeout while waiting until {what}; the logs end with:\n{logs}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn leads(status: &NodeStatus) -> bool {
    status.role == NodeRole::Leader
}

/// Waits until the server has applied as much as the others have committed.
#[track_caller]
fn wait_until_caught_up(cluster: &Processes, server: ServerId) {
    wait_until(cluster, &format!("{server} has caught up"), || {
        let commit = ALL.iter().filter_map(|&id| cluster.status(id)).map(|status| status.commit_index).max();
        cluster.status(server).is_some_and(|status| status.standing.is_empty() && Some(status.applied) >= commit)
    });
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for file in fs::read_dir(from).expect("a directory") {
        let file = file.expect("a file");
        fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
    }
}

/// The case of all tests: `new` is acknowledged by S0 and S1. Then S1 comes back as `forget` left it, together with S2,
/// which does not have `new`. S1 must stop with one line; there must be no leader until S0 is back; and then `new` is
/// there, and `serve --replace` brings S1 back.
fn nothing_is_lost_if(forget: impl FnOnce(&Processes, &mut dyn FnMut()), reason: &str) {
    let cluster = start();
    let mut clerk = clerk(&cluster);
    clerk.put("old", "1").expect("a reply");
    ALL.iter().for_each(|&id| wait_until_caught_up(&cluster, id));
    // `forget` calls this when `new` is to be written by S0 and S1 alone.
    let mut write = || {
        cluster.kill(S2);
        clerk.put("new", "precious").expect("a majority runs");
    };
    forget(&cluster, &mut write);
    cluster.kill(S0);
    cluster.boot(S1);
    cluster.boot(S2);
    let line = cluster.wait_for_failure(S1);
    assert!(line.contains(reason) && line.contains("serve --replace"), "{line}");

    let begun = Instant::now();
    while begun.elapsed() < NO_LEADER_TIME {
        assert!(!cluster.status(S2).as_ref().is_some_and(leads), "S2 leads without an acknowledged write");
        thread::sleep(Duration::from_millis(50));
    }
    cluster.boot(S0);
    assert_eq!(clerk.get("new").expect("S0 and S2 run").as_deref(), Some(&b"precious"[..]));

    let _ = fs::remove_dir_all(cluster.data(S1));
    cluster.boot_with(S1, &["--replace"]);
    wait_until_caught_up(&cluster, S1);
    // S1 counts again: S0 and S1 are enough.
    cluster.kill(S2);
    clerk.put("last", "2").expect("a majority runs");
    assert_eq!(clerk.get("new").expect("a majority runs").as_deref(), Some(&b"precious"[..]));
    // And it is an ordinary server again, which starts without the flag.
    cluster.kill(S1);
    cluster.boot(S1);
    assert_eq!(clerk.get("last").expect("a majority runs").as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_server_with_an_empty_directory_stops_until_it_is_replaced() {
    nothing_is_lost_if(
        |cluster, write| {
            write();
            cluster.kill(S1);
            fs::remove_dir_all(cluster.data(S1)).expect("a directory");
        },
        "the data directory of S1 is new",
    );
}

#[test]
fn a_server_with_an_older_copy_of_its_directory_stops_until_it_is_replaced() {
    nothing_is_lost_if(
        |cluster, write| {
            let (data, backup) = (cluster.data(S1), cluster.data(S1).with_extension("copy"));
            cluster.kill(S1);
            copy(&data, &backup);
            cluster.boot(S1);
            wait_until_caught_up(cluster, S1);
            // If S0 alone knew of the second start, S2 could not recognise the copy.
            wait_until(cluster, "all know the second start", || cluster.is_known_to_all(S1));
            write();
            cluster.kill(S1);
            fs::remove_dir_all(&data).expect("a directory");
            fs::rename(&backup, &data).expect("the copy");
        },
        "the data directory of S1 is an older copy: it begins start 2, but S1 had begun start 2 before",
    );
}

#[test]
fn a_copy_of_a_running_server_that_is_behind_stops() {
    nothing_is_lost_if(
        |cluster, write| {
            let (data, backup) = (cluster.data(S1), cluster.data(S1).with_extension("copy"));
            // A stopped process does not change its files while they are copied.
            cluster.signal(S1, "STOP");
            copy(&data, &backup);
            cluster.signal(S1, "CONT");
            write();
            // The number of saves of S1 travels with its messages to S2, which saves it with its next batch.
            cluster.boot(S2);
            wait_until_caught_up(cluster, S2);
            cluster.kill(S0);
            clerk(cluster).put("later", "3").expect("a majority runs");
            cluster.kill(S1);
            fs::remove_dir_all(&data).expect("a directory");
            fs::rename(&backup, &data).expect("the copy");
            cluster.kill(S2);
        },
        "the data directory of S1 is an older copy: it had",
    );
}

#[test]
fn a_directory_that_is_removed_under_a_running_server_stops_it() {
    nothing_is_lost_if(
        |cluster, write| {
            write();
            fs::remove_dir_all(cluster.data(S1)).expect("a directory");
            let line = cluster.wait_for_failure(S1);
            assert!(line.contains("was removed or replaced under the running server"), "{line}");
        },
        "the data directory of S1 is new",
    );
}

/// The leader stays, and the disk of a follower is replaced.
#[test]
fn a_replaced_follower_of_a_leader_that_stays_is_caught_up_at_once() {
    for log_limit in [None, Some(4096)] {
        let cluster = Processes::start(KvClusterConfig { servers: 3, reliable: true, max_raft_state: log_limit });
        let mut clerk = clerk(&cluster);
        for number in 0..50 {
            clerk.put(&format!("k{number}"), "v".repeat(1000)).expect("a reply");
        }
        let leader = ALL.into_iter().find(|&id| cluster.status(id).as_ref().is_some_and(leads)).expect("a leader");
        let follower = ServerId((leader.0 + 1) % 3);
        let other = ServerId((leader.0 + 2) % 3);
        cluster.kill(follower);
        fs::remove_dir_all(cluster.data(follower)).expect("a directory");
        clerk.put("while-away", "1").expect("a majority runs");
        cluster.boot_with(follower, &["--replace"]);
        wait_until_caught_up(&cluster, follower);
        assert!(cluster.status(leader).as_ref().is_some_and(leads), "the leader stays");
        cluster.kill(other);
        clerk.put("last", "1").expect("the leader and the replaced server are a majority");
        for key in ["k1", "k49", "while-away"] {
            assert!(clerk.get(key).expect("a majority runs").is_some(), "{key}");
        }
    }
}

#[test]
fn servers_of_two_clusters_refuse_each_other_in_words() {
    let (cluster, other) = (start(), start());
    let mut clerks = [clerk(&cluster), clerk(&other)];
    clerks[0].put("who", "first").expect("a reply");
    clerks[1].put("who", "second").expect("a reply");
    ALL.iter().for_each(|&id| {
        cluster.kill(id);
        other.kill(id);
    });
    // S0 of the first cluster is started among S1 and S2 of the other one.
    fs::remove_dir_all(other.data(S0)).expect("a directory");
    fs::rename(cluster.data(S0), other.data(S0)).expect("a directory of the same file system");
    ALL.iter().for_each(|&id| other.boot(id));
    assert_eq!(clerks[1].get("who").expect("S1 and S2 run").as_deref(), Some(&b"second"[..]));
    for id in ALL {
        wait_until(&other, "the refusal is logged", || other.full_log(id).contains("belongs to cluster"));
    }
    assert!(!other.status(S0).as_ref().is_some_and(leads), "S0 is alone");
}
