//! Part 3D: log compaction (paper, section 7). The service on each server takes a snapshot of everything that it has
//! applied every ten indexes; the log may keep the later entries.

use labstd::rng::RngExt;
use raftapi::{Index, ServerId};

use crate::cluster::{Cluster, Retry};
use crate::violation::Violation;
use diagnosis::Rule;

/// Upper bound of a server's saved Raft state in bytes. Thirty entries are far below it; a log that is never compacted
/// reaches it after fewer than a hundred.
const LOG_BYTES_MAX: usize = 2000;

/// Absence of one server in each round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absence {
    Stays,
    CutOff,
    Crashed,
}

/// Logs are compacted up to the snapshot.
pub fn basic(cluster: &Cluster) {
    rounds(cluster, Absence::Stays);
}

/// A server that was disconnected so long that its leader no longer has the missing entries is sent a snapshot.
pub fn install(cluster: &Cluster) {
    rounds(cluster, Absence::CutOff);
    expect_installed(cluster);
}

/// The same with a server that crashed: it starts from its own saved snapshot.
pub fn install_crash(cluster: &Cluster) {
    rounds(cluster, Absence::Crashed);
    expect_installed(cluster);
}

/// All servers crash together, several times; committed commands stay, in the log or in the snapshot.
pub fn all_crash(cluster: &Cluster) {
    const ROUNDS: usize = 5;
    agree(cluster, 3);
    for _ in 0..ROUNDS {
        for _ in 0..several(cluster) {
            agree(cluster, 3);
        }
        let before = agree(cluster, 3);
        reboot_all(cluster);
        let after = agree(cluster, 3);
        if after <= before {
            Violation::safety(
                &[Rule::SaveLog, Rule::SaveSnapshot],
                format!(
                    "a command was put at index {after} after all servers were restarted, though everything up to \
                     index {before} had been agreed on"
                ),
            );
        }
    }
}

/// A snapshot survives two crashes in a row: the state that a server saves after the first crash must not erase it.
pub fn init(cluster: &Cluster) {
    // Enough for one snapshot, and some more.
    const COMMANDS: usize = 12;
    for _ in 0..COMMANDS {
        agree(cluster, 3);
    }
    for _ in 0..2 {
        reboot_all(cluster);
        agree(cluster, 3);
    }
}

/// Runs rounds with many commands; in each round a server, every third time the leader, is absent and returns.
///
/// As in the course, the leader's neighbor gets the commands when the leader is the absent server. They are committed
/// only if the neighbor has become the leader, so about one round in six has few commands. If no server is absent, the
/// neighbor never becomes the leader.
fn rounds(cluster: &Cluster, absence: Absence) {
    const ROUNDS: usize = 30;
    agree(cluster, 3);
    let mut leader = cluster.check_one_leader();
    for round in 0..ROUNDS {
        let other = cluster.after(leader, 1);
        let (victim, sender) = if round % 3 == 1 { (leader, other) } else { (other, leader) };
        match absence {
            Absence::Stays => {}
            Absence::CutOff => cluster.disconnect(victim),
            Absence::Crashed => cluster.crash(victim),
        }
        let present = if absence == Absence::Stays { 3 } else { 2 };
        if absence != Absence::Stays {
            agree(cluster, present);
        }
        for _ in 0..several(cluster) {
            cluster.start(sender, cluster.random_command());
        }
        agree(cluster, present);
        check_log_size(cluster);
        match absence {
            Absence::Stays => continue,
            Absence::CutOff => cluster.connect(victim),
            Absence::Crashed => cluster.restart(victim),
        }
        agree(cluster, 3);
        leader = cluster.check_one_leader();
    }
}

/// Agrees on a random command.
fn agree(cluster: &Cluster, expected: usize) -> Index {
    cluster.one(cluster.random_command(), expected, Retry::Yes)
}

/// Returns about as many commands as there are between two snapshots.
fn several(cluster: &Cluster) -> usize {
    cluster.draw(|rng| rng.random_range(5..15))
}

fn reboot_all(cluster: &Cluster) {
    let all: Vec<ServerId> = cluster.servers().collect();
    all.iter().for_each(|&server| cluster.crash(server));
    all.iter().for_each(|&server| cluster.restart(server));
}

fn check_log_size(cluster: &Cluster) {
    let bytes = cluster.log_size();
    if bytes >= LOG_BYTES_MAX {
        Violation::limit(
            &[Rule::CompactLog],
            format!(
                "a server has {bytes} bytes of Raft state saved; with a snapshot every ten indexes, less than {LOG_BYTES_MAX} \
             must be enough"
            ),
        );
    }
}

/// Fails the run if no absent server caught up with a snapshot, which is the purpose of the scenario. In thirty rounds,
/// a Raft that compacts its log up to each snapshot, as the lab demands, must send snapshots. The exception is a run in
/// which no server was absent because of the [fault cutoff](crate::fault_cutoff).
fn expect_installed(cluster: &Cluster) {
    let installed = cluster.snapshots_installed();
    log::info!("{installed} snapshots brought a server up to date");
    if installed == 0 && !cluster.network().is_calm() {
        Violation::safety(
            &[Rule::CompactLog],
            "no server was ever sent a snapshot by its leader: the leader still had entries that snapshots cover, so \
             logs are not compacted",
        );
    }
}
