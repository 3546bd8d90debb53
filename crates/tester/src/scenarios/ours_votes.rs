//! Our own scenarios about votes: which candidate may get one, which may not, and what a server does when it is asked
//! for one.
//!
//! They decide by method, size and sender which messages arrive; the content of a message depends on the Raft under
//! test.

use labrpc::{Direction, Message, Verdict};
use labstd::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use labstd::sync::{Arc, Mutex};
use labstd::time::{Duration, Instant};
use raftapi::{ServerId, Term};

use crate::cluster::{Cluster, Retry};
use crate::violation::Violation;
use diagnosis::Rule;

/// Polling interval of the scenarios.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The lab's name of a candidate's RPC.
const REQUEST_VOTE: &str = "Raft.RequestVote";

/// A server that voted, crashed and returned does not vote again in the same term.
///
/// No heartbeat arrives any more, and vote requests reach only the old leader. It votes for the first candidate, and is
/// restarted immediately. The other follower, which has heard nothing of this, campaigns in the same term. If the
/// restarted server has not saved its vote, then both followers become leaders.
pub fn vote_once(cluster: &Cluster) {
    const ROUNDS: usize = 4;
    const FIRST: Duration = Duration::from_secs(2);
    const SECOND: Duration = Duration::from_secs(1);
    for _ in 0..ROUNDS {
        cluster.one(cluster.random_command(), 3, Retry::Yes);
        let voter = cluster.check_one_leader();
        let [a, b] = [1, 2].map(|steps| cluster.after(voter, steps));
        cluster.network().intercept(move |message| {
            let to_voter = is_vote_request(message) && is_for(message, voter);
            if to_voter || message.direction == Direction::Reply { Verdict::Pass } else { Verdict::Drop }
        });
        let elected = || elected_of(cluster, [a, b]);
        if wait_until(cluster, FIRST, || elected().is_some())
            && let Some((first, second, term)) = elected()
        {
            let why = format!(
                "{voter} voted for {first}, was restarted, and voted for {second}: it had not saved its vote when it \
                 granted it"
            );
            cluster.suspect(Some((Rule::SaveVote, why)));
            cluster.reboot(voter);
            // Either it leads in the same term, or its campaign has failed. The query itself detects two leaders in one
            // term.
            wait_until(cluster, SECOND, || cluster.state(second).is_some_and(|(now, leads)| now > term || leads));
            cluster.suspect(None);
        }
        cluster.network().stop_intercepting();
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// Returns the one of two servers that leads, the other one, and the leader's term.
fn elected_of(cluster: &Cluster, [a, b]: [ServerId; 2]) -> Option<(ServerId, ServerId, Term)> {
    leading(cluster, a).map(|term| (a, b, term)).or(leading(cluster, b).map(|term| (b, a, term)))
}

/// A server that has voted in a term, and has heard from the leader of that term, does not vote again in it.
///
/// Messages reach only the old leader, which votes for the first candidate, and then hears from it. The request of the
/// other follower, in the same term, is held until then.
pub fn kept_vote(cluster: &Cluster) {
    const ROUNDS: usize = 4;
    const FIRST: Duration = Duration::from_secs(2);
    const SECOND: Duration = Duration::from_secs(1);
    const AT_ONCE: Duration = Duration::from_millis(100);
    for _ in 0..ROUNDS {
        cluster.one(cluster.random_command(), 3, Retry::Yes);
        let voter = cluster.check_one_leader();
        let [a, b] = [1, 2].map(|steps| cluster.after(voter, steps));
        let network = cluster.network();
        let (first, heartbeats) = (Mutex::new(None), Arc::new(AtomicUsize::new(0)));
        let replies = Arc::clone(&heartbeats);
        network.intercept(move |message| {
            let mut first = first.lock();
            if !is_for(message, voter) {
                return Verdict::Drop;
            }
            let from_a = is_from(message, a);
            if is_vote_request(message) && first.is_none() {
                *first = Some(from_a);
            }
            let from_first = *first == Some(from_a);
            if message.direction == Direction::Reply && from_first && message.method != REQUEST_VOTE {
                replies.fetch_add(1, SeqCst);
            }
            if !from_first && is_vote_request(message) { Verdict::Hold } else { Verdict::Pass }
        });
        let elected = || elected_of(cluster, [a, b]);
        if wait_until(cluster, FIRST, || elected().is_some() && heartbeats.load(SeqCst) > 0)
            && let Some((first, second, term)) = elected()
        {
            let campaigns = || cluster.state(second).is_some_and(|(now, _)| now == term);
            if wait_until(cluster, SECOND, || campaigns() && !network.held().is_empty())
                && let Some(request) = network.held().pop()
            {
                let why = format!(
                    "{voter} voted for {first}, heard from it, and voted for {second}: a vote is for the whole term"
                );
                cluster.suspect(Some((Rule::OneVotePerTerm, why)));
                request.release();
                wait_until(cluster, AT_ONCE, || cluster.state(second).is_some_and(|(now, leads)| now > term || leads));
                cluster.suspect(None);
            }
        }
        heal(cluster);
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// A candidate has voted for itself, and does not vote for another candidate in the same term.
pub fn own_vote(cluster: &Cluster) {
    two_candidates(cluster, false);
}

/// A candidate that has voted for itself, crashed and returned does not vote for another candidate in the same term.
pub fn own_vote_saved(cluster: &Cluster) {
    two_candidates(cluster, true);
}

/// As in [`vote_once`], but the request of the second follower reaches the first one, which has been elected, and which
/// is restarted before if `restarts` is set.
fn two_candidates(cluster: &Cluster, restarts: bool) {
    const ROUNDS: usize = 4;
    const FIRST: Duration = Duration::from_secs(2);
    const SECOND: Duration = Duration::from_secs(1);
    for _ in 0..ROUNDS {
        cluster.one(cluster.random_command(), 3, Retry::Yes);
        let voter = cluster.check_one_leader();
        let [a, b] = [1, 2].map(|steps| cluster.after(voter, steps));
        cluster.network().intercept(move |message| {
            let to_voter = is_vote_request(message) && is_for(message, voter);
            if to_voter || message.direction == Direction::Reply { Verdict::Pass } else { Verdict::Drop }
        });
        let elected = || elected_of(cluster, [a, b]);
        if wait_until(cluster, FIRST, || elected().is_some())
            && let Some((first, second, term)) = elected()
        {
            if restarts {
                cluster.crash(first);
            }
            cluster.network().intercept(move |message| {
                let to_first = is_vote_request(message) && is_for(message, first);
                let reply = message.direction == Direction::Reply && is_from(message, second);
                if to_first || reply { Verdict::Pass } else { Verdict::Drop }
            });
            let (rule, why) = if restarts {
                cluster.restart(first);
                let why = "it had not saved its vote for itself when it asked for votes";
                (Rule::SaveVote, format!("{first} was elected, was restarted, and voted for {second}: {why}"))
            } else {
                let why = "a candidate votes for itself, so it has no other vote in that term";
                (Rule::OneVotePerTerm, format!("{first} was elected, and voted for {second}: {why}"))
            };
            cluster.suspect(Some((rule, why)));
            wait_until(cluster, SECOND, || cluster.state(second).is_some_and(|(now, leads)| now > term || leads));
            cluster.suspect(None);
        }
        cluster.network().stop_intercepting();
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// A server with a shorter log is not elected, however high its term is.
///
/// A follower is disconnected while entries are committed. Then it is connected, the leader is disconnected, and the
/// votes for the third server are lost. The follower needs one vote, from a server whose log is longer and ends in the
/// same term.
pub fn shorter_log(cluster: &Cluster) {
    const ROUNDS: usize = 2;
    const CAMPAIGN: Duration = Duration::from_secs(3);
    for _ in 0..ROUNDS {
        cluster.one(cluster.random_command(), 3, Retry::Yes);
        let leader = cluster.check_one_leader();
        let [voter, behind] = [1, 2].map(|steps| cluster.after(leader, steps));
        cluster.disconnect(behind);
        cluster.one(cluster.random_command(), 2, Retry::Yes);
        let last = cluster.one(cluster.random_command(), 2, Retry::Yes);

        let committed_in = leading(cluster, leader);
        only_elected(cluster, behind);
        cluster.disconnect(leader);
        cluster.connect(behind);
        // Ignores a server that led before and does not know yet that its leadership is over.
        let elected = || leading(cluster, behind).filter(|&term| committed_in.is_some_and(|before| term > before));
        wait_until(cluster, CAMPAIGN, || elected().is_some());
        if let Some(term) = elected() {
            Violation::safety(
                &[Rule::UpToDateCandidate],
                format!(
                    "{behind} was elected in term {term} with the vote of {voter}, whose log is longer: {behind} was \
                     disconnected when everything up to index {last} was committed on {leader} and {voter}, and will \
                     overwrite it"
                ),
            );
        }
        cluster.network().stop_intercepting();
        // Now the other server can be elected.
        cluster.check_one_leader();
        cluster.connect(leader);
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// A server that hears from no leader campaigns, however often it gets vote requests that it must refuse.
///
/// All messages are lost, except vote requests to one follower, which are held. When there are many, the request with
/// the highest term is released, so that all other requests are too old to be granted. Then the others are released,
/// one every 100 ms. A server that resets its election timer with each of them never campaigns.
pub fn old_candidates(cluster: &Cluster) {
    const REQUESTS: usize = 60;
    const COLLECT: Duration = Duration::from_secs(15);
    const BETWEEN: Duration = Duration::from_millis(100);
    let leader = cluster.check_one_leader();
    let [follower, others @ ..] = [1, 2, 3, 4].map(|steps| cluster.after(leader, steps));
    let network = cluster.network();
    // Number of requests of the follower. Without a leader, it sends them only to campaign, or to ask whether it may
    // (PreVote), which leaves its term as it is.
    let campaigns = Arc::new(AtomicUsize::new(0));
    let asks = Arc::clone(&campaigns);
    network.intercept(move |message| {
        if message.direction == Direction::Request && is_from(message, follower) {
            asks.fetch_add(1, SeqCst);
        }
        let to_follower = is_vote_request(message) && is_for(message, follower);
        if to_follower { Verdict::Hold } else { Verdict::Drop }
    });
    wait_until(cluster, COLLECT, || network.held().len() > REQUESTS);

    let requests = network.held();
    let term_of = |server| cluster.state(server).map(|(term, _)| term);
    let newest = others.into_iter().max_by_key(|&server| term_of(server)).expect("there are three");
    let (mut of_newest, older): (Vec<_>, Vec<_>) =
        requests.into_iter().partition(|request| is_from(&request.message(), newest));
    if let Some(last) = of_newest.pop() {
        last.release();
    }
    cluster.sleep(BETWEEN);
    let begun = Instant::now();
    let before = campaigns.load(SeqCst);
    let campaigned = || campaigns.load(SeqCst) > before;
    let mut released = 0;
    for request in older.into_iter().rev() {
        if campaigned() {
            break;
        }
        released += usize::from(request.release());
        cluster.sleep(BETWEEN);
    }
    // With fewer requests, its election timer may not have fired yet.
    if released < REQUESTS / 2 && !campaigned() {
        cluster.give_up("too few old vote requests arrived");
    } else if !campaigned() {
        Violation::limit(
            &[Rule::OnlyGrantResetsTimer],
            format!(
                "{follower} heard from no leader for {:.1} s and did not campaign; meanwhile {released} old vote \
                 requests arrived, and it could grant none of them: they must have reset its election timer, but only \
                 a granted vote may do this",
                begun.elapsed().as_secs_f64()
            ),
        );
    }
    network.stop_intercepting();
    for request in network.held() {
        request.drop();
    }
    cluster.check_one_leader();
}

/// From now on only `server` receives votes, so no other server is elected. The requests arrive, so the servers stay in
/// about the same term.
pub(super) fn only_elected(cluster: &Cluster, server: ServerId) {
    cluster.network().intercept(move |message| {
        let vote = message.direction == Direction::Reply && message.method == REQUEST_VOTE;
        if vote && !is_from(message, server) { Verdict::Drop } else { Verdict::Pass }
    });
}

/// Ends the interception; held messages are dropped.
pub(super) fn heal(cluster: &Cluster) {
    cluster.network().stop_intercepting();
    for message in cluster.network().held() {
        message.drop();
    }
}

/// Lets the held messages arrive.
pub(super) fn release_held(cluster: &Cluster) {
    for message in cluster.network().held() {
        message.release();
    }
}

/// Waits until `holds` returns true, at most for `timeout`; returns whether it does.
pub(super) fn wait_until(cluster: &Cluster, timeout: Duration, holds: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > timeout {
            return false;
        }
        cluster.sleep(POLL_INTERVAL);
    }
    true
}

/// Returns the term in which `server` leads, if it leads.
pub(super) fn leading(cluster: &Cluster, server: ServerId) -> Option<Term> {
    cluster.state(server).filter(|&(_, leads)| leads).map(|(term, _)| term)
}

/// Returns whether a message is a request to `server`, or a reply to one.
pub(super) fn is_for(message: &Message<'_>, server: ServerId) -> bool {
    message.server.as_str() == server.to_string()
}

/// Returns whether a message is a candidate's request.
pub(super) fn is_vote_request(message: &Message<'_>) -> bool {
    message.direction == Direction::Request && message.method == REQUEST_VOTE
}

/// Returns whether `server` is the caller. The name of an end contains its incarnation and its target.
pub(super) fn is_from(message: &Message<'_>, server: ServerId) -> bool {
    message.end.as_str().starts_with(&format!("{server}#"))
}
