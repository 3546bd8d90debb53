//! Part 3C: persistence (paper, section 5.1 and Figure 2: a server that returns from a crash keeps its promises), and
//! the earlier parts with crashes and an unreliable network.

use std::collections::BTreeMap;

use labstd::rng::RngExt;
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicBool, Ordering::Relaxed};
use labstd::thread;
use labstd::time::Duration;
use raftapi::{Index, ServerId, Started};

use crate::cluster::{Cluster, ELECTION_TIMEOUT, Retry};
use crate::command::Command;
use crate::violation::Violation;
use diagnosis::Rule;

/// Servers crash (all of them, the leader, or a follower) and return with their logs.
pub fn persist_1(cluster: &Cluster) {
    cluster.one(11, 3, Retry::Yes);
    cluster.servers().for_each(|server| cluster.crash(server));
    cluster.servers().for_each(|server| cluster.restart(server));
    cluster.one(12, 3, Retry::Yes);

    let first = cluster.check_one_leader();
    cluster.reboot(first);
    cluster.one(13, 3, Retry::Yes);

    let second = cluster.check_one_leader();
    cluster.disconnect(second);
    cluster.one(14, 2, Retry::Yes);
    cluster.reboot(second);
    cluster.wait(Index(4), 3, None);

    let follower = cluster.after(cluster.check_one_leader(), 1);
    cluster.disconnect(follower);
    cluster.one(15, 2, Retry::Yes);
    cluster.reboot(follower);
    cluster.one(16, 3, Retry::Yes);
}

/// Two successive majorities share only one server, which has just been restarted.
pub fn persist_2(cluster: &Cluster) {
    const ROUNDS: i64 = 5;
    for round in 0..ROUNDS {
        let command = 11 + 3 * round;
        cluster.one(command, 5, Retry::Yes);
        let leader = cluster.check_one_leader();
        let [a, b, c, d] = [1, 2, 3, 4].map(|steps| cluster.after(leader, steps));

        [a, b].iter().for_each(|&server| cluster.disconnect(server));
        cluster.one(command + 1, 3, Retry::Yes);
        [leader, c, d].iter().for_each(|&server| cluster.disconnect(server));

        [a, b].iter().for_each(|&server| cluster.reboot(server));
        cluster.sleep(ELECTION_TIMEOUT);
        // Of the three servers, only this one has the last command.
        cluster.reboot(c);
        cluster.one(command + 2, 3, Retry::Yes);

        [d, leader].iter().for_each(|&server| cluster.connect(server));
    }
    cluster.one(1000, 5, Retry::Yes);
}

/// Only the two servers that crash have a command; it survives with the one that returns.
pub fn persist_3(cluster: &Cluster) {
    cluster.one(101, 3, Retry::Yes);
    let leader = cluster.check_one_leader();
    let [crashed, cut_off] = [1, 2].map(|steps| cluster.after(leader, steps));
    cluster.disconnect(cut_off);
    cluster.one(102, 2, Retry::Yes);

    cluster.crash(leader);
    cluster.crash(crashed);
    cluster.connect(cut_off);
    cluster.restart(leader);
    cluster.one(103, 2, Retry::Yes);

    cluster.restart(crashed);
    cluster.one(104, 3, Retry::Yes);
}

/// Number of lost leaders in the two scenarios after Figure 8 of the paper.
const LEADERS_LOST: usize = 1000;

/// Leaders crash soon after they accepted a command, before or after it was committed, so logs contain entries of many
/// terms (paper, section 5.4.2 and Figure 8).
pub fn figure_8(cluster: &Cluster) {
    cluster.one(cluster.random_command(), 1, Retry::Yes);
    for _ in 0..LEADERS_LOST {
        let leader = offer_to_all(cluster);
        cluster.sleep(often_short(cluster));
        if let Some(leader) = leader {
            cluster.crash(leader);
        }
        if count(cluster, |server| cluster.is_running(server)) < 3 {
            let server = any_server(cluster);
            if !cluster.is_running(server) {
                cluster.restart(server);
            }
        }
    }
    restart_all_crashed(cluster);
    cluster.one(cluster.random_command(), 5, Retry::Yes);
}

/// Figure 8 over a network that loses, delays and reorders messages, with leaders that are disconnected.
pub fn figure_8_unreliable(cluster: &Cluster) {
    const REORDERING_FROM: usize = 200;
    cluster.one(cluster.random_command(), 1, Retry::Yes);
    for round in 0..LEADERS_LOST {
        if round == REORDERING_FROM {
            cluster.network().set_long_reordering(true);
        }
        let leader = offer_to_all(cluster);
        cluster.sleep(often_short(cluster));
        if let Some(leader) = leader
            && chance(cluster, 500)
        {
            cluster.disconnect(leader);
        }
        if count(cluster, |server| cluster.is_connected(server)) < 3 {
            let server = any_server(cluster);
            if !cluster.is_connected(server) {
                cluster.connect(server);
            }
        }
    }
    let cut_off = cluster.servers().filter(|&server| !cluster.is_connected(server));
    cut_off.for_each(|server| cluster.connect(server));
    cluster.one(cluster.random_command(), 5, Retry::Yes);
}

/// Many concurrent clients reach agreement over an unreliable network.
pub fn unreliable_agree(cluster: &Cluster) {
    const ROUNDS: i64 = 49;
    const AT_ONCE: i64 = 4;
    let mut clients = Vec::new();
    for round in 1..=ROUNDS {
        for n in 0..AT_ONCE {
            let cluster = cluster.clone();
            let command = 100 * round + n;
            let client = thread::spawn(format!("client-{command}"), move || cluster.one(command, 1, Retry::Yes));
            clients.push(client);
        }
        cluster.one(round, 1, Retry::Yes);
    }
    cluster.network().set_reliable(true);
    for client in clients {
        client.join().expect("a client that does not panic");
    }
    // No client used this number.
    cluster.one(100 * (ROUNDS + 1), 5, Retry::Yes);
}

