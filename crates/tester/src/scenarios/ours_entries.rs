//! Our own scenarios about entries that must not get lost: entries acknowledged but not saved, committed too early, or
//! covered by a snapshot that arrives late.

use std::collections::BTreeSet;

use labrpc::{Direction, Message, Verdict};
use labstd::sync::atomic::{AtomicBool, Ordering::Relaxed};
use labstd::sync::{Arc, Mutex};
use labstd::time::Duration;
use raftapi::{Index, ServerId, Started};

use super::ours_votes::{is_for, leading, only_elected, release_held, wait_until};
use crate::cluster::{Cluster, Retry};
use crate::violation::Violation;
use diagnosis::Rule;

/// Length of a command in characters; only messages that carry such a command are at least this long.
pub(super) const CHARS: usize = 1000;

/// Maximum time for actions that a Raft takes immediately or with its next heartbeat.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A follower still has an acknowledged entry after a crash.
///
/// It crashes at the moment at which it sends its reply. The leader gets the reply and commits. Then the leader is
/// disconnected, and the follower returns. A follower that replies before it saves loses the entry, and the third
/// server never had it.
pub fn acknowledged(cluster: &Cluster) {
    const ROUNDS: usize = 3;
    for _ in 0..ROUNDS {
        cluster.one(cluster.random_command(), 3, Retry::Yes);
        let leader = cluster.check_one_leader();
        let [follower, other] = [1, 2].map(|steps| cluster.after(leader, steps));
        cluster.disconnect(other);
        let network = cluster.network();
        let calls = Mutex::new(BTreeSet::new());
        network.intercept(move |message| {
            let mut calls = calls.lock();
            if carries_long_command(message) && is_for(message, follower) {
                calls.insert(message.call);
            }
            let acknowledges = message.direction == Direction::Reply && calls.contains(&message.call);
            if acknowledges { Verdict::Hold } else { Verdict::Pass }
        });
        let started = cluster.start(leader, "acknowledged ".repeat(CHARS / 13 + 1));
        let replied = wait_until(cluster, TIMEOUT, || !network.held().is_empty());
        cluster.crash(follower);
        release_held(cluster);
        network.stop_intercepting();

        // No other leader has been elected, so only this entry can be at the index.
        let committed = |index| wait_until(cluster, TIMEOUT, || cluster.n_committed(index).0 > 0);
        let last = started.map(|Started { index, .. }| index).filter(|&index| replied && committed(index));
        cluster.disconnect(leader);
        // Of these two servers, only the follower may be elected.
        only_elected(cluster, follower);
        cluster.restart(follower);
        cluster.connect(other);
        let next = cluster.check_one_leader();
        if let (Some(last), Some(Started { index, .. })) = (last, cluster.start(next, cluster.random_command()))
            && index <= last
        {
            Violation::safety(
                &[Rule::SaveBeforeReply, Rule::SaveLog, Rule::LeaderAppendOnly],
                format!(
                    "{follower} acknowledged the entry at index {last}, so {leader} committed it, and {follower} \
                     crashed; after the restart of {follower}, {next} was elected and put a new command at index \
                     {index}: {follower} had not saved the entry when it acknowledged it, or has removed it since"
                ),
            );
        }
        network.stop_intercepting();
        cluster.connect(leader);
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// A new leader keeps the entries in its log, even if it does not know that they are committed.
///
/// When both followers have acknowledged an entry, no more requests reach them, so only the leader knows that it is
/// committed. Then the leader is disconnected.
pub fn new_leader(cluster: &Cluster) {
    const ROUNDS: usize = 2;
    for _ in 0..ROUNDS {
        cluster.one(cluster.random_command(), 3, Retry::Yes);
        let leader = cluster.check_one_leader();
        let network = cluster.network();
        let progress = Mutex::new((BTreeSet::new(), BTreeSet::new()));
        network.intercept(move |message| {
            let (calls, acknowledged) = &mut *progress.lock();
            if carries_long_command(message) {
                calls.insert(message.call);
            } else if message.direction == Direction::Reply && calls.contains(&message.call) {
                acknowledged.insert(message.server.clone());
            }
            let enough = acknowledged.len() == 2;
            if enough && message.direction == Direction::Request { Verdict::Drop } else { Verdict::Pass }
        });
        let started = cluster.start(leader, "kept ".repeat(CHARS / 5 + 1));
        let committed = |index| wait_until(cluster, TIMEOUT, || cluster.n_committed(index).0 > 0);
        let last = started.map(|Started { index, .. }| index).filter(|&index| committed(index));
        cluster.disconnect(leader);
        network.stop_intercepting();

        let next = cluster.check_one_leader();
        if let (Some(last), Some(Started { index, term })) = (last, cluster.start(next, cluster.random_command()))
            && index <= last
        {
            Violation::safety(
                &[Rule::LeaderAppendOnly, Rule::UpToDateCandidate],
                format!(
                    "{next}, leader of term {term}, put a new command at index {index}, though {leader} had committed \
                     everything up to index {last}, and {next} had acknowledged it: a new leader must keep the \
                     entries in its log, whether or not it knows that they are committed"
                ),
            );
        }
        cluster.connect(leader);
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// Figure 8 of the paper, step by step: an entry of an older term is not committed by counting replicas, even if a
/// majority has it, because a server without it can still be elected.
pub fn older_term(cluster: &Cluster) {
    const ELECTION: Duration = Duration::from_secs(6);
    const REPLICATION: Duration = Duration::from_millis(500);
    let heal = || {
        cluster.network().stop_intercepting();
        cluster.servers().for_each(|server| cluster.connect(server));
        cluster.one(cluster.random_command(), 5, Retry::Yes);
    };
    let give_up = |reason| {
        cluster.give_up(reason);
        heal();
    };
    cluster.one(cluster.random_command(), 5, Retry::Yes);
    let s1 = cluster.check_one_leader();
    let [s2, s3, s4, s5] = [1, 2, 3, 4].map(|steps| cluster.after(s1, steps));

    // (a) S1 leads, and replicates an entry only to S2.
    [s3, s4, s5].iter().for_each(|&server| cluster.disconnect(server));
    let Some(first) = cluster.start(s1, cluster.random_command()) else {
        return give_up("at (a) the leader does not lead any more");
    };
    cluster.sleep(REPLICATION);

    // (b) S1 and S2 are disconnected; S5 is elected, and gets another entry at the same index.
    [s1, s2].iter().for_each(|&server| cluster.disconnect(server));
    only_elected(cluster, s5);
    [s3, s4, s5].iter().for_each(|&server| cluster.connect(server));
    let elected = wait_until(cluster, ELECTION, || leading(cluster, s5).is_some());
    [s3, s4, s5].iter().for_each(|&server| cluster.disconnect(server));
    let second = cluster.start(s5, cluster.random_command());
    let Some(second) = second.filter(|second| elected && second.index == first.index) else {
        return give_up("at (b) S5 was not elected");
    };

    // (c) S5 is disconnected; S1 returns, is elected, and continues with its entry, which S3 gets. Now three of five
    // have it.
    only_elected(cluster, s1);
    cluster.reboot(s1);
    [s2, s3].iter().for_each(|&server| cluster.connect(server));
    if !wait_until(cluster, ELECTION, || leading(cluster, s1).is_some_and(|term| term > second.term)) {
        return give_up("at (c) S1 was not elected again");
    }
    let later = leading(cluster, s1);
    cluster.sleep(REPLICATION);
    let committed = cluster.n_committed(first.index).0 > 0;

    // (d) S1 is disconnected again; servers whose last entry is older than that of S5 elect S5.
    cluster.disconnect(s1);
    only_elected(cluster, s5);
    [s4, s5].iter().for_each(|&server| cluster.connect(server));
    let elected = || leading(cluster, s5).filter(|&term| Some(term) > later);
    wait_until(cluster, ELECTION, || elected().is_some());
    if let (true, Some(later), Some(last)) = (committed, later, elected()) {
        let Started { index, term } = first;
        Violation::safety(
            &[Rule::CommitOwnTerm],
            format!(
                "{s1}, leader of term {later}, committed index {index} because a majority ({s1}, {s2}, {s3}) had that \
                 entry, which is of the older term {term}; but {s5} could still be elected, in term {last}, and will \
                 overwrite it with its own entry of term {}: a leader may count replicas only for entries of its own \
                 term (Figure 8)",
                second.term
            ),
        );
    }
    heal();
}

/// A follower commits no further than the leader has shown that their logs match.
///
/// A disconnected leader has entries of its own, and returns as a follower; its log matches the new leader's up to
/// these entries. The message with the new leader's entry is held, but later messages say that this entry is committed.
/// A follower that adopts the leader's commit index without a check commits its own entry instead.
pub fn commit_index(cluster: &Cluster) {
    const COMMANDS: usize = 5;
    const LATER_MESSAGES: Duration = Duration::from_millis(130);
    let before = cluster.one(cluster.random_command(), 3, Retry::Yes);
    let follower = cluster.check_one_leader();
    cluster.disconnect(follower);
    for _ in 0..2 {
        cluster.start(follower, cluster.random_command());
    }
    let leader = cluster.check_one_leader();
    cluster.connect(follower);
    let follows = || leading(cluster, follower).is_none() && leading(cluster, leader).is_some();
    let follows = wait_until(cluster, TIMEOUT, follows);

    let network = cluster.network();
    network.intercept(move |message| {
        if carries_long_command(message) && is_for(message, follower) { Verdict::Hold } else { Verdict::Pass }
    });
    let why = format!(
        "{follower} never received the entry of leader {leader} at index {}, and has an entry of its own there; \
         {leader} has committed its entry, which does not make the entry of {follower} committed",
        before.next()
    );
    cluster.suspect(Some((Rule::CommitLastNewEntry, why)));
    for _ in 0..COMMANDS {
        let started = cluster.start(leader, "committed ".repeat(CHARS / 10 + 1));
        if let Some(Started { index, .. }) = started.filter(|_| follows) {
            wait_until(cluster, TIMEOUT, || cluster.n_committed(index).0 == 2);
            cluster.sleep(LATER_MESSAGES);
        }
    }
    cluster.suspect(None);
    for message in network.held() {
        message.release();
    }
    network.stop_intercepting();
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// A late snapshot does not undo anything.
///
/// Messages of the leader reach a follower, but entries do not, until it lacks so many entries that it is sent a
/// snapshot. The first message with the snapshot is held, the leader sends it again, and more entries are committed.
/// Then the held message arrives.
pub fn old_snapshot(cluster: &Cluster) {
    /// More than the number of entries between two snapshots.
    const MANY: usize = 15;
    const FURTHER: usize = 3;
    const LATE: Duration = Duration::from_millis(500);
    cluster.one(cluster.random_command(), 3, Retry::Yes);
    let follower = cluster.after(cluster.check_one_leader(), 1);
    let network = cluster.network();
    let misses_entries = hold_first_snapshot(cluster, follower);
    let agree = |expected| cluster.one(long_command(cluster), expected, Retry::Yes);
    let missed = (0..MANY).fold(Index::ZERO, |_, _| agree(2));
    misses_entries.store(false, Relaxed);

    // If the leader sends nothing again before it has a reply, then no message can be late.
    if wait_until(cluster, TIMEOUT, || cluster.n_committed(missed).0 == 3) {
        for _ in 0..FURTHER {
            agree(3);
        }
    }
    release_held(cluster);
    network.stop_intercepting();
    cluster.sleep(LATE);
    let last = agree(3);
    if last <= missed {
        Violation::safety(
            &[Rule::IgnoreOldSnapshot, Rule::RetainAfterSnapshot],
            format!(
                "after an old snapshot arrived late at {follower}, a command was put at index {last}, though \
                 everything up to index {missed} had been committed"
            ),
        );
    }
}

/// Returns a random command of more than [`CHARS`] characters.
pub(super) fn long_command(cluster: &Cluster) -> String {
    format!("{} {}", cluster.random_command(), "long ".repeat(CHARS / 5))
}

/// From now on, `follower` receives no long commands while the result is true, and the first message with a snapshot
/// for it is held.
pub(super) fn hold_first_snapshot(cluster: &Cluster, follower: ServerId) -> Arc<AtomicBool> {
    let misses_entries = Arc::new(AtomicBool::new(true));
    let (misses, held) = (Arc::clone(&misses_entries), AtomicBool::new(false));
    cluster.network().intercept(move |message| {
        if message.direction == Direction::Reply || !is_for(message, follower) {
            Verdict::Pass
        } else if message.method == "Raft.InstallSnapshot" {
            if held.swap(true, Relaxed) { Verdict::Pass } else { Verdict::Hold }
        } else if misses.load(Relaxed) && carries_long_command(message) {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
    misses_entries
}

/// Returns whether a message brings a command of [`CHARS`] characters to a follower.
pub(super) fn carries_long_command(message: &Message<'_>) -> bool {
    message.direction == Direction::Request && message.bytes.len() >= CHARS
}
