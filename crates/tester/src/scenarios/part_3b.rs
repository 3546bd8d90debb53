//! Part 3B: the log (paper, sections 5.3 and 5.4).

use std::collections::BTreeSet;

use labstd::rng::RngExt;
use labstd::thread;
use labstd::time::Duration;
use raftapi::{Index, ServerId, Started, Term};

use crate::cluster::{Cluster, ELECTION_TIMEOUT, Retry};
use crate::command::Command;
use crate::violation::Violation;
use diagnosis::Rule;

/// Three commands are agreed on at the first three indexes, and none is committed before it was submitted.
pub fn basic_agree(cluster: &Cluster) {
    for n in 1..=3 {
        let index = Index(n);
        cluster.check_not_committed(index);
        agree_at(cluster, n as i64 * 100, 3, index);
    }
}

/// Each command goes to each follower about once.
pub fn rpc_bytes(cluster: &Cluster) {
    const COMMANDS: u64 = 10;
    const COMMAND_CHARS: u64 = 5000;
    const SLACK: u64 = 50_000;
    cluster.one(99, 3, Retry::No);
    let before = cluster.bytes();
    for n in 2..2 + COMMANDS {
        let text = cluster.draw(|rng| random_text(rng, COMMAND_CHARS));
        agree_at(cluster, text, 3, Index(n));
    }
    let sent = cluster.bytes() - before;
    let allowed = 3 * COMMANDS * COMMAND_CHARS + SLACK;
    if sent > allowed {
        Violation::limit(
            &[Rule::SendOnce, Rule::HeartbeatWhenIdle],
            format!(
                "{COMMANDS} commands of {COMMAND_CHARS} bytes took {sent} bytes of RPCs to 3 servers; {allowed} are enough"
            ),
        );
    }
}

/// Agreement continues while a majority is connected, and stops without one.
pub fn follower_failure(cluster: &Cluster) {
    cluster.one(101, 3, Retry::No);
    let leader = cluster.check_one_leader();
    cluster.disconnect(cluster.after(leader, 1));
    cluster.one(102, 2, Retry::No);
    cluster.sleep(ELECTION_TIMEOUT);
    cluster.one(103, 2, Retry::No);

    let leader = cluster.check_one_leader();
    cluster.disconnect(cluster.after(leader, 1));
    cluster.disconnect(cluster.after(leader, 2));
    let Some(Started { index, .. }) = cluster.start(leader, 104) else {
        Violation::limit(
            &[Rule::GrantResetsTimer, Rule::HeartbeatResetsTimer],
            format!("leader {leader} did not accept a command, though nothing told it to step down"),
        );
    };
    expect_index(leader, index, Index(4), Index(4));
    cluster.sleep(2 * ELECTION_TIMEOUT);
    cluster.check_not_committed(index);
}

/// A new leader takes over; a leader without a majority commits nothing.
pub fn leader_failure(cluster: &Cluster) {
    cluster.one(101, 3, Retry::No);
    let first = cluster.check_one_leader();
    cluster.disconnect(first);
    cluster.one(102, 2, Retry::No);
    cluster.sleep(ELECTION_TIMEOUT);
    cluster.one(103, 2, Retry::No);

    let second = cluster.check_one_leader();
    cluster.disconnect(second);
    for server in cluster.servers() {
        cluster.start(server, 104);
    }
    cluster.sleep(2 * ELECTION_TIMEOUT);
    cluster.check_not_committed(Index(4));
}

/// A follower that returns gets its missing entries.
pub fn fail_agree(cluster: &Cluster) {
    cluster.one(101, 3, Retry::No);
    let leader = cluster.check_one_leader();
    let follower = cluster.after(leader, 1);
    cluster.disconnect(follower);
    cluster.one(102, 2, Retry::No);
    cluster.one(103, 2, Retry::No);
    cluster.sleep(ELECTION_TIMEOUT);
    cluster.one(104, 2, Retry::No);
    cluster.one(105, 2, Retry::No);

    cluster.connect(follower);
    cluster.one(106, 3, Retry::Yes);
    cluster.sleep(ELECTION_TIMEOUT);
    cluster.one(107, 3, Retry::Yes);
}

