//! Part 3A: leader election (paper, section 5.2).

use labstd::rng::RngExt;
use labstd::time::Duration;
use raftapi::{ServerId, Term};

use crate::cluster::{Cluster, ELECTION_TIMEOUT};

/// A leader is elected, and stays while nothing fails.
pub fn initial_election(cluster: &Cluster) {
    cluster.check_one_leader();
    cluster.sleep(Duration::from_millis(50));
    let before = cluster.check_terms();
    if before == Some(Term::ZERO) {
        crate::Violation::safety(
            &[],
            "there is a leader, but all servers are in term 0: the first election is that of term 1",
        );
    }
    cluster.sleep(2 * ELECTION_TIMEOUT);
    let after = cluster.check_terms();
    if before != after {
        // This is not forbidden, but the election was unnecessary.
        log::warn!("the term changed though nothing failed");
    }
    cluster.check_one_leader();
}

/// A new leader follows a lost one; an old leader that returns does no harm; without a majority there is no leader.
pub fn re_election(cluster: &Cluster) {
    let first = cluster.check_one_leader();
    cluster.disconnect(first);
    cluster.check_one_leader();
    cluster.connect(first);
    let second = cluster.check_one_leader();

    let other = cluster.after(second, 1);
    cluster.disconnect(second);
    cluster.disconnect(other);
    cluster.sleep(2 * ELECTION_TIMEOUT);
    cluster.check_no_leader();

    cluster.connect(other);
    cluster.check_one_leader();
    cluster.connect(second);
    cluster.check_one_leader();
}

/// If any minority of seven servers is disconnected, the rest elect a leader.
pub fn many_elections(cluster: &Cluster) {
    const ROUNDS: usize = 9;
    cluster.check_one_leader();
    for _ in 0..ROUNDS {
        // The three draws may coincide, so one to three servers are disconnected and at least four remain.
        let cut_off: [ServerId; 3] = cluster.draw(|rng| std::array::from_fn(|_| ServerId(rng.random_range(0..7))));
        cut_off.iter().for_each(|&server| cluster.disconnect(server));
        cluster.check_one_leader();
        cut_off.iter().for_each(|&server| cluster.connect(server));
    }
    cluster.check_one_leader();
}
