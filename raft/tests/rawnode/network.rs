//! Nodes, their owners, and an unreliable network between them, all drawn from a seed.

use std::borrow::Borrow;
use std::ops::AddAssign;

use bytes::Bytes;
use raft::core::Core;
use raft::rawnode::{Config, Message, RawNode, Ready, SnapshotTask, TransferOutcome};
use raftapi::{ApplyMsg, Index, ServerId, Term};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::owner::Disk;
use crate::properties::Properties;

/// Limit of the messages in flight; the surplus is lost.
const IN_FLIGHT_MAX: usize = 60;
/// Timeouts in ticks, short, so that all timers fire often.
const HEARTBEAT_TICKS: u32 = 2;
const REPLY_TIMEOUT_TICKS: u32 = 3;
const ELECTION_TICKS: std::ops::Range<u32> = 8..24;
/// Limit of the ticks without faults until a cluster works again.
const TICKS_TO_RECOVER_MAX: usize = 500;

/// Totals of the events in a schedule.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) committed: usize,
    pub(crate) installed: usize,
    pub(crate) confirmed: usize,
    pub(crate) lost: usize,
    /// Crashes: before a Ready was saved, before its messages were sent, before `advance`, and between two Readys.
    pub(crate) crashes: [usize; 4],
}

/// The point at which the owner crashes while it carries out a Ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    BeforeSaving = 0,
    BeforeSending = 1,
    BeforeAdvance = 2,
    Between = 3,
}

/// A node and its owner.
struct Node {
    raw: RawNode,
    disk: Disk,
    /// The service's state on the disk.
    saved_state: Bytes,
    /// Snapshot tasks that are not done yet.
    tasks: Vec<SnapshotTask>,
    /// For each pending read, the index that was committed when it began.
    reads: Vec<(u64, Index)>,
    /// Confirmed reads that wait until their index is applied.
    confirmed_reads: Vec<(Index, Index)>,
}

impl Borrow<Core> for Node {
    fn borrow(&self) -> &Core {
        self.raw.core()
    }
}

pub(crate) struct Network {
    rng: ChaCha8Rng,
    nodes: Vec<Node>,
    in_flight: Vec<Message>,
    properties: Properties,
    /// A server that is cut off in both directions.
    cut_off: Option<ServerId>,
    next_command: u64,
    totals: Totals,
}

fn config(disk: &Disk, me: ServerId, servers: usize) -> Config {
    Config { heartbeat_ticks: HEARTBEAT_TICKS, reply_timeout_ticks: REPLY_TIMEOUT_TICKS, ..disk.config(me, servers) }
}

