//! Our own scenarios about votes: who may get one, who may not, and what a server does that is asked for one.
//!
//! They decide by method, size and sender which messages arrive; what is in a message is the business of the Raft under
//! test.

use labrpc::{Direction, Message, Verdict};
use labstd::time::{Duration, Instant};
use raftapi::{Raft, ServerId, Term};

use crate::cluster::{Cluster, Retry};
use crate::diagnosis::Rule;
use crate::violation::Violation;

/// How often a story looks whether something has come about.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The name of the lab for what a candidate asks.
const REQUEST_VOTE: &str = "Raft.RequestVote";

/// A server that voted, crashed and returned does not vote again in the same term.
///
/// No heartbeat arrives any more, and requests for a vote reach the old leader only. It votes for the first candidate,
/// and is restarted at once; the other follower, which has heard nothing of it, campaigns in the same term. A server that
/// does not save its vote makes both of them leaders.
pub fn vote_once<R: Raft>(cluster: &Cluster<R>) {
    const ROUNDS: usize = 4;
    const FIRST: Duration = Duration::from_secs(2);
    const SECOND: Duration = Duration::from_secs(1);
    for _ in 0..ROUNDS {
        cluster.one(cluster.random_command(), 3, Retry::Yes);
        let voter = cluster.check_one_leader();
        let [a, b] = [1, 2].map(|steps| cluster.after(voter, steps));
        cluster.network().intercept(move |message| {
            let asked = is_vote_request(message) && is_for(message, voter);
            if asked || message.direction == Direction::Reply { Verdict::Pass } else { Verdict::Drop }
        });
        let elected = || leading(cluster, a).map(|term| (a, b, term)).or(leading(cluster, b).map(|term| (b, a, term)));
        if wait_until(cluster, FIRST, || elected().is_some())
            && let Some((first, second, term)) = elected()
        {
            let why = format!(
                "{voter} voted for {first}, was restarted, and voted for {second}: it had not saved its vote when it gave it"
            );
            cluster.suspect(Some((Rule::SaveVote, why)));
            cluster.reboot(voter);
            // It leads, in the same term, or its campaign has failed. Two leaders in one term are found by the look itself.
            wait_until(cluster, SECOND, || cluster.state(second).is_some_and(|(now, leads)| now > term || leads));
            cluster.suspect(None);
        }
        cluster.network().stop_intercepting();
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// A server whose log is shorter is not elected, however high its term.
///
/// A follower is cut off while entries are committed. Then it is the leader who is cut off, and the votes for the third
/// server are lost: the follower needs one vote, that of a server whose log is longer, and ends in the same term.
pub fn shorter_log<R: Raft>(cluster: &Cluster<R>) {
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
        // Not one who led before, and has not heard yet that it does no longer.
        let elected = || leading(cluster, behind).filter(|&term| committed_in.is_some_and(|before| term > before));
        wait_until(cluster, CAMPAIGN, || elected().is_some());
        if let Some(term) = elected() {
            Violation::safety(
                &[Rule::UpToDateCandidate],
                format!(
                    "{behind} was elected in term {term} with the vote of {voter}, whose log is longer: {behind} was cut off \
                 when everything up to index {last} was committed on {leader} and {voter}, and will overwrite it"
                ),
            );
        }
        cluster.network().stop_intercepting();
        // Now the other one can be elected.
        cluster.check_one_leader();
        cluster.connect(leader);
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// A server that hears of no leader campaigns, however often it is asked for votes that it cannot give.
///
/// All messages are lost, but requests for the vote of one follower are held. When there are many, the one of the highest
/// term is let go, so that all others are too old to be granted, and then those, every 100 ms one. A server that begins
/// its election timeout anew with each of them never campaigns.
pub fn old_candidates<R: Raft>(cluster: &Cluster<R>) {
    const REQUESTS: usize = 60;
    const COLLECT: Duration = Duration::from_secs(15);
    const BETWEEN: Duration = Duration::from_millis(100);
    let leader = cluster.check_one_leader();
    let [asked, others @ ..] = [1, 2, 3, 4].map(|steps| cluster.after(leader, steps));
    let network = cluster.network();
    network.intercept(move |message| {
        let wanted = is_vote_request(message) && is_for(message, asked);
        if wanted { Verdict::Hold } else { Verdict::Drop }
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
    let before = term_of(asked);
    let mut released = 0;
    for request in older.into_iter().rev() {
        if term_of(asked) > before {
            break;
        }
        released += usize::from(request.release());
        cluster.sleep(BETWEEN);
    }
    // Fewer, and it may just be patient.
    if released >= REQUESTS / 2 && term_of(asked) == before {
        Violation::limit(
            &[Rule::OnlyGrantResetsTimer],
            format!(
                "{asked} heard of no leader for {:.1} s and did not campaign; meanwhile {released} old requests for its vote \
             arrived, none of which it could grant: they must have begun its election timeout anew, but only a vote \
             that is granted may",
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

/// From now on nobody but `server` learns who has voted for it, and so nobody else is elected. The requests arrive, so
/// that the servers stay in about the same term.
pub(super) fn only_elected<R: Raft>(cluster: &Cluster<R>, server: ServerId) {
    cluster.network().intercept(move |message| {
        let vote = message.direction == Direction::Reply && message.method == REQUEST_VOTE;
        if vote && !is_from(message, server) { Verdict::Drop } else { Verdict::Pass }
    });
}

/// Waits until `holds`, but not for longer than `timeout`. Whether it holds.
pub(super) fn wait_until<R: Raft>(cluster: &Cluster<R>, timeout: Duration, holds: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > timeout {
            return false;
        }
        cluster.sleep(POLL_INTERVAL);
    }
    true
}

/// The term in which `server` leads, if it does.
pub(super) fn leading<R: Raft>(cluster: &Cluster<R>, server: ServerId) -> Option<Term> {
    cluster.state(server).filter(|&(_, leads)| leads).map(|(term, _)| term)
}

/// Whether a message is for `server`, or a reply to such a one.
pub(super) fn is_for(message: &Message<'_>, server: ServerId) -> bool {
    message.server.as_str() == server.to_string()
}

/// Whether a message is a candidate's request.
pub(super) fn is_vote_request(message: &Message<'_>) -> bool {
    message.direction == Direction::Request && message.method == REQUEST_VOTE
}

/// Whether `server` is the caller. An end has the name of its incarnation, and whom it leads to.
pub(super) fn is_from(message: &Message<'_>, server: ServerId) -> bool {
    message.end.as_str().starts_with(&format!("{server}#"))
}