/// Commands that three clients saw committed stay committed while servers crash, return and are disconnected at random.
pub fn churn(cluster: &Cluster) {
    const CLIENTS: u64 = 3;
    const ROUNDS: usize = 20;
    /// Consecutive rounds, 7 s in all, with a majority that can communicate, after which something must be committed.
    const ENOUGH: usize = 10;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let (cluster, stop) = (cluster.clone(), Arc::clone(&stop));
            thread::spawn(format!("client-{n}"), move || churn_client(&cluster, n, &stop))
        })
        .collect();
    let mut in_a_row = 0;
    let mut longest = 0;
    for _ in 0..ROUNDS {
        if chance(cluster, 200) {
            cluster.disconnect(any_server(cluster));
        }
        if chance(cluster, 500) {
            let server = any_server(cluster);
            if !cluster.is_running(server) {
                cluster.restart(server);
            }
            cluster.connect(server);
        }
        if chance(cluster, 200) {
            cluster.crash(any_server(cluster));
        }
        let majority = 2 * count(cluster, |server| cluster.is_connected(server)) > cluster.len();
        in_a_row = if majority { in_a_row + 1 } else { 0 };
        longest = longest.max(in_a_row);
        cluster.sleep(ELECTION_TIMEOUT * 7 / 10);
    }
    cluster.sleep(ELECTION_TIMEOUT);
    cluster.network().set_reliable(true);
    restart_all_crashed(cluster);
    cluster.servers().for_each(|server| cluster.connect(server));

    stop.store(true, Relaxed);
    let seen = clients.into_iter().flat_map(|client| client.join().expect("a client that does not panic"));
    let seen: Vec<(Index, Command)> = seen.collect();
    // The random faults may disconnect so many servers for so long that nothing can be committed. That is no failure.
    if seen.is_empty() && longest >= ENOUGH {
        Violation::limit(
            &[Rule::RetryUntilStored, Rule::BackUpNextIndex, Rule::GrantResetsTimer],
            format!(
                "not one command of {CLIENTS} clients was committed in {ROUNDS} rounds of faults, though a majority \
                 could communicate in {longest} rounds in a row"
            ),
        );
    }
    cluster.sleep(ELECTION_TIMEOUT);
    let last = cluster.one(cluster.random_command(), 5, Retry::Yes);
    let entry = |n| cluster.wait(Index(n), 5, None).map(|command| (Index(n), command));
    let log: BTreeMap<Index, Command> = (1..=last.0).filter_map(entry).collect();
    for (index, command) in seen {
        let now = log.get(&index);
        if now != Some(&command) {
            let now = now.map_or("nothing".to_string(), Command::to_string);
            Violation::safety(
                &[Rule::SaveLog, Rule::CommitOwnTerm, Rule::UpToDateCandidate, Rule::TruncateOnConflict],
                format!(
                    "a client saw {command} committed at index {index}; at the end, the servers, whose logs end at \
                     index {last}, have {now} there"
                ),
            );
        }
    }
}

/// Runs one client of [`churn`]: submits one command after another and returns those that it saw committed, with their
/// indexes.
fn churn_client(cluster: &Cluster, number: u64, stop: &AtomicBool) -> Vec<(Index, Command)> {
    const LOOKS_MS: [u64; 5] = [10, 20, 50, 100, 200];
    let mut seen = Vec::new();
    while !stop.load(Relaxed) {
        let command = Command::Int(cluster.random_command());
        let accepted = cluster.servers().filter_map(|server| cluster.start(server, command.clone())).last();
        let Some(Started { index, .. }) = accepted else {
            cluster.sleep(Duration::from_millis(79 + 17 * number));
            continue;
        };
        let mut committed = cluster.n_committed(index).1;
        for wait_ms in LOOKS_MS {
            if committed.is_some() {
                break;
            }
            cluster.sleep(Duration::from_millis(wait_ms));
            committed = cluster.n_committed(index).1;
        }
        if committed.as_ref() == Some(&command) {
            seen.push((index, command));
        }
    }
    seen
}

/// Offers each server its own command. Returns the last connected server that accepts, which is probably the leader.
fn offer_to_all(cluster: &Cluster) -> Option<ServerId> {
    let accepts = |&server: &ServerId| cluster.start(server, cluster.random_command()).is_some();
    cluster.servers().filter(accepts).filter(|&server| cluster.is_connected(server)).last()
}

/// Returns up to 12 ms; in one of ten cases, up to 499 ms.
fn often_short(cluster: &Cluster) -> Duration {
    let bound_ms = if chance(cluster, 100) { 500 } else { 13 };
    Duration::from_millis(cluster.draw(|rng| rng.random_range(0..bound_ms)))
}

/// Returns true in `in_thousand` of 1000 cases.
fn chance(cluster: &Cluster, in_thousand: u32) -> bool {
    cluster.draw(|rng| rng.random_range(0..1000) < in_thousand)
}

fn any_server(cluster: &Cluster) -> ServerId {
    ServerId(cluster.draw(|rng| rng.random_range(0..cluster.len())))
}

fn count(cluster: &Cluster, holds: impl Fn(ServerId) -> bool) -> usize {
    cluster.servers().filter(|&server| holds(server)).count()
}

fn restart_all_crashed(cluster: &Cluster) {
    let crashed = cluster.servers().filter(|&server| !cluster.is_running(server));
    crashed.for_each(|server| cluster.restart(server));
}
