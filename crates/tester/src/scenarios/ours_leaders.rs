//! Our own scenarios about leaders: they keep their followers quiet, they step down when a request has a higher term,
//! and once they are past, nobody listens to them.

use std::collections::BTreeSet;

use labrpc::{Direction, Message, Verdict};
use labstd::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use labstd::sync::{Arc, Mutex};
use labstd::time::Duration;
use raftapi::{ServerId, Term};

use super::ours_terms::{CAMPAIGNS, settled_leader, term_of};
use super::ours_votes::{heal, is_for, is_from, is_vote_request, leading, wait_until};
use crate::cluster::Cluster;
use crate::violation::Violation;
use diagnosis::Rule;

/// A leader stays while nothing fails: its heartbeats keep the other servers from campaigning.
///
/// The course's scenarios accept a new leader every few hundred milliseconds, if there is always one.
pub fn steady_leader(cluster: &Cluster) {
    const WATCH: Duration = Duration::from_secs(5);
    /// On a busy machine a heartbeat may be late now and then, but not this often.
    const CHANGES: u64 = 4;
    let highest = || cluster.servers().filter_map(|server| term_of(cluster, server)).max().unwrap_or_default();
    settled_leader(cluster);
    let before = highest();
    cluster.sleep(WATCH);
    let after = highest();
    if after.0 >= before.0 + CHANGES {
        Violation::limit(
            &[Rule::HeartbeatResetsTimer, Rule::SendHeartbeats, Rule::GrantResetsTimer],
            format!(
                "the servers were in term {before}, and {} s later in term {after}, though all of them were connected: \
                 a leader that sends heartbeats stays, because each of them resets the election timers",
                WATCH.as_secs()
            ),
        );
    }
    cluster.check_one_leader();
}

/// A candidate that gets no votes campaigns again, in a new term, after each election timeout.
///
/// No message arrives any more. A server that does not raise its term in such a network at all, because it first asks
/// whether it could win, is not examined.
pub fn campaigns_again(cluster: &Cluster) {
    const CAMPAIGNS_MIN: usize = 3;
    let leader = settled_leader(cluster);
    cluster.network().intercept(|_| Verdict::Drop);
    for server in [1, 2].map(|steps| cluster.after(leader, steps)) {
        for campaign in 0..CAMPAIGNS_MIN {
            let before = term_of(cluster, server);
            if wait_until(cluster, CAMPAIGNS, || term_of(cluster, server) > before) {
                continue;
            }
            if campaign > 0 {
                let term = before.unwrap_or_default();
                Violation::limit(
                    &[Rule::CampaignOnTimeout],
                    format!(
                        "{server} has campaigned in term {term}, and got no votes; {} s later it was still in that \
                         term: a candidate must start another election after each election timeout",
                        CAMPAIGNS.as_secs()
                    ),
                );
            }
            cluster.give_up(&format!("{server} does not campaign alone"));
            break;
        }
    }
    heal(cluster);
    cluster.check_one_leader();
}

/// Heartbeats of a past leader do not keep a server from campaigning.
///
/// A follower is cut off until it has campaigned. Then messages of the leader reach it again, but its own messages and
/// replies do not arrive. So the leader goes on, with a term that is too old for the follower.
pub fn old_leader(cluster: &Cluster) {
    const ROUNDS: usize = 2;
    const HEARTBEATS: usize = 10;
    for _ in 0..ROUNDS {
        let leader = settled_leader(cluster);
        let follower = cluster.after(leader, 1);
        isolate(cluster, follower);
        let Some(term) = leading(cluster, leader) else { continue };
        if !wait_until(cluster, CAMPAIGNS, || term_of(cluster, follower) > Some(term)) {
            cluster.give_up(&format!("{follower} does not campaign alone"));
            break;
        }
        let answers = pass_requests(cluster, leader, follower, Others::Pass, |message| !is_vote_request(message));
        // The leader's next heartbeat finds a term that was reached just now.
        let before = term_of(cluster, follower);
        let campaigned = wait_until(cluster, CAMPAIGNS, || term_of(cluster, follower) > before);
        let heartbeats = answers.load(SeqCst);
        if !campaigned && leading(cluster, leader) == Some(term) && heartbeats >= HEARTBEATS {
            Violation::limit(
                &[Rule::IgnoreOlderLeader, Rule::HeartbeatResetsTimer],
                format!(
                    "{follower} was in term {}, and did not campaign for {} s; meanwhile {heartbeats} messages of \
                     {leader} arrived, whose term {term} is older: a message of a past leader must not reset the \
                     election timer",
                    before.unwrap_or_default(),
                    CAMPAIGNS.as_secs()
                ),
            );
        }
        heal(cluster);
    }
    heal(cluster);
    cluster.check_one_leader();
}

