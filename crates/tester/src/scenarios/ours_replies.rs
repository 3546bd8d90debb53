//! Our own scenarios about replies: a reply belongs to one term, and a server must remember the term in which it
//! replied.

use std::collections::BTreeSet;

use labrpc::{Direction, Verdict};
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use labstd::sync::{Arc, Mutex};
use labstd::time::Duration;
use raftapi::Started;

use super::ours_entries::{CHARS, carries_long_command, long_command};
use super::ours_terms::{CAMPAIGNS, TIMEOUT, term_of};
use super::ours_votes::{heal, is_for, is_from, is_vote_request, leading, only_elected, release_held, wait_until};
use crate::cluster::{Cluster, Retry};
use crate::violation::Violation;
use diagnosis::Rule;

/// A leader that is elected again counts no acknowledgments of its earlier leadership.
///
/// As in [`old_replies`], but the reply arrives at once, before the entries are overwritten.
pub fn counted_before(cluster: &Cluster) {
    overwritten(cluster, false);
}

/// An acknowledgment to a leader of an earlier term says nothing about the entries of this term.
///
/// A leader brings entries to one follower, whose reply is held. The others elect another leader, which overwrites
/// these entries. Then the old leader is elected again, gets new entries at the same indexes, and brings them to one
/// server. Two of five servers have them when the held reply arrives.
pub fn old_replies(cluster: &Cluster) {
    overwritten(cluster, true);
}

/// [`old_replies`] if the reply is `late`, otherwise [`counted_before`].
fn overwritten(cluster: &Cluster, late: bool) {
    const ENTRIES: usize = 6;
    const AT_ONCE: Duration = Duration::from_millis(500);
    /// A reply that is not held has arrived by then, and no new heartbeat of the leader has.
    const ARRIVES: Duration = Duration::from_millis(20);
    let heal_and_agree = || {
        cluster.servers().for_each(|server| cluster.connect(server));
        heal(cluster);
        cluster.one(cluster.random_command(), 5, Retry::Yes);
    };
    let give_up = |reason| {
        cluster.give_up(reason);
        heal_and_agree();
    };
    cluster.one(cluster.random_command(), 5, Retry::Yes);
    let leader = cluster.check_one_leader();
    let [follower, second, third, fourth] = [1, 2, 3, 4].map(|steps| cluster.after(leader, steps));
    let network = cluster.network();

    // The entries are sent in one message, when all of them are in the log.
    let complete = Arc::new(AtomicBool::new(false));
    let has_replied = Arc::new(AtomicBool::new(false));
    let (goes, replies, calls) = (Arc::clone(&complete), Arc::clone(&has_replied), Mutex::new(BTreeSet::new()));
    network.intercept(move |message| {
        if carries_long_command(message) {
            let passes = goes.load(SeqCst) && is_for(message, follower) && message.bytes.len() >= ENTRIES * CHARS;
            return if passes && calls.lock().insert(message.call) { Verdict::Pass } else { Verdict::Drop };
        }
        let acknowledges = message.direction == Direction::Reply && calls.lock().contains(&message.call);
        if acknowledges {
            replies.store(true, SeqCst);
        }
        if acknowledges && late { Verdict::Hold } else { Verdict::Pass }
    });
    let lost: Vec<Started> = (0..ENTRIES).filter_map(|_| cluster.start(leader, long_command(cluster))).collect();
    complete.store(true, SeqCst);
    let acknowledged = wait_until(cluster, TIMEOUT, || has_replied.load(SeqCst));
    cluster.sleep(ARRIVES);
    let Some(&Started { index: last_lost, term: before }) = lost.last().filter(|_| acknowledged) else {
        return give_up("the follower was not brought the entries");
    };

    [leader, follower].into_iter().for_each(|server| cluster.disconnect(server));
    network.stop_intercepting();
    let between = cluster.check_one_leader();
    cluster.connect(leader);
    cluster.one(cluster.random_command(), 4, Retry::Yes);

    only_elected(cluster, leader);
    cluster.disconnect(between);
    let again = || leading(cluster, leader).filter(|&term| term > before);
    if !wait_until(cluster, CAMPAIGNS, || again().is_some()) {
        return give_up("the first leader was not elected again");
    }
    let [holder, other] = {
        let mut others = [second, third, fourth].into_iter().filter(|&server| server != between);
        [others.next(), others.next()].map(|server| server.expect("only one of the three is disconnected"))
    };
    let brought = Arc::new(AtomicBool::new(false));
    let (arrives, calls) = (Arc::clone(&brought), Mutex::new(BTreeSet::new()));
    network.intercept(move |message| {
        if carries_long_command(message) {
            let passes = is_from(message, leader) && is_for(message, holder) && calls.lock().insert(message.call);
            return if passes { Verdict::Pass } else { Verdict::Drop };
        }
        if message.direction == Direction::Reply && calls.lock().contains(&message.call) {
            arrives.store(true, SeqCst);
        }
        Verdict::Pass
    });
    let started: Vec<Started> = (0..ENTRIES).filter_map(|_| cluster.start(leader, long_command(cluster))).collect();
    let Some(&first) = started.first().filter(|first| started.len() == ENTRIES && first.index <= last_lost) else {
        return give_up("the leader has nothing new where its lost entries were");
    };
    wait_until(cluster, TIMEOUT, || brought.load(SeqCst));
    release_held(cluster);
    wait_until(cluster, AT_ONCE, || cluster.n_committed(first.index).0 > 0);
    if cluster.n_committed(first.index).0 > 0 {
        let Started { index, term } = first;
        let likely: &[Rule] =
            if late { &[Rule::DropStaleReplies, Rule::CommitMajority] } else { &[Rule::CommitMajority] };
        let reply = if late { "The late reply" } else { "An earlier reply" };
        Violation::safety(
            likely,
            format!(
                "{leader}, leader of term {term}, committed index {index} of that term when at most {leader} and \
                 {holder} had it: no message with it has reached {other}, and {follower} and {between} are \
                 disconnected. {reply} of {follower} was for a request that {leader} had sent as leader of \
                 term {before}; it says nothing about the current entries"
            ),
        );
    }
    heal_and_agree();
}

