//! Our own scenarios, for what the course's do not catch.

use std::collections::BTreeSet;

use labrpc::{Direction, Verdict};
use labstd::sync::Mutex;
use labstd::time::{Duration, Instant};
use raftapi::{Raft, Started};

use crate::cluster::{Cluster, Retry};
use crate::diagnosis::Rule;
use crate::violation::Violation;

/// No term ever has two leaders, even while messages are so slow that several servers campaign at once.
///
/// A server that votes twice in a term fails this. The course's scenarios look only now and then, and on a fast network
/// the second leader has stepped down long before.
pub fn one_leader_a_term<R: Raft>(cluster: &Cluster<R>) {
    const SLOW: Duration = Duration::from_millis(100);
    const ROUNDS: usize = 4;
    const ROUND: Duration = Duration::from_millis(1500);
    const POLL_INTERVAL: Duration = Duration::from_millis(10);
    cluster.network().intercept(|_| Verdict::Delay(SLOW));
    let mut cut_off = None;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut latest = None;
        while begun.elapsed() < ROUND {
            for server in cluster.servers() {
                // To look is to check: the cluster remembers who led in which term.
                let Some((term, true)) = cluster.state(server) else { continue };
                latest = latest.max(Some((term, server)));
            }
            cluster.sleep(POLL_INTERVAL);
        }
        // The next election is held without the leader of this one.
        if let Some(server) = cut_off.take() {
            cluster.connect(server);
        }
        if let Some((_, leader)) = latest {
            cluster.disconnect(leader);
            cut_off = Some(leader);
        }
    }
    cluster.network().stop_intercepting();
    if let Some(server) = cut_off {
        cluster.connect(server);
    }
    cluster.check_one_leader();
}

/// A server that has voted lets the one it voted for lead: it does not campaign before that one's first heartbeat can
/// have reached it.
///
/// Messages take 30 ms, so that this heartbeat comes 60 ms after the vote. A server that does not begin its election
/// timeout anew when it grants a vote fails this: whenever its own patience ends within these 60 ms, the new leader is
/// deposed before it could do anything.
pub fn time_to_lead<R: Raft>(cluster: &Cluster<R>) {
    const ROUNDS: usize = 8;
    const SLOW: Duration = Duration::from_millis(30);
    /// From the election; no election timeout is as short as this and the way of the vote together.
    const NO_CAMPAIGN: Duration = Duration::from_millis(80);
    const ELECTION_MAX: Duration = Duration::from_secs(5);
    const POLL_INTERVAL: Duration = Duration::from_millis(2);
    cluster.network().intercept(|_| Verdict::Delay(SLOW));
    let term_of = |server| cluster.state(server).map(|(term, _)| term);
    let leading = |server| cluster.state(server).filter(|&(_, leads)| leads).map(|(term, _)| term);
    for _ in 0..ROUNDS {
        let old = cluster.check_one_leader();
        let [a, b] = [1, 2].map(|steps| cluster.after(old, steps));
        if [a, b].iter().any(|&server| term_of(server) != term_of(old)) {
            // Not at rest: a campaign that is under way already would prove nothing.
            continue;
        }
        cluster.disconnect(old);
        let cut_off = Instant::now();
        let mut looked = cut_off;
        let (leader, voter, term) = loop {
            let elected = leading(a).map(|term| (a, b, term)).or_else(|| leading(b).map(|term| (b, a, term)));
            if let Some(elected) = elected {
                break elected;
            }
            if cut_off.elapsed() > ELECTION_MAX {
                Violation::limit(
                    &[Rule::CampaignOnTimeout, Rule::GrantResetsTimer],
                    format!("{a} and {b} elected no leader within 5 s after leader {old} was cut off"),
                );
            }
            looked = Instant::now();
            cluster.sleep(POLL_INTERVAL);
        };
        // There was no leader when it looked before, so this is how long ago the election was, at most.
        while looked.elapsed() < NO_CAMPAIGN {
            let now = term_of(voter);
            let after = looked.elapsed();
            if let Some(later) = now.filter(|&now| now > term && after < NO_CAMPAIGN) {
                Violation::limit(
                    &[Rule::GrantResetsTimer],
                    format!(
                        "{voter} voted for {leader} in term {term}, but within {} ms after that election it is in term \
                     {later}: it did not begin a new election timeout when it granted its vote, and so did not wait for \
                     the first heartbeat",
                        after.as_millis()
                    ),
                );
            }
            cluster.sleep(POLL_INTERVAL);
        }
        cluster.connect(old);
    }
    cluster.network().stop_intercepting();
    cluster.check_one_leader();
}