/// A leader that sees a higher term in a request steps down, even if it gets no replies.
///
/// First a follower campaigns, and only its vote requests reach the leader. Then the leader is cut off, the others
/// elect another one, and only the messages of the new leader reach it.
pub fn higher_request(cluster: &Cluster) {
    const REQUESTS: usize = 4;
    let leader = settled_leader(cluster);
    let ahead = cluster.after(leader, 1);
    isolate(cluster, ahead);
    let before = leading(cluster, leader);
    if wait_until(cluster, CAMPAIGNS, || term_of(cluster, ahead) > before) {
        let answers = pass_requests(cluster, ahead, leader, Others::Drop, is_vote_request);
        expect_step_down(cluster, leader, before, &answers, REQUESTS, &format!("vote requests of {ahead}"));
    }
    heal(cluster);

    let leader = settled_leader(cluster);
    let others = [1, 2].map(|steps| cluster.after(leader, steps));
    isolate(cluster, leader);
    let before = leading(cluster, leader);
    let next = || others.into_iter().find(|&server| leading(cluster, server) > before);
    wait_until(cluster, CAMPAIGNS, || next().is_some());
    if let Some(next) = next() {
        let answers = pass_requests(cluster, next, leader, Others::Pass, |message| !is_vote_request(message));
        expect_step_down(cluster, leader, before, &answers, REQUESTS, &format!("messages of {next}, the next leader,"));
    }
    heal(cluster);
    cluster.check_one_leader();
}

/// Fails the run if `leader` goes on in term `before`, though `requests` of a higher term have reached it.
fn expect_step_down(
    cluster: &Cluster,
    leader: ServerId,
    before: Option<Term>,
    answers: &AtomicUsize,
    requests: usize,
    whose: &str,
) {
    let Some(term) = before else { return };
    let stepped_down = wait_until(cluster, CAMPAIGNS, || leading(cluster, leader) != Some(term));
    let answered = answers.load(SeqCst);
    if !stepped_down && answered >= requests {
        Violation::limit(
            &[Rule::StepDown],
            format!(
                "{leader} still leads in term {term}, though {answered} {whose} with a higher term have reached it: a \
                 leader must step down when it sees a higher term in a request, as it must for one in a reply"
            ),
        );
    }
}

/// From now on, no message to or from `server` arrives.
fn isolate(cluster: &Cluster, server: ServerId) {
    cluster.network().intercept(move |message| {
        if is_for(message, server) || is_from(message, server) { Verdict::Drop } else { Verdict::Pass }
    });
}

/// The messages to and from the third server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Pass,
    Drop,
}

/// From now on, only the requests of `from` to `to` that satisfy `passes` arrive, and their replies do not. All other
/// messages to and from `to` are lost, and vote requests of `from`. Returns the number of replies to these requests.
fn pass_requests(
    cluster: &Cluster,
    from: ServerId,
    to: ServerId,
    others: Others,
    passes: impl Fn(&Message<'_>) -> bool + Send + Sync + 'static,
) -> Arc<AtomicUsize> {
    let answers = Arc::new(AtomicUsize::new(0));
    let (answered, calls) = (Arc::clone(&answers), Mutex::new(BTreeSet::new()));
    cluster.network().intercept(move |message| {
        let chosen = is_from(message, from) && is_for(message, to);
        match message.direction {
            Direction::Request if chosen && passes(message) => {
                calls.lock().insert(message.call);
                Verdict::Pass
            }
            Direction::Reply if chosen => {
                answered.fetch_add(usize::from(calls.lock().remove(&message.call)), SeqCst);
                Verdict::Drop
            }
            _ if is_from(message, from) && is_vote_request(message) => Verdict::Drop,
            _ if is_for(message, to) || is_from(message, to) || others == Others::Drop => Verdict::Drop,
            _ => Verdict::Pass,
        }
    });
    answers
}