/// While three of five servers are disconnected, nothing is committed; when they return, agreement is possible again.
pub fn fail_no_agree(cluster: &Cluster) {
    cluster.one(10, 5, Retry::No);
    let leader = cluster.check_one_leader();
    let cut_off = [1, 2, 3].map(|steps| cluster.after(leader, steps));
    cut_off.iter().for_each(|&server| cluster.disconnect(server));
    let Some(Started { index, .. }) = cluster.start(leader, 20) else {
        Violation::limit(
            &[Rule::GrantResetsTimer, Rule::HeartbeatResetsTimer],
            format!("leader {leader} did not accept a command, though nothing told it to step down"),
        );
    };
    expect_index(leader, index, Index(2), Index(2));
    cluster.sleep(2 * ELECTION_TIMEOUT);
    cluster.check_not_committed(index);

    cut_off.iter().for_each(|&server| cluster.connect(server));
    // The majority may have elected another leader, which has never received the command at index 2.
    let leader = cluster.check_one_leader();
    let Some(Started { index, .. }) = cluster.start(leader, 30) else {
        Violation::limit(
            &[Rule::GrantResetsTimer, Rule::HeartbeatResetsTimer],
            format!("leader {leader} did not accept a command right after it was seen to lead"),
        );
    };
    expect_index(leader, index, Index(2), Index(3));
    cluster.one(1000, 5, Retry::Yes);
}

/// Commands that are submitted at the same time are all agreed on.
pub fn concurrent_starts(cluster: &Cluster) {
    const STARTS: i64 = 5;
    in_one_term(cluster, |leader, _, term| {
        let starts: Vec<_> = (0..STARTS)
            .map(|n| {
                let cluster = cluster.clone();
                thread::spawn(format!("client-{n}"), move || cluster.start(leader, 100 + n))
            })
            .collect();
        let started = starts.into_iter().filter_map(|start| start.join().expect("a client that does not panic"));
        let indexes: Vec<Index> = started.filter(|started| started.term == term).map(|started| started.index).collect();
        if !all_are_in(cluster, term) {
            return None;
        }
        let mut committed = BTreeSet::new();
        for index in indexes {
            committed.insert(cluster.wait(index, 3, Some(term))?);
        }
        for n in 0..STARTS {
            let command = Command::Int(100 + n);
            if !committed.contains(&command) {
                Violation::safety(
                    &[Rule::LeaderAppendOnly],
                    format!(
                        "{command} was submitted to leader {leader} together with others and is lost, though term \
                         {term} did not end"
                    ),
                );
            }
        }
        Some(())
    });
}

/// A leader returns from a partition with entries that no other server has.
pub fn rejoin(cluster: &Cluster) {
    cluster.one(101, 3, Retry::Yes);
    let first = cluster.check_one_leader();
    cluster.disconnect(first);
    for command in [102, 103, 104] {
        cluster.start(first, command);
    }
    cluster.one(103, 2, Retry::Yes);

    let second = cluster.check_one_leader();
    cluster.disconnect(second);
    cluster.connect(first);
    cluster.one(104, 2, Retry::Yes);

    cluster.connect(second);
    cluster.one(105, 3, Retry::Yes);
}

/// Followers whose logs hold many entries of leaders that never had a majority are repaired quickly.
pub fn backup(cluster: &Cluster) {
    const MANY: usize = 50;
    let half = ELECTION_TIMEOUT / 2;
    let start_many = |leader| {
        for _ in 0..MANY {
            cluster.start(leader, cluster.random_command());
        }
    };
    let agree_on_many = || {
        for _ in 0..MANY {
            cluster.one(cluster.random_command(), 3, Retry::Yes);
        }
    };
    cluster.one(cluster.random_command(), 5, Retry::Yes);

    // The first leader and one follower get many entries that are never committed.
    let first = cluster.check_one_leader();
    let [follower, third, fourth, fifth] = [1, 2, 3, 4].map(|steps| cluster.after(first, steps));
    [third, fourth, fifth].iter().for_each(|&server| cluster.disconnect(server));
    start_many(first);
    cluster.sleep(half);

    // The other three agree on many others.
    [first, follower].iter().for_each(|&server| cluster.disconnect(server));
    [third, fourth, fifth].iter().for_each(|&server| cluster.connect(server));
    agree_on_many();

    // One of the three is disconnected; the other two get many entries that are never committed either.
    let second = cluster.check_one_leader();
    let other = if second == third { cluster.after(second, 1) } else { third };
    cluster.disconnect(other);
    start_many(second);
    cluster.sleep(half);

    // The two servers that were disconnected first and the one that was disconnected last agree on many more.
    cluster.servers().for_each(|server| cluster.disconnect(server));
    [first, follower, other].iter().for_each(|&server| cluster.connect(server));
    agree_on_many();

    cluster.servers().for_each(|server| cluster.connect(server));
    cluster.one(cluster.random_command(), 5, Retry::Yes);
}

