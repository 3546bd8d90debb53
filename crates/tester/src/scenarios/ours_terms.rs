//! Our own scenarios about terms: a server adopts a higher term from every message, and late messages of an earlier
//! term do not count.
//!
//! The scenarios cannot see the content of a message. They know the terms from the servers, and the sender and order of
//! the messages: a server that receives nothing starts one election in each term.

use std::collections::BTreeSet;

use labrpc::{Direction, Held, Verdict};
use labstd::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use labstd::sync::{Arc, Mutex};
use labstd::time::{Duration, Instant};
use raftapi::{ServerId, Term};

use super::ours_votes::{heal, is_for, is_from, is_vote_request, leading, wait_until};
use crate::cluster::Cluster;
use crate::violation::Violation;
use diagnosis::Rule;

/// Maximum time until a server that receives nothing campaigns, and campaigns again.
pub(super) const CAMPAIGNS: Duration = Duration::from_secs(6);

/// Maximum time for actions that a Raft takes immediately or with its next heartbeat.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// A vote counts in the election for which it was requested, and in no later one.
///
/// No message arrives any more, except the first vote request to the old leader; its reply is held. When that candidate
/// has started its next election, in which none of its requests arrives, the reply arrives.
pub fn old_votes(cluster: &Cluster) {
    const ROUNDS: usize = 3;
    const AT_ONCE: Duration = Duration::from_millis(500);
    let mut votes_arrived = 0;
    for _ in 0..ROUNDS {
        let voter = settled_leader(cluster);
        let network = cluster.network();
        let first_request = Mutex::new(None);
        network.intercept(move |message| {
            let mut first_request = first_request.lock();
            if is_vote_request(message) && is_for(message, voter) && first_request.is_none() {
                *first_request = Some(message.call);
                return Verdict::Pass;
            }
            let is_reply = message.direction == Direction::Reply && *first_request == Some(message.call);
            if is_reply { Verdict::Hold } else { Verdict::Drop }
        });
        wait_until(cluster, CAMPAIGNS, || !network.held().is_empty());
        if let Some(vote) = network.held().pop()
            && let Some(candidate) = [1, 2].map(|steps| cluster.after(voter, steps)).into_iter().find(|&a| sent(&vote, a))
            // The request that arrived had this term or an earlier one.
            && let Some(asked_in) = term_of(cluster, candidate)
            && wait_until(cluster, CAMPAIGNS, || term_of(cluster, candidate) > Some(asked_in))
        {
            votes_arrived += usize::from(vote.release());
            let elected = || leading(cluster, candidate).filter(|&term| term > asked_in);
            wait_until(cluster, AT_ONCE, || elected().is_some());
            if let Some(term) = elected() {
                Violation::safety(
                    &[Rule::DropStaleReplies, Rule::MajorityOfVotes],
                    format!(
                        "{candidate} leads in term {term}, though no other server can have voted for it in that term: \
                         only one of its requests has arrived, with term {asked_in} at most; the reply of {voter} \
                         arrived after {candidate} had started its next election, and a vote counts only in the \
                         election for which it was requested"
                    ),
                );
            }
        }
        heal(cluster);
    }
    if votes_arrived == 0 {
        cluster.give_up("no vote arrived after its candidate had started its next election");
    }
    cluster.check_one_leader();
}

