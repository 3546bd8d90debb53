//! Our own scenarios about entries that must not get lost: acknowledged and not saved, committed too early, or covered by
//! a snapshot that comes late.

use std::collections::BTreeSet;

use labrpc::{Direction, Message, Verdict};
use labstd::sync::atomic::{AtomicBool, Ordering::Relaxed};
use labstd::sync::{Arc, Mutex};
use labstd::time::Duration;
use raftapi::{Index, Raft, Started};

use super::ours_votes::{is_for, leading, only_elected, wait_until};
use crate::cluster::{Cluster, Retry};
use crate::diagnosis::Rule;
use crate::violation::Violation;

/// Only a message that carries a command of this many characters is as long as this.
pub(super) const CHARS: usize = 1000;

/// How long a Raft may take for what it does at once or with its next heartbeat.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What a follower acknowledged it still has after a crash.
///
/// It crashes in the moment in which its reply leaves it. The leader gets the reply, and commits; then it is cut off, and
/// the follower returns. A follower that replies before it has saved loses the entry, and the third server, which never
/// had it, is of no help.
pub fn acknowledged<R: Raft>(cluster: &Cluster<R>) {
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
        for reply in network.held() {
            reply.release();
        }
        network.stop_intercepting();

        // No other leader has followed, and nothing else can be at this index.
        let committed = |index| wait_until(cluster, TIMEOUT, || cluster.n_committed(index).0 > 0);
        let last = started.map(|Started { index, .. }| index).filter(|&index| replied && committed(index));
        cluster.disconnect(leader);
        // It is the only one of the two that a majority may elect.
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
                    "{follower} acknowledged the entry at index {last}, so that {leader} committed it, and crashed; when \
                 {follower} was back, {next} was elected, and put a new command at index {index}: {follower} had not saved \
                 the entry when it acknowledged it, or has removed it since"
                ),
            );
        }
        network.stop_intercepting();
        cluster.connect(leader);
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// A new leader keeps what is in its log, also what it does not know to be committed.
///
/// When both followers have acknowledged an entry, nothing more reaches them: the leader alone knows that it is committed.
/// Then the leader is cut off.
pub fn new_leader<R: Raft>(cluster: &Cluster<R>) {
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
                    "{next}, leader of term {term}, put a new command at index {index}, though {leader} had committed everything \
                 up to index {last}, and {next} had acknowledged it: a new leader must keep what is in its log, whether \
                 it knows that it is committed or not"
                ),
            );
        }
        cluster.connect(leader);
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// Figure 8 of the paper, step by step: an entry of an older term is not committed, though a majority has it, because a
/// server without it can still be elected.
pub fn older_term<R: Raft>(cluster: &Cluster<R>) {
    const ELECTION: Duration = Duration::from_secs(6);
    const REPLICATION: Duration = Duration::from_millis(500);
    let heal = |how_far: &str| {
        log::info!("{how_far}");
        cluster.network().stop_intercepting();
        cluster.servers().for_each(|server| cluster.connect(server));
        cluster.one(cluster.random_command(), 5, Retry::Yes);
    };
    cluster.one(cluster.random_command(), 5, Retry::Yes);
    let s1 = cluster.check_one_leader();
    let [s2, s3, s4, s5] = [1, 2, 3, 4].map(|steps| cluster.after(s1, steps));

    // (a) S1 leads, and brings an entry to S2 only.
    [s3, s4, s5].iter().for_each(|&server| cluster.disconnect(server));
    let Some(first) = cluster.start(s1, cluster.random_command()) else {
        return heal("gave up at (a): the leader does not lead any more");
    };
    cluster.sleep(REPLICATION);

    // (b) S1 and S2 are gone; S5 is elected, and has another entry at the same index.
    [s1, s2].iter().for_each(|&server| cluster.disconnect(server));
    only_elected(cluster, s5);
    [s3, s4, s5].iter().for_each(|&server| cluster.connect(server));
    let elected = wait_until(cluster, ELECTION, || leading(cluster, s5).is_some());
    [s3, s4, s5].iter().for_each(|&server| cluster.disconnect(server));
    let second = cluster.start(s5, cluster.random_command());
    let Some(second) = second.filter(|second| elected && second.index == first.index) else {
        return heal("gave up at (b): S5 was not elected");
    };

    // (c) S5 is gone; S1 returns, is elected, and goes on with its entry, which S3 gets: now three of five have it.
    only_elected(cluster, s1);
    cluster.reboot(s1);
    [s2, s3].iter().for_each(|&server| cluster.connect(server));
    if !wait_until(cluster, ELECTION, || leading(cluster, s1).is_some_and(|term| term > second.term)) {
        return heal("gave up at (c): S1 was not elected again");
    }
    let later = leading(cluster, s1);
    cluster.sleep(REPLICATION);
    let committed = cluster.n_committed(first.index).0 > 0;

    // (d) S1 is gone again; S5 is elected by those to whom its last entry is the newer one.
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
                "{s1}, leader of term {later}, committed index {index} because a majority ({s1}, {s2}, {s3}) had that entry, \
             which is of the older term {term}; but {s5} could still be elected, in term {last}, and will overwrite it \
             with its own of term {}: a leader may count only entries of its own term (Figure 8)",
                second.term
            ),
        );
    }
    heal("came to the end of Figure 8");
}

