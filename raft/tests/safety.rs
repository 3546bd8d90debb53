//! The five properties of Figure 3, over thousands of random schedules. In a schedule messages are lost, repeated and
//! reordered, timers fire at any moment, services make snapshots and fall behind, servers crash and restart with their
//! saved state, and clients read. The properties must hold after every step. When the faults end, the cluster must
//! elect a leader and commit.
//!
//! A failure names its seed; `SAFETY_SEED=n cargo test -p raft --test safety` runs that schedule alone. The properties
//! themselves are in `properties/`, the servers in `servers/`.

mod properties;
mod servers;

use raft::core::SentRequest;
use raftapi::ServerId;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use servers::{Content, Servers};

/// Number of schedules of each test, and number of steps of each schedule before the faults end.
const SCHEDULES: u64 = 3_000;
const STEPS: usize = 1_000;
/// Limit of the messages in flight; the surplus is lost.
const IN_FLIGHT_MAX: usize = 100;
/// Limit of the messages after which a quiet cluster must have stopped sending. More would be a loop.
const QUIET_AFTER_MESSAGES_MAX: usize = 5_000;

#[test]
fn three_servers_keep_every_property_of_figure_3() {
    run_schedules(3);
}

#[test]
fn five_servers_keep_every_property_of_figure_3() {
    run_schedules(5);
}

