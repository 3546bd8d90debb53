//! Our own scenarios about snapshots: late ones, and ones that conflict with the log.

use labstd::sync::atomic::Ordering::Relaxed;
use labstd::time::Duration;
use raftapi::{Index, ServerId, Started};

use super::ours_entries::{hold_first_snapshot, long_command};
use super::ours_late::{LATE, elect, release_to_leader};
use super::ours_terms::TIMEOUT;
use super::ours_votes::{heal, is_from, release_held, wait_until};
use crate::cluster::{Cluster, Retry};
use crate::violation::Violation;
use diagnosis::Rule;

/// Number of entries that a follower misses: enough for one snapshot, which takes ten indexes, and not for two.
const MANY: usize = 11;

/// Maximum time in which a follower gets a snapshot and all entries after it.
const CATCHES_UP: Duration = Duration::from_secs(5);

/// A late snapshot of a past leader changes nothing, not even the role of a server that leads now.
///
/// A follower misses entries until it is sent a snapshot. The first message with the snapshot is held, and a later one
/// arrives. The follower is elected, and then the held message reaches it.
pub fn late_snapshot(cluster: &Cluster) {
    cluster.one(cluster.random_command(), 3, Retry::Yes);
    let old = cluster.check_one_leader();
    let next = cluster.after(old, 1);
    let late = catch_up_with_later_snapshot(cluster, old, next);
    cluster.disconnect(old);
    if let Some(term) = elect(cluster, next).filter(|_| late) {
        let last = cluster.one(cluster.random_command(), 2, Retry::Yes);
        release_to_leader(cluster, old, next, term, last, "snapshot");
    }
    heal(cluster);
    cluster.connect(old);
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// A late snapshot removes no acknowledged entries that follow it.
///
/// The first message with a snapshot for a follower is held, and a later one arrives. Then the leader and this follower
/// alone commit another entry, and the leader is disconnected. The held message arrives, and the follower must still
/// have the entry.
pub fn retained_entries(cluster: &Cluster) {
    cluster.one(cluster.random_command(), 3, Retry::Yes);
    let leader = cluster.check_one_leader();
    let [follower, other] = [1, 2].map(|steps| cluster.after(leader, steps));
    if catch_up_with_later_snapshot(cluster, leader, follower) {
        cluster.disconnect(other);
        let last = cluster.one(cluster.random_command(), 2, Retry::Yes);
        cluster.disconnect(leader);
        release_held(cluster);
        cluster.sleep(LATE);
        cluster.network().stop_intercepting();
        cluster.connect(other);
        let next = cluster.check_one_leader();
        if let Some(Started { index, .. }) = cluster.start(next, cluster.random_command())
            && index <= last
        {
            Violation::safety(
                &[Rule::RetainAfterSnapshot, Rule::IgnoreOldSnapshot],
                format!(
                    "{next} was elected and put a new command at index {index}, though {leader} and {follower} had \
                     committed everything up to index {last}: a late snapshot has removed entries after it from the \
                     log of {follower}"
                ),
            );
        }
    }
    heal(cluster);
    cluster.servers().for_each(|server| cluster.connect(server));
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// A snapshot that a follower was sent is saved: the follower still has it after a restart.
pub fn installed_snapshot(cluster: &Cluster) {
    const ROUNDS: usize = 2;
    for round in 0..ROUNDS {
        cluster.one(cluster.random_command(), 3, Retry::Yes);
        let leader = cluster.check_one_leader();
        let follower = cluster.after(leader, 1 + round % 2);
        cluster.disconnect(follower);
        let last = (0..MANY).fold(Index::ZERO, |_, _| cluster.one(cluster.random_command(), 2, Retry::Yes));
        cluster.connect(follower);
        wait_until(cluster, CATCHES_UP, || cluster.n_committed(last).0 == 3);
        cluster.reboot(follower);
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// A follower discards entries that conflict with its leader's snapshot.
///
/// A disconnected leader has many entries of its own. Meanwhile the others commit so many that they take snapshots. It
/// returns, and its log has an entry of its own where the snapshot ends.
pub fn conflicting_snapshot(cluster: &Cluster) {
    const LOST: usize = 40;
    const COMMITTED: usize = 15;
    cluster.one(cluster.random_command(), 3, Retry::Yes);
    let old = cluster.check_one_leader();
    cluster.disconnect(old);
    (0..LOST).for_each(|_| {
        cluster.start(old, cluster.random_command());
    });
    cluster.check_one_leader();
    let last = (0..COMMITTED).fold(Index::ZERO, |_, _| cluster.one(cluster.random_command(), 2, Retry::Yes));
    cluster.connect(old);
    if !wait_until(cluster, CATCHES_UP, || cluster.n_committed(last).0 == 3) {
        Violation::limit(
            &[Rule::DiscardConflictingLog, Rule::BackUpNextIndex, Rule::CompactLog],
            format!(
                "{old} has not applied index {last} {} s after its return: it had {LOST} entries of its own, and must \
                 discard them when its leader sends a snapshot that conflicts with them",
                CATCHES_UP.as_secs()
            ),
        );
    }
    cluster.one(cluster.random_command(), 3, Retry::Yes);
}

/// Lets `follower` miss entries until it is sent a snapshot. The first message of `leader` with one is held, and later
/// ones arrive. Returns whether `follower` has caught up while the first is held.
fn catch_up_with_later_snapshot(cluster: &Cluster, leader: ServerId, follower: ServerId) -> bool {
    let misses_entries = hold_first_snapshot(cluster, follower);
    let missed = (0..MANY).fold(Index::ZERO, |_, _| cluster.one(long_command(cluster), 2, Retry::Yes));
    misses_entries.store(false, Relaxed);
    let has_all = wait_until(cluster, TIMEOUT, || cluster.n_committed(missed).0 == 3);
    // A leader that sends nothing again before it has a reply has no late message.
    has_all && cluster.network().held().iter().any(|held| is_from(&held.message(), leader))
}