impl Network {
    pub(crate) fn new(servers: usize, seed: u64) -> Network {
        let node = |me| {
            let disk = Disk::default();
            let raw = RawNode::new(config(&disk, ServerId(me), servers)).expect("a node that has never run");
            let (tasks, reads, confirmed_reads) = (Vec::new(), Vec::new(), Vec::new());
            Node { raw, disk, saved_state: Bytes::new(), tasks, reads, confirmed_reads }
        };
        Network {
            rng: ChaCha8Rng::seed_from_u64(seed),
            nodes: (0..servers).map(node).collect(),
            in_flight: Vec::new(),
            properties: Properties::new(servers),
            cut_off: None,
            next_command: 0,
            totals: Totals::default(),
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        let (committed, installed) = (self.properties.committed(), self.properties.installed());
        Totals { committed, installed, ..self.totals }
    }

    pub(crate) fn random_step(&mut self) {
        let server = self.rng.random_range(0..self.nodes.len());
        match self.rng.random_range(0..1000) {
            0..430 => self.deliver_random(),
            430..450 => self.lose_random(),
            450..760 => self.carry_out(server, None),
            760..825 => self.tick(server),
            825..828 => self.nodes[server].raw.campaign(),
            828..895 => self.propose(server),
            895..925 => self.read(server),
            925..955 => self.compact(server),
            955..980 => self.transfer(server),
            980..982 => self.carry_out(server, Some(Crash::BeforeSaving)),
            982..984 => self.carry_out(server, Some(Crash::BeforeSending)),
            984..986 => self.carry_out(server, Some(Crash::BeforeAdvance)),
            986..987 => self.crash(server, Crash::Between),
            987..993 => self.cut_off = self.rng.random_bool(0.7).then_some(ServerId(server)),
            _ => self.save_state(server),
        }
        self.check(server);
        while self.in_flight.len() > IN_FLIGHT_MAX {
            let place = self.rng.random_range(0..self.in_flight.len());
            self.in_flight.swap_remove(place);
        }
    }

    /// Ends all faults. Ticks alone must make the cluster work again, and all servers must apply a new command.
    pub(crate) fn recover(&mut self) {
        self.cut_off = None;
        let mut proposed = None;
        for _ in 0..TICKS_TO_RECOVER_MAX {
            for server in 0..self.nodes.len() {
                self.tick(server);
                self.finish_transfers(server);
            }
            self.deliver_until_quiet();
            let Some(leader) = self.leader() else { continue };
            let term = self.nodes[leader].raw.soft_state().term;
            match proposed {
                Some((of_term, last)) if of_term == term => {
                    if self.nodes.iter().all(|node| node.raw.core().last_applied() >= last) {
                        return;
                    }
                }
                _ => {
                    let commands = vec![Bytes::from("first"), Bytes::from("last")];
                    let started = self.nodes[leader].raw.propose_many(commands).expect("it leads");
                    proposed = Some((term, started.index.next()));
                }
            }
        }
        panic!("{TICKS_TO_RECOVER_MAX} ticks after the faults ended, no leader's command has reached all servers");
    }

    fn leader(&self) -> Option<usize> {
        let highest = self.nodes.iter().map(|node| node.raw.soft_state().term).max();
        let leads = |node: &Node| node.raw.core().is_leader() && Some(node.raw.soft_state().term) == highest;
        self.nodes.iter().position(leads)
    }

    /// Carries out every Ready and delivers every message, without ticks.
    fn deliver_until_quiet(&mut self) {
        for _ in 0..10_000 {
            let ready = self.nodes.iter().position(|node| node.raw.has_ready());
            if let Some(server) = ready {
                self.carry_out(server, None);
                self.check(server);
            } else if let Some(message) = self.in_flight.pop() {
                let to = message.to.0;
                self.nodes[to].raw.step(message).expect("a node's message");
                self.check(to);
            } else {
                return;
            }
        }
        panic!("a quiet cluster does not stop sending");
    }

    fn check(&mut self, server: usize) {
        // A cluster of one server commits a command at once, but hands it out only when it is saved. Until then no
        // client has seen it, and a crash may take it back.
        if self.nodes.len() == 1 && self.nodes[server].raw.has_ready() {
            return;
        }
        self.properties.check(ServerId(server), &self.nodes).unwrap_or_else(|broken| panic!("{broken}"));
    }

    fn deliver_random(&mut self) {
        if self.in_flight.is_empty() {
            return;
        }
        let place = self.rng.random_range(0..self.in_flight.len());
        let twice = self.rng.random_bool(0.1);
        let message = if twice { self.in_flight[place].clone() } else { self.in_flight.swap_remove(place) };
        if self.cut_off.is_none_or(|server| message.from != server && message.to != server) {
            let to = message.to.0;
            self.nodes[to].raw.step(message).expect("a node's message");
            self.check(to);
        }
    }

    fn lose_random(&mut self) {
        if !self.in_flight.is_empty() {
            let place = self.rng.random_range(0..self.in_flight.len());
            self.in_flight.swap_remove(place);
        }
    }

    fn tick(&mut self, server: usize) {
        let timeout = self.rng.random_range(ELECTION_TICKS);
        self.nodes[server].raw.tick(|| timeout);
    }

    fn propose(&mut self, server: usize) {
        let count = self.rng.random_range(1..3);
        let commands: Vec<Bytes> =
            (0..count).map(|k| Bytes::copy_from_slice(&(self.next_command + k).to_be_bytes())).collect();
        self.next_command += count;
        let node = &mut self.nodes[server].raw;
        let leads = node.core().is_leader();
        assert_eq!(node.propose_many(commands).is_ok(), leads, "only a leader accepts commands");
    }

    fn read(&mut self, server: usize) {
        let context = self.rng.next_u64();
        let committed = self.properties.last_committed();
        let node = &mut self.nodes[server];
        if node.raw.read_index(context).is_ok() {
            node.reads.push((context, committed));
        }
    }

    /// Carries out a Ready, up to the point where the owner crashes.
    fn carry_out(&mut self, server: usize, crash: Option<Crash>) {
        if !self.nodes[server].raw.has_ready() {
            return;
        }
        let node = &mut self.nodes[server];
        let ready = node.raw.ready();
        assert!(!node.raw.has_ready(), "one Ready at a time");
        assert_ne!(ready, Ready::default(), "an announced Ready is not empty");
        if crash == Some(Crash::BeforeSaving) {
            return self.crash(server, Crash::BeforeSaving);
        }
        node.disk.save(&ready);
        if let Some(snapshot) = &ready.snapshot {
            node.saved_state = snapshot.descriptor.clone();
        }
        if crash == Some(Crash::BeforeSending) {
            return self.crash(server, Crash::BeforeSending);
        }
        node.tasks.extend(ready.snapshot_tasks);
        self.in_flight.extend(ready.messages);
        if let Some(snapshot) = ready.snapshot {
            let (index, term) = (snapshot.index, snapshot.term);
            self.apply(server, ApplyMsg::Snapshot { index, term, snapshot: snapshot.descriptor });
        }
        for entry in ready.committed {
            let (index, term, command) = (entry.index, entry.term, entry.command);
            let saved = self.nodes[server].disk.term(index);
            assert_eq!(saved, Some(term), "an entry that is handed out is saved");
            self.apply(server, ApplyMsg::Command { index, term, command });
        }
        if crash == Some(Crash::BeforeAdvance) {
            return self.crash(server, Crash::BeforeAdvance);
        }
        let node = &mut self.nodes[server];
        for read in ready.reads {
            let place =
                node.reads.iter().position(|(context, _)| *context == read.context).expect("the read has begun");
            let (_, committed) = node.reads.swap_remove(place);
            match read.index {
                Some(index) => node.confirmed_reads.push((index, committed)),
                None => self.totals.lost += 1,
            }
        }
        let applied = node.raw.core().last_applied();
        for (index, committed) in node.confirmed_reads.extract_if(.., |(index, _)| *index <= applied) {
            self.totals.confirmed += 1;
            Properties::check_read(index, committed).unwrap_or_else(|stale| panic!("{stale}"));
        }
        // An owner may receive messages before it has carried out everything.
        if self.rng.random_bool(0.2) {
            self.deliver_random();
        }
        self.nodes[server].raw.advance();
    }

    fn apply(&mut self, server: usize, message: ApplyMsg) {
        self.properties.applied(ServerId(server), message).unwrap_or_else(|broken| panic!("{broken}"));
    }

    /// Saves the service's present state to the disk.
    fn save_state(&mut self, server: usize) {
        let (applied, state) = self.properties.snapshot_of(ServerId(server));
        let node = &mut self.nodes[server];
        node.disk.applied = applied;
        node.saved_state = state;
    }

    /// Discards the log up to an index that is saved as applied.
    fn compact(&mut self, server: usize) {
        if self.rng.random_bool(0.7) {
            self.save_state(server);
        }
        let node = &mut self.nodes[server];
        let keep = self.rng.random_range(0..3);
        node.raw.compact(Index(node.disk.applied.0.saturating_sub(keep)));
    }

    /// Finishes the transfer of a snapshot, or lets it fail.
    fn transfer(&mut self, server: usize) {
        let node = &mut self.nodes[server];
        let Some(task) = node.tasks.pop() else { return };
        if self.rng.random_bool(0.3) {
            node.raw.report_snapshot(&task, TransferOutcome::Failed);
        } else {
            self.send_snapshot(server, &task);
        }
    }

    fn finish_transfers(&mut self, server: usize) {
        while let Some(task) = self.nodes[server].tasks.pop() {
            self.send_snapshot(server, &task);
        }
    }

    fn send_snapshot(&mut self, server: usize, task: &SnapshotTask) {
        let (index, state) = self.properties.snapshot_of(ServerId(server));
        let node = &mut self.nodes[server];
        let Some(term) = node.disk.term(index) else { panic!("the owner knows the term of what it has applied") };
        let message = task.message(index, term, state);
        let outcome = if message.is_some() { TransferOutcome::Arrived } else { TransferOutcome::Failed };
        self.in_flight.extend(message);
        node.raw.report_snapshot(task, outcome);
    }

    /// Crashes the owner: everything unsaved is lost, and it restarts with the rest.
    fn crash(&mut self, server: usize, when: Crash) {
        self.totals.crashes[when as usize] += 1;
        let servers = self.nodes.len();
        let node = &mut self.nodes[server];
        node.raw = RawNode::new(config(&node.disk, ServerId(server), servers)).expect("the saved state is complete");
        assert!(!node.raw.has_ready(), "saved state is not saved again");
        assert_eq!(node.raw.soft_state().term.max(Term(0)), node.disk.hard_state.term);
        node.tasks.clear();
        node.reads.clear();
        node.confirmed_reads.clear();
        self.properties.restarted(ServerId(server), &node.saved_state);
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        self.committed += other.committed;
        self.installed += other.installed;
        self.confirmed += other.confirmed;
        self.lost += other.lost;
        self.crashes.iter_mut().zip(other.crashes).for_each(|(sum, more)| *sum += more);
    }
}