/// A leader that sees a higher term in a reply steps down.
///
/// A follower is disconnected until it has campaigned. Then messages reach it again, and its replies arrive, but its
/// own requests do not. So the leader can learn only from the replies that its term is over.
pub fn higher_term(cluster: &Cluster) {
    const ROUNDS: usize = 2;
    const ANSWERS: usize = 5;
    /// The least size of a reply that contains its term and success (Figure 2). A shorter one contains no term: some
    /// Rafts do not respond to messages of an older term, and their next request ends the leadership.
    const REPLY_BYTES: usize = 2;
    const TIMEOUT: Duration = Duration::from_secs(3);
    let mut replied = false;
    for _ in 0..ROUNDS {
        let leader = settled_leader(cluster);
        let ahead = cluster.after(leader, 1);
        let network = cluster.network();
        let (within_reach, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (reached, answered, calls) = (Arc::clone(&within_reach), Arc::clone(&answers), Mutex::new(BTreeSet::new()));
        network.intercept(move |message| {
            if is_from(message, ahead) {
                return Verdict::Drop;
            }
            if !is_for(message, ahead) {
                return Verdict::Pass;
            }
            let mut calls = calls.lock();
            let passes = match message.direction {
                Direction::Request => reached.load(SeqCst) && calls.insert(message.call),
                Direction::Reply => calls.contains(&message.call),
            };
            let has_term = message.direction == Direction::Reply && message.bytes.len() >= REPLY_BYTES;
            if passes && has_term && is_from(message, leader) {
                answered.fetch_add(1, SeqCst);
            }
            if passes { Verdict::Pass } else { Verdict::Drop }
        });
        if let Some(term) = leading(cluster, leader)
            && wait_until(cluster, CAMPAIGNS, || term_of(cluster, ahead) > Some(term))
            && let Some(higher) = term_of(cluster, ahead)
        {
            within_reach.store(true, SeqCst);
            let stepped_down = wait_until(cluster, TIMEOUT, || term_of(cluster, leader) > Some(term));
            let answers = answers.load(SeqCst);
            replied |= answers > 0;
            if !stepped_down && answers >= ANSWERS && leading(cluster, leader) == Some(term) {
                Violation::limit(
                    &[Rule::StepDown],
                    format!(
                        "{leader} still leads in term {term}, though {ahead} was in term {higher} and has since replied \
                         to {answers} of its messages, within {} s: a reply must contain its sender's term, and a \
                         leader must step down when it sees a higher term in a reply, as for one in a request",
                        TIMEOUT.as_secs()
                    ),
                );
            }
        }
        heal(cluster);
    }
    if !replied {
        cluster.give_up("no server of a higher term replied to the leader");
    }
    cluster.check_one_leader();
}

/// A candidate of an older term gets no vote, even if the server has not voted in its own term.
///
/// Both followers campaign, and their requests are held. The old leader learns the later candidate's term from its
/// reply to a heartbeat, so it is in this term and has not voted. Then the earlier candidate's request arrives, which
/// has an older term. After it, the later candidate's request arrives, which deserves the vote.
pub fn older_candidate(cluster: &Cluster) {
    const ROUNDS: usize = 14;
    /// Number of missing votes that count as a failure. On a busy machine a vote may arrive too late for its candidate,
    /// but not this often.
    const REFUSALS: usize = 3;
    const IN_TIME: Duration = Duration::from_millis(100);
    let (mut refused, mut decided) = (0, false);
    for _ in 0..ROUNDS {
        let voter = settled_leader(cluster);
        let [a, b] = [1, 2].map(|steps| cluster.after(voter, steps));
        let network = cluster.network();
        let (answered, passing) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(AtomicBool::new(false)));
        let (answers, replies) = (Arc::clone(&answered), Arc::clone(&passing));
        network.intercept(move |message| match message.direction {
            Direction::Request if is_vote_request(message) && !is_for(message, voter) => Verdict::Drop,
            Direction::Request => Verdict::Hold,
            Direction::Reply => {
                answers.lock().insert(message.call);
                if replies.load(SeqCst) { Verdict::Pass } else { Verdict::Drop }
            }
        });
        let has_answered = |call| wait_until(cluster, TIMEOUT, || answered.lock().contains(&call));
        let requests = |candidate| held_by(cluster, candidate);
        let before = leading(cluster, voter);
        wait_until(cluster, CAMPAIGNS, || !requests(a).is_empty() || !requests(b).is_empty());
        let (early, late) = if requests(a).is_empty() { (b, a) } else { (a, b) };
        let (first, first_term) = (requests(early).into_iter().next(), term_of(cluster, early));
        // Returns the current term of the later candidate, if it is later, and if it has requested votes in it and in
        // each term before.
        let campaigns = || {
            let (before, now) = (before?, term_of(cluster, late)?);
            (Some(now) > first_term && requests(late).len() as u64 == now.0 - before.0).then_some(now)
        };
        wait_until(cluster, CAMPAIGNS, || campaigns().is_some());
        let heartbeat = held_by(cluster, voter).into_iter().rfind(|held| is_for(&held.message(), late));
        if let (Some(first), Some(term), Some(last), Some(heartbeat)) =
            (first, campaigns(), requests(late).pop(), heartbeat)
            && leading(cluster, voter) == before
            // A request of the last election may have arrived late; then it is not of this round.
            && first_term > before
        {
            let in_this_term = |server| term_of(cluster, server) == Some(term);
            passing.store(true, SeqCst);
            heartbeat.release();
            let learned = wait_until(cluster, TIMEOUT, || term_of(cluster, voter) > before);
            passing.store(false, SeqCst);
            let (first_call, last_call) = (first.message().call, last.message().call);
            if learned && in_this_term(voter) && first.release() && has_answered(first_call) {
                passing.store(true, SeqCst);
                let request_arrived =
                    last.release() && has_answered(last_call) && in_this_term(voter) && in_this_term(late);
                let answered_at = Instant::now();
                wait_until(cluster, TIMEOUT, || !in_this_term(late) || leading(cluster, late).is_some());
                decided |= request_arrived;
                if leading(cluster, late) == Some(term) {
                    // The candidate got the vote.
                    heal(cluster);
                    break;
                }
                refused += usize::from(request_arrived && answered_at.elapsed() >= IN_TIME);
            }
            if refused == REFUSALS {
                Violation::limit(
                    &[Rule::RefuseOlderTerm, Rule::OneVotePerTerm],
                    format!(
                        "{voter}, in term {term}, did not vote for {late}, though it had voted for no server in that \
                         term, and there is no reason to refuse {late}; before that, it had only received a request \
                         of {early} with an earlier term: {early} must get no vote, because otherwise no vote is left \
                         for the candidate of the current term"
                    ),
                );
            }
        }
        heal(cluster);
    }
    if !decided {
        cluster.give_up("no request of an earlier candidate arrived just before that of a later one");
    }
    cluster.check_one_leader();
}