fn run_schedules(servers: usize) {
    let only = std::env::var("SAFETY_SEED").ok().map(|seed| seed.parse().expect("SAFETY_SEED is a number"));
    let seeds = only.map_or(0..SCHEDULES, |seed| seed..seed + 1);
    let (mut committed, mut installed, mut confirmed, mut lost) = (0, 0, 0, 0);
    for seed in seeds {
        let result = std::panic::catch_unwind(|| {
            let mut cluster = Cluster::new(servers, seed);
            for _ in 0..STEPS {
                cluster.random_step();
            }
            let properties = &cluster.servers.properties;
            let done = (properties.committed(), properties.installed(), cluster.servers.settled);
            cluster.recover();
            done
        });
        match result {
            Ok((entries, snapshots, reads)) => {
                committed += entries;
                installed += snapshots;
                confirmed += reads.0;
                lost += reads.1;
            }
            Err(panic) => {
                eprintln!("{servers} servers, seed {seed} failed; SAFETY_SEED={seed} replays it");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // Schedules in which no entry is committed, no snapshot sent or no read confirmed would prove nothing.
    let schedules = SCHEDULES as usize;
    assert!(
        only.is_some()
            || (committed > 5 * schedules
                && installed > schedules / 4
                && confirmed > schedules / 4
                && lost > schedules / 4),
        "only {committed} entries were committed, {installed} snapshots installed, {confirmed} reads confirmed and {lost} \
         lost under faults"
    );
}

/// A cluster under a random schedule.
struct Cluster {
    rng: ChaCha8Rng,
    servers: Servers,
    /// For each server, its side of the partition.
    side: Vec<bool>,
}

impl Cluster {
    fn new(servers: usize, seed: u64) -> Cluster {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Cluster { rng, servers: Servers::new(servers), side: vec![false; servers] }
    }

    fn random_step(&mut self) {
        let server = ServerId(self.rng.random_range(0..self.side.len()));
        match self.rng.random_range(0..1000) {
            0..650 => self.deliver_random(),
            650..690 => self.lose_random(),
            690..710 => self.time_out_random(),
            710..725 => self.servers.election_timeout(server),
            725..800 => self.servers.propose(server),
            800..825 => self.servers.read(server),
            825..885 => self.servers.heartbeat(server),
            885..965 => {
                let count = self.rng.random_range(1..10);
                self.servers.apply(server, count);
            }
            965..985 => self.servers.snapshot(server),
            985..993 => self.servers.restart(server),
            _ => self.partition_randomly(),
        }
        while self.servers.in_flight.len() > IN_FLIGHT_MAX {
            let place = self.rng.random_range(0..self.servers.in_flight.len());
            self.servers.in_flight.swap_remove(place);
        }
    }

    /// Ends all faults, and checks that the cluster works again: it elects one leader, and all servers apply a new
    /// command.
    fn recover(&mut self) {
        self.side.fill(false);
        self.deliver_until_quiet();
        for (&(leader, peer), sent) in &self.servers.last_sent {
            self.servers.cores[leader.0].request_timed_out(peer, sent);
        }
        let leader = self.elect();
        self.servers.propose(leader);
        for _ in 0..4 {
            self.servers.heartbeat(leader);
            self.deliver_until_quiet();
        }
        let last = self.servers.cores[leader.0].log().last_index();
        for server in (0..self.side.len()).map(ServerId) {
            self.servers.apply(server, usize::MAX);
            let applied = self.servers.properties.snapshot_of(server).0;
            assert_eq!(applied, last, "a healed cluster applies a new command; {server} did not");
        }
    }

    /// Elects a leader. A server whose log is behind cannot win (5.4.1), and each server with a higher term may cost
    /// one election.
    fn elect(&mut self) -> ServerId {
        for candidate in (0..self.side.len()).cycle().take(100) {
            let cores = &self.servers.cores;
            let highest = cores.iter().map(|core| core.current_term()).max();
            let leader = cores.iter().find(|core| core.is_leader() && Some(core.current_term()) == highest);
            if let Some(leader) = leader {
                return leader.me();
            }
            self.servers.election_timeout(ServerId(candidate));
            self.deliver_until_quiet();
        }
        panic!("a healed cluster elects a leader");
    }

    fn deliver_until_quiet(&mut self) {
        for _ in 0..QUIET_AFTER_MESSAGES_MAX {
            if self.servers.in_flight.is_empty() {
                return;
            }
            let message = self.servers.in_flight.remove(0);
            self.servers.deliver(message);
        }
        panic!("a quiet cluster did not stop sending after {QUIET_AFTER_MESSAGES_MAX} messages");
    }

    fn random_message(&mut self) -> Option<usize> {
        let count = self.servers.in_flight.len();
        (count > 0).then(|| self.rng.random_range(0..count))
    }

    fn deliver_random(&mut self) {
        if let Some(place) = self.random_message() {
            let twice = self.rng.random_bool(0.1);
            let in_flight = &mut self.servers.in_flight;
            let message = if twice { in_flight[place].clone() } else { in_flight.swap_remove(place) };
            if self.side[message.from.0] == self.side[message.to.0] {
                self.servers.deliver(message);
            }
        }
    }

    /// Loses a request or a reply. The caller learns of it at once, by its timeout, or never.
    fn lose_random(&mut self) {
        let Some(place) = self.random_message() else { return };
        let message = self.servers.in_flight.swap_remove(place);
        let (from, to) = (message.from, message.to);
        let (leader, peer, sent) = match message.content {
            Content::AppendEntries(_, sent) | Content::InstallSnapshot(_, sent) => (from, to, sent),
            Content::AppendEntriesReply(sent, _) | Content::InstallSnapshotReply(sent, _) => (to, from, sent),
            Content::RequestVote(_) | Content::RequestVoteReply(..) => return,
        };
        match self.rng.random_range(0..3) {
            0 => self.servers.fail(leader, peer, &sent),
            1 => self.time_out(leader, peer, &sent),
            _ => {}
        }
    }

    /// Times out entries or a snapshot that may still be in flight, or whose reply may be.
    fn time_out_random(&mut self) {
        if !self.servers.last_sent.is_empty() {
            let place = self.rng.random_range(0..self.servers.last_sent.len());
            let (&(leader, peer), &sent) = self.servers.last_sent.iter().nth(place).expect("it was counted");
            self.time_out(leader, peer, &sent);
        }
    }

    fn time_out(&mut self, leader: ServerId, peer: ServerId, sent: &SentRequest) {
        self.servers.cores[leader.0].request_timed_out(peer, sent);
    }

    fn partition_randomly(&mut self) {
        let heal = self.rng.random_bool(0.5);
        for server in 0..self.side.len() {
            self.side[server] = !heal && self.rng.random_bool(0.5);
        }
    }
}