/// After a crash, a server's term is at least the term in which it last replied, even if it has not voted since.
///
/// While a server is down, the others elect a leader. The server returns, replies to the leader's first message, which
/// has a term that the server did not know, and crashes at the moment at which it sends the reply.
pub fn adopted_term(cluster: &Cluster) {
    const ROUNDS: usize = 3;
    /// No server campaigns sooner than this after its start.
    const START: Duration = Duration::from_millis(50);
    let mut replied = false;
    for _ in 0..ROUNDS {
        cluster.one(cluster.random_command(), 3, Retry::Yes);
        let old = cluster.check_one_leader();
        let server = cluster.after(old, 1);
        cluster.crash(server);
        cluster.reboot(old);
        let leader = cluster.check_one_leader();
        let network = cluster.network();
        network.intercept(move |message| {
            let from_leader = !is_vote_request(message) && is_from(message, leader) && is_for(message, server);
            match message.direction {
                Direction::Request if from_leader => Verdict::Pass,
                Direction::Reply if from_leader => Verdict::Hold,
                _ if is_from(message, server) || is_for(message, server) => Verdict::Drop,
                _ => Verdict::Pass,
            }
        });
        // All messages of this leader from now on have this term or a later one.
        let term = leading(cluster, leader);
        cluster.restart(server);
        let answered = wait_until(cluster, TIMEOUT, || !network.held().is_empty());
        replied |= answered && term.is_some();
        cluster.crash(server);
        release_held(cluster);
        cluster.sleep(Duration::from_millis(5));
        cluster.restart(server);
        wait_until(cluster, START, || term_of(cluster, server) >= term);
        if let (Some(term), Some(back)) = (term.filter(|_| answered), term_of(cluster, server))
            && back < term
        {
            Violation::safety(
                &[Rule::SaveTerm, Rule::SaveBeforeReply],
                format!(
                    "{server} replied to a message of {leader}, leader of term {term}, crashed, and was in term \
                     {back} after its restart: it had not saved the term when it replied, so it forgot that there was \
                     a later one"
                ),
            );
        }
        heal(cluster);
    }
    if !replied {
        cluster.give_up("no server replied to a leader of a later term before it crashed");
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}
