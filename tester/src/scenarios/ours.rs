//! Our own scenarios, for what the course's do not catch.

use labstd::time::{Duration, Instant};
use raftapi::Raft;

use crate::cluster::{Cluster, Retry};
use crate::violation::Violation;

/// A follower to which entries were sent while it was cut off has them within 300 ms of its return, although the calls
/// that were begun meanwhile may take up to 7 s to fail.
///
/// A leader that sends one RPC at a time to each peer, and waits for its end, fails this.
pub fn catch_up<R: Raft>(cluster: &Cluster<R>) {
    const ROUNDS: usize = 5;
    const AT_ONCE: Duration = Duration::from_millis(300);
    const LOOK: Duration = Duration::from_millis(5);
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
        let within = loop {
            if cluster.n_committed(last).0 == 3 {
                break returned.elapsed();
            }
            if returned.elapsed() > Duration::from_secs(5) {
                Violation::limit(format!("{follower} has not caught up 5 s after its return"));
            }
            cluster.sleep(LOOK);
        };
        // An election after the return takes its own time.
        let undisturbed = cluster.state(leader) == before.map(|term| (term, true));
        if undisturbed && within > AT_ONCE {
            Violation::limit(format!(
                "{follower} caught up {} ms after its return; {} ms are enough when its leader stays",
                within.as_millis(),
                AT_ONCE.as_millis()
            ));
        }
    }
}
