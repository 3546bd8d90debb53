//! Our own scenarios about the delivery of snapshots.

use labrpc::{Direction, Verdict};
use labstd::sync::Arc;
use labstd::sync::atomic::{AtomicBool, Ordering::Relaxed};
use labstd::time::Duration;

use super::ours_entries::{carries_long_command, long_command};
use super::ours_votes::{is_for, wait_until};
use crate::cluster::{Cluster, Retry};

/// A snapshot and the entries after it are delivered in order, even if a thread of the server lags.
///
/// In each round a follower receives no entries until its leader no longer has them. Then it is sent a snapshot and the
/// entries after it, within a few milliseconds. A server that delivers the snapshot on one thread and the entries on
/// another fails this scenario when the first thread is held. The check itself is that of every delivery.
pub fn snapshot_then_entries(cluster: &Cluster) {
    const ROUNDS: usize = 40;
    /// More than the number of entries between two snapshots.
    const MISSED: usize = 12;
    /// Shorter than every election timeout, and long enough that a hold of 10 ms is permitted again.
    const REST: Duration = Duration::from_millis(200);
    const TIMEOUT: Duration = Duration::from_secs(1);
    const BETWEEN_ENTRIES: Duration = Duration::from_millis(3);
    let misses_entries = Arc::new(AtomicBool::new(false));
    cluster.one(cluster.random_command(), 3, Retry::Yes);
    for _ in 0..ROUNDS {
        let leader = cluster.check_one_leader();
        let follower = cluster.after(leader, 1);
        let misses = Arc::clone(&misses_entries);
        misses.store(true, Relaxed);
        cluster.network().intercept(move |message| {
            let entries = message.direction == Direction::Request && carries_long_command(message);
            let missed = misses.load(Relaxed) && is_for(message, follower) && entries;
            if missed { Verdict::Drop } else { Verdict::Pass }
        });
        for _ in 0..MISSED {
            cluster.start(leader, long_command(cluster));
        }
        let missed = cluster.one(long_command(cluster), 2, Retry::Yes);
        cluster.sleep(REST);
        misses_entries.store(false, Relaxed);
        // New entries all the time, so that some follow immediately after the snapshot.
        let submit = || cluster.servers().find_map(|server| cluster.start(server, cluster.random_command()));
        wait_until(cluster, TIMEOUT, || {
            submit();
            cluster.sleep(BETWEEN_ENTRIES);
            cluster.n_committed(missed).0 == 3
        });
        cluster.one(cluster.random_command(), 3, Retry::Yes);
    }
    cluster.network().stop_intercepting();
}