/// A candidate that hears from the leader of its own term becomes its follower.
///
/// Both followers campaign in the same term, and the request of one of them arrives. It is elected, and its heartbeats
/// reach the other one, which then has no reason to campaign again.
pub fn same_term(cluster: &Cluster) {
    const ROUNDS: usize = 3;
    const WATCH: Duration = Duration::from_secs(2);
    /// Every election timeout is longer than this.
    const NO_CAMPAIGN: Duration = Duration::from_millis(100);
    let mut heard_heartbeats = false;
    for _ in 0..ROUNDS {
        let voter = settled_leader(cluster);
        let [a, b] = [1, 2].map(|steps| cluster.after(voter, steps));
        let network = cluster.network();
        network.intercept(move |message| {
            let to_voter = is_vote_request(message) && is_for(message, voter);
            if to_voter { Verdict::Hold } else { Verdict::Drop }
        });
        let before = leading(cluster, voter);
        let earlier = Mutex::new(a);
        // Returns the term in which both servers have requested votes, as in each term before.
        let both_ask = || {
            let (before, in_a, in_b) = (before?, term_of(cluster, a)?, term_of(cluster, b)?);
            if in_a != in_b {
                *earlier.lock() = if in_a > in_b { a } else { b };
            }
            let all = |server| held_by(cluster, server).len() as u64 == in_a.0 - before.0;
            (in_a == in_b && in_a > before && all(a) && all(b)).then_some(in_a)
        };
        wait_until(cluster, CAMPAIGNS, || both_ask().is_some());
        let term = both_ask();
        let leader = *earlier.lock();
        let rival = if leader == a { b } else { a };

        let heard = Arc::new(Mutex::new((0, Instant::now())));
        let hears = Arc::clone(&heard);
        network.intercept(move |message| {
            if !is_from(message, leader) || is_vote_request(message) {
                return Verdict::Drop;
            }
            if is_for(message, rival) && message.direction == Direction::Reply {
                let mut heard = hears.lock();
                *heard = (heard.0 + 1, Instant::now());
            }
            Verdict::Pass
        });
        if let (Some(term), Some(request)) = (term, held_by(cluster, leader).pop()) {
            request.release();
            let begun = Instant::now();
            let (mut times, mut latest) = *heard.lock();
            while begun.elapsed() < WATCH {
                let now = *heard.lock();
                // The replies up to now were sent in this term.
                if term_of(cluster, rival) == Some(term) {
                    (times, latest) = now;
                    cluster.sleep(Duration::from_millis(1));
                    continue;
                }
                let since = latest.elapsed();
                if times >= 2 && since < NO_CAMPAIGN && leading(cluster, leader) == Some(term) {
                    Violation::limit(
                        &[Rule::FollowNewLeader, Rule::HeartbeatResetsTimer],
                        format!(
                            "{rival} was a candidate of term {term} when {leader} was elected in it, and replied to \
                             {times} heartbeats of {leader}; but {} ms after the last of them it started another \
                             election: a candidate that hears from the leader of its own term must become its follower",
                            since.as_millis()
                        ),
                    );
                }
                break;
            }
            heard_heartbeats |= times >= 2;
        }
        heal(cluster);
    }
    if !heard_heartbeats {
        cluster.give_up("no candidate heard from the leader of its own term");
    }
    cluster.check_one_leader();
}

/// Returns a leader that has led for a while, so that the others have received everything that it sent at the start.
pub(super) fn settled_leader(cluster: &Cluster) -> ServerId {
    const POLLS: usize = 5;
    let mut seen = None;
    for _ in 0..POLLS {
        let leader = cluster.check_one_leader();
        let now = Some((leader, leading(cluster, leader)));
        if now == seen {
            break;
        }
        seen = now;
    }
    seen.map_or_else(|| cluster.check_one_leader(), |(leader, _)| leader)
}

/// Returns the term of `server`, if it is running.
pub(super) fn term_of(cluster: &Cluster, server: ServerId) -> Option<Term> {
    cluster.state(server).map(|(term, _)| term)
}

/// Returns whether a message belongs to a call of `server`.
fn sent(held: &Held, server: ServerId) -> bool {
    is_from(&held.message(), server)
}

/// Returns the held messages of the calls of `server`, in the order of arrival.
fn held_by(cluster: &Cluster, server: ServerId) -> Vec<Held> {
    cluster.network().held().into_iter().filter(|held| sent(held, server)).collect()
}