/// Elections, agreement and idle periods take few RPCs.
pub fn count(cluster: &Cluster) {
    const COMMANDS: u64 = 10;
    const ELECTION: std::ops::RangeInclusive<u64> = 1..=30;
    const AGREEMENT_MAX: u64 = (COMMANDS + 1 + 3) * 3;
    const IDLE_SECOND_MAX: u64 = 3 * 20;
    cluster.check_one_leader();
    let election = cluster.rpcs();
    if !ELECTION.contains(&election) {
        Violation::limit(
            &[Rule::HeartbeatWhenIdle],
            format!("the first election took {election} RPCs; {ELECTION:?} are expected"),
        );
    }

    let after_agreement = in_one_term(cluster, |leader, first, term| {
        let before = cluster.rpcs();
        let mut submitted = Vec::new();
        for n in 1..COMMANDS + 2 {
            let number = cluster.draw(|rng| i64::from(rng.random_range(0..i32::MAX)));
            submitted.push(number);
            let started = cluster.start(leader, number).filter(|started| started.term == term)?;
            if started.index != Index(first.0 + n) {
                let index = started.index;
                Violation::safety(
                    &[Rule::LeaderAppendOnly],
                    format!("leader {leader} put a command at index {index}, after {}", first.0 + n - 1),
                );
            }
        }
        for (n, &number) in (1..=COMMANDS).zip(&submitted) {
            let index = Index(first.0 + n);
            let command = cluster.wait(index, 3, Some(term))?;
            if command != Command::Int(number) {
                Violation::safety(
                    &[Rule::LeaderAppendOnly, Rule::CommitLastNewEntry],
                    format!("{command} is committed at index {index}, where the leader had put {number}"),
                );
            }
        }
        if !all_are_in(cluster, term) {
            return None;
        }
        let rpcs = cluster.rpcs() - before;
        if rpcs > AGREEMENT_MAX {
            Violation::limit(
                &[Rule::HeartbeatWhenIdle, Rule::SendOnce],
                format!("{COMMANDS} commands took {rpcs} RPCs; {AGREEMENT_MAX} are enough"),
            );
        }
        Some(cluster.rpcs())
    });

    cluster.sleep(ELECTION_TIMEOUT);
    let idle = cluster.rpcs() - after_agreement;
    if idle > IDLE_SECOND_MAX {
        Violation::limit(
            &[Rule::HeartbeatWhenIdle],
            format!("an idle second took {idle} RPCs; at most {IDLE_SECOND_MAX} are allowed"),
        );
    }
}

/// Submits a first command to the leader, and calls `attempt_body` with the leader, the index and the term of that
/// command. Starts again, up to five times in all, if the leader no longer leads or if the term changed meanwhile
/// (`None`).
fn in_one_term<T>(cluster: &Cluster, attempt_body: impl Fn(ServerId, Index, Term) -> Option<T>) -> T {
    const ATTEMPTS: usize = 5;
    const PAUSE: Duration = Duration::from_secs(3);
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            cluster.sleep(PAUSE);
        }
        let leader = cluster.check_one_leader();
        let Some(Started { index, term }) = cluster.start(leader, 1) else { continue };
        if let Some(result) = attempt_body(leader, index, term) {
            return result;
        }
    }
    Violation::limit(
        &[Rule::HeartbeatResetsTimer, Rule::GrantResetsTimer],
        format!("the term changed during each of {ATTEMPTS} attempts, though nothing failed"),
    )
}

/// Returns whether every server is in `term`.
fn all_are_in(cluster: &Cluster, term: Term) -> bool {
    cluster.servers().all(|server| cluster.state(server).is_some_and(|(now, _)| now == term))
}

/// Agrees on `command`, submitted once, which must be put at `index`.
fn agree_at(cluster: &Cluster, command: impl Into<Command>, expected: usize, index: Index) {
    let command = command.into();
    let got = cluster.one(command.clone(), expected, Retry::No);
    if got != index {
        Violation::safety(
            &[Rule::LeaderAppendOnly, Rule::GrantResetsTimer],
            format!("{command} was put at index {got}, though {index} is the next free one"),
        );
    }
}

/// Fails the run if the leader put a command at an `index` outside `first` to `last`.
fn expect_index(leader: ServerId, index: Index, first: Index, last: Index) {
    if !(first..=last).contains(&index) {
        Violation::safety(
            &[Rule::LeaderAppendOnly],
            format!("leader {leader} put the command at index {index}; expected {first} to {last}"),
        );
    }
}

/// Returns a random text of letters, digits, `-` and `_`.
fn random_text(rng: &mut labstd::rng::Stream, chars: u64) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..chars).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}
