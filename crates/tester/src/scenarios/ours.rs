//! Our own scenarios, for mistakes that the course's scenarios do not catch.

use std::collections::BTreeSet;

use labrpc::{Direction, Verdict};
use labstd::sync::Mutex;
use labstd::time::{Duration, Instant};
use raftapi::Started;

use crate::cluster::{Cluster, Retry};
use crate::violation::Violation;
use diagnosis::Rule;

/// No term ever has two leaders, even if messages are so slow that several servers campaign at the same time.
///
/// A server that votes twice in a term fails this scenario. The course's scenarios look only at intervals, and on a
/// fast network the second leader has stepped down long before.
pub fn one_leader_a_term(cluster: &Cluster) {
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
                // The query itself is a check: the cluster remembers the leader of each term.
                let Some((term, true)) = cluster.state(server) else { continue };
                latest = latest.max(Some((term, server)));
            }
            cluster.sleep(POLL_INTERVAL);
        }
        // The next election happens without the leader of this one.
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

/// A server that has voted gives its candidate time to lead: it does not campaign before the candidate's first
/// heartbeat can reach it.
///
/// Messages take 30 ms, so this heartbeat arrives 60 ms after the vote. A server that does not reset its election timer
/// when it grants a vote fails this scenario. If its timer fires within these 60 ms, then the new leader is deposed
/// before it could do anything.
pub fn time_to_lead(cluster: &Cluster) {
    const ROUNDS: usize = 12;
    const SLOW: Duration = Duration::from_millis(30);
    /// Measured from the election; every election timeout plus the travel time of the vote is longer than this.
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
            // The servers are not at rest, and a campaign that is already in progress would prove nothing.
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
                    format!("{a} and {b} elected no leader within 5 s after leader {old} was disconnected"),
                );
            }
            looked = Instant::now();
            cluster.sleep(POLL_INTERVAL);
        };
        // The previous poll found no leader, so the election happened at most this long ago.
        while looked.elapsed() < NO_CAMPAIGN {
            let now = term_of(voter);
            let after = looked.elapsed();
            if let Some(later) = now.filter(|&now| now > term && after < NO_CAMPAIGN) {
                Violation::limit(
                    &[Rule::GrantResetsTimer],
                    format!(
                        "{voter} voted for {leader} in term {term}, but at most {} ms after that election it was in \
                         term {later}: it did not reset its election timer when it granted its vote, so it did not \
                         wait for the first heartbeat",
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

/// Late entries remove nothing from a log that is already longer.
///
/// The first message that brings a command to each follower is held. The leader sends the command again, and more
/// commands, and all of them are committed. Then the leader is disconnected and the held messages arrive. A follower
/// that replaces the end of its log by the entries of a message, even without a conflict, loses committed entries. The
/// next leader then lacks them too.
pub fn late_entries(cluster: &Cluster) {
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

    // Only the messages that carry this command are long.
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
    // If the leader sends nothing more before it has a reply, then these messages were not late at all.
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
                "leader {next} put a new command at index {}, though everything up to index {} was committed: a late \
                 message has removed entries from the logs",
                started.index, last.index
            ),
        );
    }
    cluster.connect(leader);
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// A Raft answers its service at any time, even while it has more to deliver than the service has read.
///
/// The service queries the term of its Raft before it reads the next entry, as a key/value server does. A Raft that
/// holds its lock during delivery fails this scenario: it waits for its service to read, and the service waits for the
/// lock.
pub fn asking_service(cluster: &Cluster) {
    const ROUNDS: usize = 3;
    const MANY: usize = 20;
    cluster.set_services_query_raft(true);
    for _ in 0..ROUNDS {
        let leader = cluster.check_one_leader();
        for _ in 0..MANY {
            cluster.start(leader, cluster.random_command());
        }
        cluster.one(cluster.random_command(), 3, Retry::Yes);
    }
}

/// A follower that was disconnected while entries were sent has them within 300 ms after its return, although the calls
/// that were sent meanwhile may take up to 7 s to fail.
///
/// A leader that sends one RPC at a time to each peer, and waits for its end, fails this scenario.
pub fn catch_up(cluster: &Cluster) {
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
        // Long enough for the leader to send to it in vain, short enough that it does not campaign.
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
                        "{follower} has not caught up 5 s after its return: its leader {leader} and another server \
                         have applied index {last}, but it has not"
                    ),
                );
            }
            cluster.sleep(POLL_INTERVAL);
        };
        // An election after the return needs extra time.
        let undisturbed = cluster.state(leader) == before.map(|term| (term, true));
        let noted = if undisturbed { "" } else { ", with an election in between" };
        log::info!("{follower} caught up {} ms after its return{noted}", caught_up_after.as_millis());
        if undisturbed && caught_up_after > AT_ONCE {
            Violation::limit(
                &[Rule::RetryUntilStored, Rule::NoLockOverRpc],
                format!(
                    "{follower} caught up {} ms after its return; {} ms are enough if its leader stays",
                    caught_up_after.as_millis(),
                    AT_ONCE.as_millis()
                ),
            );
        }
    }
}