/// A follower commits no further than the leader has shown that their logs agree.
///
/// A leader that was cut off has entries of its own, and returns as a follower; it agrees with the new leader on
/// everything before them. The message with the new leader's entry is held, but what comes later says that this entry is
/// committed. A follower that takes the leader's commit index as it is commits its own entry instead.
pub fn commit_index<R: Raft>(cluster: &Cluster<R>) {
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
        "{follower} was never sent the entry of leader {leader} at index {}, and has one of its own there; that {leader} has \
         committed its entry does not make that of {follower} committed",
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

/// A snapshot that comes late takes nothing back.
///
/// A follower hears of its leader, but entries do not arrive until it has missed so much that it is sent a snapshot. The
/// first message with it is held, the leader sends it again, and more is committed. Then the held one arrives.
pub fn old_snapshot<R: Raft>(cluster: &Cluster<R>) {
    /// More than from one snapshot to the next.
    const MANY: usize = 15;
    const FURTHER: usize = 3;
    const LATE: Duration = Duration::from_millis(500);
    cluster.one(cluster.random_command(), 3, Retry::Yes);
    let follower = cluster.after(cluster.check_one_leader(), 1);
    let network = cluster.network();
    let misses_entries = Arc::new(AtomicBool::new(true));
    let (misses, held) = (Arc::clone(&misses_entries), AtomicBool::new(false));
    network.intercept(move |message| {
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
    let agree = |expected| {
        let command = format!("{} {}", cluster.random_command(), "long ".repeat(CHARS / 5));
        cluster.one(command, expected, Retry::Yes)
    };
    let missed = (0..MANY).fold(Index::ZERO, |_, _| agree(2));
    misses_entries.store(false, Relaxed);

    // A leader that does not send again before it has an answer sends nothing that could come late.
    if wait_until(cluster, TIMEOUT, || cluster.n_committed(missed).0 == 3) {
        for _ in 0..FURTHER {
            agree(3);
        }
    }
    for message in network.held() {
        message.release();
    }
    network.stop_intercepting();
    cluster.sleep(LATE);
    let last = agree(3);
    if last <= missed {
        Violation::safety(
            &[Rule::IgnoreOldSnapshot, Rule::RetainAfterSnapshot],
            format!(
                "after an old snapshot came late to {follower}, a command came to index {last}, though everything up to index \
             {missed} had been committed"
            ),
        );
    }
}

/// Whether a message brings a command of [`CHARS`] characters to a follower.
pub(super) fn carries_long_command(message: &Message<'_>) -> bool {
    message.direction == Direction::Request && message.bytes.len() >= CHARS
}