/// Entries that come late take nothing away from a log that is already longer.
///
/// The first message that brings a command to each follower is held; the leader sends again, and more; all of it is
/// committed. Then the leader is cut off and the held messages arrive. A follower that replaces the end of its log by
/// what a message carries, conflict or not, loses committed entries, and with it the next leader.
pub fn late_entries<R: Raft>(cluster: &Cluster<R>) {
    const CHARS: usize = 1000;
    const TIMEOUT: Duration = Duration::from_secs(2);
    const POLL_INTERVAL: Duration = Duration::from_millis(5);
    let wait_until = |holds: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !holds() && begun.elapsed() < TIMEOUT {
            cluster.sleep(POLL_INTERVAL);
        }
        holds()
    };
    cluster.one(cluster.random_command(), 3, Retry::Yes);
    let leader = cluster.check_one_leader();
    let network = cluster.network();

    // The only long messages are those that carry this command.
    let held = Mutex::new(BTreeSet::new());
    network.intercept(move |message| {
        let carries = message.direction == Direction::Request && message.bytes.len() >= CHARS;
        if carries && held.lock().insert(message.server.clone()) { Verdict::Hold } else { Verdict::Pass }
    });
    cluster.start(leader, "late ".repeat(CHARS / 5));
    let both_held = wait_until(&|| network.held().len() == 2);
    cluster.start(leader, cluster.random_command());
    let last = cluster.start(leader, cluster.random_command());
    let all_have = last.is_some_and(|Started { index, .. }| wait_until(&|| cluster.n_committed(index).0 == 3));

    if all_have && both_held {
        cluster.disconnect(leader);
    }
    // On a leader that sends nothing more before it has an answer, they were not late at all.
    for message in network.held() {
        message.release();
    }
    network.stop_intercepting();
    let next = cluster.check_one_leader();
    if let (true, Some(last), Some(started)) = (all_have, last, cluster.start(next, cluster.random_command()))
        && started.index <= last.index
    {
        Violation::safety(
            &[Rule::TruncateOnConflict, Rule::LeaderAppendOnly],
            format!(
                "leader {next} put a new command at index {}, though everything up to index {} was committed: a message that \
             came late has removed entries from the logs",
                started.index, last.index
            ),
        );
    }
    cluster.connect(leader);
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// A Raft answers its service at any time, also while it has more to deliver than the service has read.
///
/// The service asks its Raft for the term before it reads the next entry, as a key/value server does. A Raft that holds
/// its lock while it delivers fails this: it waits for its service to read, and the service for the lock.
pub fn asking_service<R: Raft>(cluster: &Cluster<R>) {
    const ROUNDS: usize = 3;
    const MANY: usize = 20;
    cluster.services_query_raft(true);
    for _ in 0..ROUNDS {
        let leader = cluster.check_one_leader();
        for _ in 0..MANY {
            cluster.start(leader, cluster.random_command());
        }
        cluster.one(cluster.random_command(), 3, Retry::Yes);
    }
}

/// A follower to which entries were sent while it was cut off has them within 300 ms of its return, although the calls
/// that were begun meanwhile may take up to 7 s to fail.
///
/// A leader that sends one RPC at a time to each peer, and waits for its end, fails this.
pub fn catch_up<R: Raft>(cluster: &Cluster<R>) {
    const ROUNDS: usize = 5;
    const AT_ONCE: Duration = Duration::from_millis(300);
    const POLL_INTERVAL: Duration = Duration::from_millis(5);
    cluster.one(cluster.random_command(), 3, Retry::Yes);
    for round in 1..=ROUNDS {
        let leader = cluster.check_one_leader();
        let follower = cluster.after(leader, round);
        let follower = if follower == leader { cluster.after(leader, 1) } else { follower };
        cluster.disconnect(follower);
        let before = cluster.state(leader).map(|(term, _)| term);
        for _ in 0..4 {
            cluster.start(leader, cluster.random_command());
        }
        let last = cluster.one(cluster.random_command(), 2, Retry::Yes);
        // Long enough to send to it in vain, short enough that it does not campaign.
        cluster.sleep(Duration::from_millis(100));
        cluster.connect(follower);
        let returned = Instant::now();
        let caught_up_after = loop {
            if cluster.n_committed(last).0 == 3 {
                break returned.elapsed();
            }
            if returned.elapsed() > Duration::from_secs(5) {
                Violation::limit(
                    &[Rule::RetryUntilStored, Rule::BackUpNextIndex],
                    format!(
                        "{follower} has not caught up 5 s after its return: its leader {leader} and another server have applied index {last}, and it has not"
                    ),
                );
            }
            cluster.sleep(POLL_INTERVAL);
        };
        // An election after the return takes its own time.
        let undisturbed = cluster.state(leader) == before.map(|term| (term, true));
        let noted = if undisturbed { "" } else { ", with an election in between" };
        log::info!("{follower} caught up {} ms after its return{noted}", caught_up_after.as_millis());
        if undisturbed && caught_up_after > AT_ONCE {
            Violation::limit(
                &[Rule::RetryUntilStored, Rule::NoLockOverRpc],
                format!(
                    "{follower} caught up {} ms after its return; {} ms are enough when its leader stays",
                    caught_up_after.as_millis(),
                    AT_ONCE.as_millis()
                ),
            );
        }
    }
}
