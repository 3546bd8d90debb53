//! The five properties of Figure 3, over thousands of random schedules. In a schedule messages are lost, repeated and
//! reordered, timers fire at any moment, services make snapshots and fall behind, servers crash and restart with their
//! saved state, and clients read. The properties must hold after every step. When the faults end, the cluster must
//! elect a leader and commit.
//!
//! A failure names its seed; `SAFETY_SEED=n cargo test -p raft --test safety` runs that schedule alone. The properties
//! themselves are in `properties/`, the servers in `cores/`.

mod cores;
mod properties;

use std::collections::VecDeque;

use bytes::Bytes;
use cores::{Content, Message, Server};
use properties::Properties;
use raft::core::{Effects, Read, ReadOutcome, SentRequest};
use raftapi::{ApplyMsg, Index, ServerId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

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
            let done = (cluster.properties.committed(), cluster.properties.installed(), cluster.settled);
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

/// A cluster under a random schedule. After every event the five properties must hold, the saved state must be the
/// server's state, and services must receive entries in order.
struct Cluster {
    rng: ChaCha8Rng,
    servers: Vec<Server>,
    /// Messages that each server's applier has taken and not yet delivered.
    undelivered: Vec<VecDeque<ApplyMsg>>,
    in_flight: Vec<Message>,
    /// For each server, its side of the partition.
    side: Vec<bool>,
    properties: Properties,
    commands: u32,
    /// Pending reads, each with the index that was known to be committed when it began.
    reads: Vec<(ServerId, Read, Index)>,
    /// Number of confirmed reads and of lost reads.
    settled: (usize, usize),
}

impl Cluster {
    fn new(servers: usize, seed: u64) -> Cluster {
        Cluster {
            rng: ChaCha8Rng::seed_from_u64(seed),
            servers: Server::cluster(servers),
            undelivered: vec![VecDeque::new(); servers],
            in_flight: Vec::new(),
            side: vec![false; servers],
            properties: Properties::new(servers),
            commands: 0,
            reads: Vec::new(),
            settled: (0, 0),
        }
    }

    fn random_step(&mut self) {
        let server = ServerId(self.rng.random_range(0..self.side.len()));
        match self.rng.random_range(0..1000) {
            0..650 => self.deliver_random(),
            650..690 => self.lose_random(),
            690..710 => self.time_out_random(),
            710..725 => self.election_timeout(server),
            725..800 => self.propose(server),
            800..825 => self.read(server),
            825..885 => self.heartbeat(server),
            885..965 => {
                let count = self.rng.random_range(1..10);
                self.apply(server, count);
            }
            965..985 => self.snapshot(server),
            985..993 => self.restart(server),
            _ => self.partition_randomly(),
        }
        while self.in_flight.len() > IN_FLIGHT_MAX {
            let place = self.rng.random_range(0..self.in_flight.len());
            self.in_flight.swap_remove(place);
        }
    }

    /// Ends all faults, and checks that the cluster works again: it elects one leader, and all servers apply a new
    /// command.
    fn recover(&mut self) {
        self.side.fill(false);
        self.deliver_until_quiet();
        for (leader, peer, sent) in self.last_sent() {
            self.time_out(leader, peer, &sent);
        }
        let leader = self.elect();
        self.propose(leader);
        for _ in 0..4 {
            self.heartbeat(leader);
            self.deliver_until_quiet();
        }
        let last = self.servers[leader.0].core.log().last_index();
        for server in (0..self.side.len()).map(ServerId) {
            self.apply(server, usize::MAX);
            let applied = self.properties.snapshot_of(server).0;
            assert_eq!(applied, last, "a healed cluster applies a new command; {server} did not");
        }
    }

    /// Elects a leader. A server whose log is behind cannot win (5.4.1), and each server with a higher term may cost
    /// one election.
    fn elect(&mut self) -> ServerId {
        for candidate in (0..self.side.len()).cycle().take(100) {
            let cores = || self.servers.iter().map(|server| &server.core);
            let highest = cores().map(|core| core.current_term()).max();
            let leader = cores().find(|core| core.is_leader() && Some(core.current_term()) == highest);
            if let Some(leader) = leader {
                return leader.me();
            }
            self.election_timeout(ServerId(candidate));
            self.deliver_until_quiet();
        }
        panic!("a healed cluster elects a leader");
    }

    fn deliver_until_quiet(&mut self) {
        for _ in 0..QUIET_AFTER_MESSAGES_MAX {
            if self.in_flight.is_empty() {
                return;
            }
            let message = self.in_flight.remove(0);
            self.deliver(message);
        }
        panic!("a quiet cluster did not stop sending after {QUIET_AFTER_MESSAGES_MAX} messages");
    }

    fn random_message(&mut self) -> Option<usize> {
        let count = self.in_flight.len();
        (count > 0).then(|| self.rng.random_range(0..count))
    }

    fn deliver_random(&mut self) {
        if let Some(place) = self.random_message() {
            let twice = self.rng.random_bool(0.1);
            let message = if twice { self.in_flight[place].clone() } else { self.in_flight.swap_remove(place) };
            if self.side[message.from.0] == self.side[message.to.0] {
                self.deliver(message);
            }
        }
    }

    /// Loses a request or a reply. The caller learns of it at once, by its timeout, or never.
    fn lose_random(&mut self) {
        let Some(place) = self.random_message() else { return };
        let message = self.in_flight.swap_remove(place);
        let (from, to) = (message.from, message.to);
        let (leader, peer, sent) = match message.content {
            Content::AppendEntries(_, sent) | Content::InstallSnapshot(_, sent) => (from, to, sent),
            Content::AppendEntriesReply(sent, _) | Content::InstallSnapshotReply(sent, _) => (to, from, sent),
            Content::RequestVote(_) | Content::RequestVoteReply(..) => return,
        };
        match self.rng.random_range(0..3) {
            0 => self.fail(leader, peer, &sent),
            1 => self.time_out(leader, peer, &sent),
            _ => {}
        }
    }

    /// Times out entries or a snapshot that may still be in flight, or whose reply may be.
    fn time_out_random(&mut self) {
        let last_sent = self.last_sent();
        if !last_sent.is_empty() {
            let (leader, peer, sent) = last_sent[self.rng.random_range(0..last_sent.len())];
            self.time_out(leader, peer, &sent);
        }
    }

    /// Returns the last entries or snapshot from each leader to each peer.
    fn last_sent(&self) -> Vec<(ServerId, ServerId, SentRequest)> {
        let of_leader = |leader: &Server| {
            let me = leader.core.me();
            leader.last_sent.iter().map(move |(&peer, &sent)| (me, peer, sent)).collect::<Vec<_>>()
        };
        self.servers.iter().flat_map(of_leader).collect()
    }

    fn time_out(&mut self, leader: ServerId, peer: ServerId, sent: &SentRequest) {
        self.servers[leader.0].core.request_timed_out(peer, sent);
    }

    fn partition_randomly(&mut self) {
        let heal = self.rng.random_bool(0.5);
        for server in 0..self.side.len() {
            self.side[server] = !heal && self.rng.random_bool(0.5);
        }
    }
    /// Crashes and restarts a server. Only the saved state remains, and messages of the old incarnation may still
    /// arrive.
    fn restart(&mut self, server: ServerId) {
        self.servers[server.0].restart();
        self.undelivered[server.0].clear();
        self.reads.retain(|&(reader, ..)| reader != server);
        // A crashed process loses its calls, so replies to them have no receiver.
        self.in_flight.retain(|message| message.to != server || message.content.is_request());
        self.properties.restarted(server, &self.servers[server.0].persister.read_snapshot());
    }

    fn election_timeout(&mut self, server: ServerId) {
        let effects = self.servers[server.0].core.election_timeout();
        self.carry_out(server, &effects);
    }

    fn propose(&mut self, server: ServerId) {
        self.commands += 1;
        let command = Bytes::from(self.commands.to_string());
        if let Some((_, effects)) = self.servers[server.0].core.propose(command) {
            self.carry_out(server, &effects);
        }
    }

    fn read(&mut self, server: ServerId) {
        if let Some((read, effects)) = self.servers[server.0].core.begin_read() {
            self.reads.push((server, read, self.properties.last_committed()));
            self.carry_out(server, &effects);
        }
    }

    fn heartbeat(&mut self, server: ServerId) {
        let this = &mut self.servers[server.0];
        self.in_flight.extend(this.core.peers().filter_map(|peer| this.heartbeat(peer)));
    }

    /// Fails the call that carried `sent`, and tells the caller.
    fn fail(&mut self, leader: ServerId, peer: ServerId, sent: &SentRequest) {
        let effects = self.servers[leader.0].core.request_failed(peer, sent);
        self.carry_out(leader, &effects);
    }

    /// Makes a snapshot of everything that was delivered to the service of `server`.
    fn snapshot(&mut self, server: ServerId) {
        let (index, data) = self.properties.snapshot_of(server);
        let effects = self.servers[server.0].core.snapshot_taken(index, data);
        self.carry_out(server, &effects);
    }

    /// Lets the applier of `server` deliver up to `count` messages, one batch after the other.
    fn apply(&mut self, server: ServerId, count: usize) {
        for _ in 0..count {
            let undelivered = &mut self.undelivered[server.0];
            if undelivered.is_empty() {
                undelivered.extend(self.servers[server.0].core.take_committed());
            }
            let Some(message) = undelivered.pop_front() else { return };
            self.properties.applied(server, message).unwrap_or_else(|broken| panic!("{broken}"));
        }
    }

    fn deliver(&mut self, message: Message) {
        let to = message.to;
        let (effects, reply) = self.servers[to.0].handle(message);
        self.carry_out(to, &effects);
        self.in_flight.extend(reply);
    }

    /// Carries out a server's effects and checks the properties.
    fn carry_out(&mut self, server: ServerId, effects: &Effects) {
        self.servers[server.0].save(effects);
        self.servers[server.0].assert_saved();
        self.properties.check(server, &self.servers).unwrap_or_else(|broken| panic!("{broken}"));
        self.settle_reads(server);
        self.in_flight.extend(self.servers[server.0].messages(effects));
    }

    /// Settles the reads of `server`.
    fn settle_reads(&mut self, server: ServerId) {
        let core = &self.servers[server.0].core;
        let (confirmed, lost) = &mut self.settled;
        self.reads.retain(|&(reader, read, floor)| match core.read_outcome(&read) {
            _ if reader != server => true,
            ReadOutcome::Waiting => true,
            ReadOutcome::Lost => {
                *lost += 1;
                false
            }
            ReadOutcome::Confirmed => {
                *confirmed += 1;
                Properties::check_read(read.index, floor).unwrap_or_else(|broken| panic!("{broken}"));
                false
            }
        });
    }
}
