//! Our own scenarios about messages of a past leader that arrive late, and about entries that its successors have
//! overwritten.

use labrpc::{Direction, Verdict};
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicBool, Ordering::SeqCst};
use labstd::time::Duration;
use raftapi::{Index, ServerId, Started, Term};

use super::ours_entries::{CHARS, carries_long_command, long_command};
use super::ours_terms::{CAMPAIGNS, TIMEOUT};
use super::ours_votes::{heal, is_for, is_from, leading, only_elected, release_held, wait_until};
use crate::cluster::{Cluster, Retry};
use crate::violation::Violation;
use diagnosis::Rule;

/// Time in which a late message has had its effect.
pub(super) const LATE: Duration = Duration::from_millis(100);

/// Late entries of a past leader change nothing, not even on a server that leads now.
///
/// A leader's first message with a command is held, and all others with it are lost. A follower is elected, and another
/// command is committed at the same index. Then the held message reaches it.
pub fn late_leader(cluster: &Cluster) {
    const ROUNDS: usize = 2;
    for _ in 0..ROUNDS {
        cluster.one(cluster.random_command(), 3, Retry::Yes);
        let old = cluster.check_one_leader();
        let next = cluster.after(old, 1);
        let held = AtomicBool::new(false);
        cluster.network().intercept(move |message| match carries_long_command(message) {
            true if is_for(message, next) && !held.swap(true, SeqCst) => Verdict::Hold,
            true => Verdict::Drop,
            false => Verdict::Pass,
        });
        cluster.start(old, "late ".repeat(CHARS / 5));
        let late = wait_until(cluster, TIMEOUT, || !cluster.network().held().is_empty());
        cluster.disconnect(old);
        if let Some(term) = elect(cluster, next).filter(|_| late) {
            let last = cluster.one(cluster.random_command(), 2, Retry::Yes);
            release_to_leader(cluster, old, next, term, last, "entries");
        }
        heal(cluster);
        cluster.connect(old);
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// Waits until `server` is elected, because no other server gets votes. Returns its term.
pub(super) fn elect(cluster: &Cluster, server: ServerId) -> Option<Term> {
    only_elected(cluster, server);
    wait_until(cluster, CAMPAIGNS, || leading(cluster, server).is_some());
    let elected = leading(cluster, server);
    if elected.is_none() {
        cluster.give_up(&format!("{server} was not elected"));
    }
    elected
}

/// Releases the held message of the past leader `old`, and fails the run if `leader` is no longer the leader of its
/// term, or has lost an entry.
pub(super) fn release_to_leader(
    cluster: &Cluster,
    old: ServerId,
    leader: ServerId,
    term: Term,
    last: Index,
    what: &str,
) {
    let before = leading(cluster, leader);
    release_held(cluster);
    cluster.sleep(LATE);
    if before == Some(term) && cluster.state(leader) == Some((term, false)) {
        Violation::safety(
            &[Rule::IgnoreOlderLeader],
            format!(
                "{leader}, leader of term {term}, gave up its leadership in the same term when the {what} of {old} \
                 arrived, which {old} had sent as leader of an older term: a message of an older term must change \
                 nothing"
            ),
        );
    }
    if let Some(Started { index, term }) = cluster.start(leader, cluster.random_command())
        && index <= last
    {
        Violation::safety(
            &[Rule::IgnoreOlderLeader],
            format!(
                "{leader}, leader of term {term}, put a new command at index {index}, though everything up to index \
                 {last} was committed: the {what} of {old} from an older term arrived late, and must change nothing"
            ),
        );
    }
}

/// Entries that a server removes because its leader has others stay removed.
pub fn removed_entries(cluster: &Cluster) {
    removed(cluster, false);
}

/// Entries that a server removes because its leader has others stay removed, even after a restart.
pub fn removed_and_saved(cluster: &Cluster) {
    removed(cluster, true);
}

/// A disconnected leader has entries of its own. It returns, and its successor has fewer entries in their place. Then
/// it is elected again, before any entry has taken the places of the others.
fn removed(cluster: &Cluster, restarts: bool) {
    const ROUNDS: usize = 2;
    const LOST: usize = 6;
    for _ in 0..ROUNDS {
        cluster.one(cluster.random_command(), 3, Retry::Yes);
        let old = cluster.check_one_leader();
        cluster.disconnect(old);
        (0..LOST).for_each(|_| {
            cluster.start(old, cluster.random_command());
        });
        let next = cluster.check_one_leader();
        let other = [1, 2].map(|steps| cluster.after(old, steps)).into_iter().find(|&server| server != next);
        let other = other.expect("one of two servers leads");
        cluster.one(cluster.random_command(), 2, Retry::Yes);
        cluster.disconnect(other);
        cluster.connect(old);
        // Only `old` and `next` have this one.
        let last = cluster.one(cluster.random_command(), 2, Retry::Yes);
        if restarts {
            cluster.reboot(old);
        }
        let before = cluster.servers().filter_map(|server| leading(cluster, server)).max();
        cluster.disconnect(next);
        only_elected(cluster, old);
        cluster.connect(other);
        let (rule, when) = if restarts {
            (Rule::SaveLog, "it was restarted, and must have saved that it had removed them")
        } else {
            (Rule::TruncateOnConflict, "an entry that conflicts is removed with all that follow it")
        };
        let lost = format!("{old} had {LOST} entries of its own, which its next leader {next} has overwritten; {when}");
        let elected = || leading(cluster, old).is_some_and(|term| Some(term) > before);
        if !wait_until(cluster, CAMPAIGNS, elected) {
            Violation::limit(
                &[rule, Rule::UpToDateCandidate],
                format!("{old} was not elected, though {other} lacks the entry at index {last}: {lost}"),
            );
        }
        if let Some(Started { index, .. }) = cluster.start(old, cluster.random_command())
            && index > last.next()
        {
            Violation::safety(
                &[rule, Rule::LeaderAppendOnly],
                format!(
                    "{old} was elected and put a new command at index {index}, though the log of its leader had ended \
                     at index {last}: {lost}"
                ),
            );
        }
        heal(cluster);
        cluster.connect(next);
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// A follower whose last entry is another one than its leader's stores no entries after it.
///
/// A disconnected leader has one entry of its own. The others commit an entry at its index and restart, so the next
/// leader believes that all logs are like its own, and does not know what is committed.
pub fn different_entry(cluster: &Cluster) {
    const ROUNDS: usize = 2;
    for _ in 0..ROUNDS {
        cluster.one(cluster.random_command(), 3, Retry::Yes);
        let old = cluster.check_one_leader();
        cluster.disconnect(old);
        cluster.start(old, cluster.random_command());
        cluster.check_one_leader();
        let committed = cluster.one(cluster.random_command(), 2, Retry::Yes);
        [1, 2].map(|steps| cluster.after(old, steps)).into_iter().for_each(|server| cluster.crash(server));
        [1, 2].map(|steps| cluster.after(old, steps)).into_iter().for_each(|server| cluster.restart(server));
        cluster.check_one_leader();
        let why = format!(
            "{old} had an entry of its own at index {committed}, and must refuse entries after it until its leader has \
             sent its own"
        );
        cluster.suspect(Some((Rule::PrevEntryMatches, why)));
        cluster.connect(old);
        cluster.one(cluster.random_command(), 3, Retry::Yes);
        cluster.suspect(None);
    }
}

/// An acknowledgment covers the entries of its own request, whatever else is in either log.
///
/// A disconnected leader has entries of its own, and returns. Its replies to the first heartbeats of the next leader
/// are held, until that leader has entries at the same indexes, which are sent to nobody. Then the replies arrive.
pub fn counted_entries(cluster: &Cluster) {
    const ROUNDS: usize = 2;
    const ENTRIES: usize = 5;
    const AT_ONCE: Duration = Duration::from_millis(500);
    for _ in 0..ROUNDS {
        cluster.one(cluster.random_command(), 3, Retry::Yes);
        let old = cluster.check_one_leader();
        cluster.disconnect(old);
        (0..ENTRIES).for_each(|_| {
            cluster.start(old, cluster.random_command());
        });
        let leader = cluster.check_one_leader();
        let network = cluster.network();
        let holds = Arc::new(AtomicBool::new(true));
        let hold = Arc::clone(&holds);
        network.intercept(move |message| {
            let reply = message.direction == Direction::Reply && is_from(message, leader) && is_for(message, old);
            if carries_long_command(message) {
                Verdict::Drop
            } else if reply && hold.load(SeqCst) {
                Verdict::Hold
            } else {
                Verdict::Pass
            }
        });
        cluster.connect(old);
        let replied = wait_until(cluster, TIMEOUT, || network.held().len() >= 2);
        let started: Vec<Started> = (0..ENTRIES).filter_map(|_| cluster.start(leader, long_command(cluster))).collect();
        holds.store(false, SeqCst);
        release_held(cluster);
        if let Some(&Started { index, term }) = started.first().filter(|_| replied) {
            wait_until(cluster, AT_ONCE, || cluster.n_committed(index).0 > 0);
            if cluster.n_committed(index).0 > 0 {
                Violation::safety(
                    &[Rule::CommitMajority],
                    format!(
                        "{leader}, leader of term {term}, committed index {index}, though no message with that entry \
                         has reached any server: it had only replies of {old} to earlier requests, and a reply \
                         acknowledges the entries of its own request, not all that is in a log"
                    ),
                );
            }
        }
        heal(cluster);
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}
