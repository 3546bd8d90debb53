//! The five properties of Figure 3, over thousands of random schedules: messages are lost, repeated and overtaken,
//! timers run out at any moment, servers crash and come back with what they saved. After every step the properties must
//! hold, and what is saved must be what the server acts on. When the faults end, the cluster must elect a leader and
//! commit.
//!
//! A failure names its seed; `SAFETY_SEED=n cargo test -p raft --test safety` runs that schedule alone. The properties
//! themselves are in `properties/`.

mod properties;

use std::collections::BTreeMap;

use bytes::Bytes;
use properties::Properties;
use raft::core::{
    AppendEntriesArgs, AppendEntriesReply, Core, Effects, Entry, HardState, Log, RequestVoteArgs, RequestVoteReply,
    SentAppend,
};
use raftapi::{ApplyMsg, Index, ServerId, Term};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How many schedules each test runs, and how many steps each of them takes before the faults end.
const SCHEDULES: u64 = 3_000;
const STEPS: usize = 1_000;
/// More messages than this are never under way; the surplus is lost.
const UNDER_WAY_MAX: usize = 100;
/// A quiet cluster has said all it has to say after this many messages. More would be a loop.
const MESSAGES_TO_REST_MAX: usize = 5_000;

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
    let mut committed = 0;
    for seed in seeds {
        let result = std::panic::catch_unwind(|| {
            let mut cluster = Cluster::new(servers, seed);
            for _ in 0..STEPS {
                cluster.random_step();
            }
            let committed = cluster.properties.committed();
            cluster.recover();
            committed
        });
        match result {
            Ok(entries) => committed += entries,
            Err(panic) => {
                eprintln!("{servers} servers, seed {seed} failed; SAFETY_SEED={seed} runs it again");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // Schedules in which nothing is ever committed would prove nothing.
    assert!(
        only.is_some() || committed > 5 * SCHEDULES as usize,
        "only {committed} entries were committed under faults"
    );
}

/// A cluster under a random schedule.
struct Cluster {
    rng: ChaCha8Rng,
    cores: Vec<Core>,
    disks: Vec<(HardState, Vec<Entry>)>,
    under_way: Vec<Message>,
    last_batch: BTreeMap<(ServerId, ServerId), SentAppend>,
    /// For each server which side of the partition it is on.
    side: Vec<bool>,
    commands: u32,
    properties: Properties,
}

#[derive(Clone)]
struct Message {
    from: ServerId,
    to: ServerId,
    content: Content,
}

#[derive(Clone)]
enum Content {
    RequestVote(RequestVoteArgs),
    RequestVoteReply(Term, RequestVoteReply),
    AppendEntries(AppendEntriesArgs, SentAppend),
    AppendEntriesReply(SentAppend, AppendEntriesReply),
}

impl Cluster {
    fn new(servers: usize, seed: u64) -> Cluster {
        Cluster {
            rng: ChaCha8Rng::seed_from_u64(seed),
            cores: (0..servers).map(|me| Core::new(ServerId(me), servers)).collect(),
            disks: vec![Default::default(); servers],
            under_way: Vec::new(),
            last_batch: BTreeMap::new(),
            side: vec![false; servers],
            commands: 0,
            properties: Properties::new(servers),
        }
    }

    fn random_step(&mut self) {
        match self.rng.random_range(0..1000) {
            0..750 => self.deliver_any(),
            750..790 => self.lose_any(),
            790..810 => self.time_out_any(),
            810..825 => {
                let server = self.any_server();
                self.election_timeout(server);
            }
            825..925 => self.propose_anywhere(),
            925..985 => {
                let server = self.any_server();
                self.heartbeat(server);
            }
            985..993 => self.restart_any(),
            _ => self.partition_anyhow(),
        }
    }

    /// Ends all faults, and checks that the cluster is of use again: one leader, and a new command applied by all.
    fn recover(&mut self) {
        self.side.fill(false);
        self.come_to_rest();
        for (&(leader, peer), sent) in &self.last_batch {
            self.cores[leader.0].append_timed_out(peer, sent);
        }
        // A server whose log is behind cannot win (5.4.1), and a term may be lost for each that is ahead in terms.
        let mut candidates = (0..self.cores.len()).map(ServerId).cycle();
        let leader = (0..100).find_map(|_| {
            let highest = self.cores.iter().map(|core| core.current_term()).max();
            let leader = self.cores.iter().find(|core| core.is_leader() && Some(core.current_term()) == highest);
            if let Some(leader) = leader {
                return Some(leader.me());
            }
            self.election_timeout(candidates.next().expect("servers without end"));
            self.come_to_rest();
            None
        });
        let leader = leader.expect("a healed cluster elects a leader");

        self.propose(leader);
        for _ in 0..3 {
            self.heartbeat(leader);
            self.come_to_rest();
        }
        let last = self.cores[leader.0].log().last_index();
        for core in &self.cores {
            assert_eq!(core.last_applied(), last, "a healed cluster applies a new command; {} did not", core.me());
        }
    }

    fn come_to_rest(&mut self) {
        for _ in 0..MESSAGES_TO_REST_MAX {
            if self.under_way.is_empty() {
                return;
            }
            let message = self.under_way.remove(0);
            self.deliver(message);
        }
        panic!("a quiet cluster went on sending for {MESSAGES_TO_REST_MAX} messages");
    }

    fn any_server(&mut self) -> ServerId {
        ServerId(self.rng.random_range(0..self.cores.len()))
    }

    fn any_message(&mut self) -> Option<usize> {
        (!self.under_way.is_empty()).then(|| self.rng.random_range(0..self.under_way.len()))
    }

    fn deliver_any(&mut self) {
        if let Some(place) = self.any_message() {
            let twice = self.rng.random_bool(0.1);
            let message = if twice { self.under_way[place].clone() } else { self.under_way.swap_remove(place) };
            if self.side[message.from.0] == self.side[message.to.0] {
                self.deliver(message);
            }
        }
    }

    /// Loses a request or a reply. The caller finds out at once, when its time is over, or never.
    fn lose_any(&mut self) {
        let Some(place) = self.any_message() else { return };
        let Message { from, to, content } = self.under_way.swap_remove(place);
        let (leader, peer, sent) = match content {
            Content::AppendEntries(_, sent) => (from, to, sent),
            Content::AppendEntriesReply(sent, _) => (to, from, sent),
            Content::RequestVote(_) | Content::RequestVoteReply(..) => return,
        };
        match self.rng.random_range(0..3) {
            0 => {
                let effects = self.cores[leader.0].append_failed(peer, &sent);
                self.carry_out(leader, effects);
            }
            1 => self.cores[leader.0].append_timed_out(peer, &sent),
            _ => {}
        }
    }

    /// A batch is given up while it, or its answer, may still be under way.
    fn time_out_any(&mut self) {
        if !self.last_batch.is_empty() {
            let place = self.rng.random_range(0..self.last_batch.len());
            let (&(leader, peer), sent) = self.last_batch.iter().nth(place).expect("it was counted");
            self.cores[leader.0].append_timed_out(peer, sent);
        }
    }

    fn propose_anywhere(&mut self) {
        let server = self.any_server();
        self.propose(server);
    }

    /// A crash: what is saved is all that remains, and messages to and from the old instance may still arrive.
    fn restart_any(&mut self) {
        let server = self.any_server();
        let (hard_state, entries) = self.disks[server.0].clone();
        self.cores[server.0] = Core::restore(server, self.cores.len(), hard_state, Log::new(entries));
        self.last_batch.retain(|&(leader, _), _| leader != server);
        // A process that is gone takes its calls with it: answers to them have nobody to go to.
        self.under_way.retain(|message| message.to != server || message.content.is_request());
        self.properties.restarted(server);
    }

    fn partition_anyhow(&mut self) {
        let heal = self.rng.random_bool(0.5);
        for server in 0..self.side.len() {
            self.side[server] = !heal && self.rng.random_bool(0.5);
        }
    }

    fn election_timeout(&mut self, server: ServerId) {
        let effects = self.cores[server.0].election_timeout();
        self.carry_out(server, effects);
    }

    fn propose(&mut self, server: ServerId) {
        self.commands += 1;
        let command = Bytes::from(self.commands.to_string());
        if let Some((_, effects)) = self.cores[server.0].propose(command) {
            self.carry_out(server, effects);
        }
    }

    fn heartbeat(&mut self, server: ServerId) {
        for peer in self.cores[server.0].peers() {
            if let Some((args, sent)) = self.cores[server.0].heartbeat(peer) {
                self.send(server, peer, Content::AppendEntries(args, sent));
            }
        }
    }

    fn deliver(&mut self, Message { from, to, content }: Message) {
        let core = &mut self.cores[to.0];
        let (effects, reply) = match content {
            Content::RequestVote(args) => {
                let (reply, effects) = core.handle_request_vote(args);
                (effects, Some(Content::RequestVoteReply(args.term, reply)))
            }
            Content::RequestVoteReply(term, reply) => (core.handle_request_vote_reply(from, term, reply), None),
            Content::AppendEntries(args, sent) => {
                let (reply, effects) = core.handle_append_entries(args);
                (effects, Some(Content::AppendEntriesReply(sent, reply)))
            }
            Content::AppendEntriesReply(sent, reply) => (core.handle_append_entries_reply(from, &sent, reply), None),
        };
        self.carry_out(to, effects);
        if let Some(content) = reply {
            self.send(to, from, content);
        }
    }

    /// Does what a server asks for, and checks the properties.
    fn carry_out(&mut self, server: ServerId, effects: Effects) {
        self.save(server, &effects);
        self.properties.check(server, &self.cores).unwrap_or_else(|broken| panic!("{broken}"));
        let applied: Vec<ApplyMsg> = self.cores[server.0].take_committed();
        self.properties.applied(server, applied).unwrap_or_else(|broken| panic!("{broken}"));

        for (peer, args) in effects.request_votes {
            self.send(server, peer, Content::RequestVote(args));
        }
        if effects.send_heartbeats {
            self.heartbeat(server);
        }
        for peer in effects.wake_replicators {
            if let Some((args, sent)) = self.cores[server.0].append_entries(peer) {
                self.last_batch.insert((server, peer), sent);
                self.send(server, peer, Content::AppendEntries(args, sent));
            }
        }
    }

    fn save(&mut self, server: ServerId, effects: &Effects) {
        let core = &self.cores[server.0];
        let (hard_state, entries) = &mut self.disks[server.0];
        if let Some(changed) = effects.persist.hard_state {
            *hard_state = changed;
        }
        if let Some(change) = effects.persist.log {
            let kept = change.first.prev().0 as usize;
            assert_eq!(change.truncates, kept < entries.len(), "an order to save says whether something is void");
            entries.truncate(kept);
            entries.extend_from_slice(core.log().entries(change.first, change.last));
        }
        let acts_on = HardState { term: core.current_term(), voted_for: core.voted_for() };
        assert_eq!(*hard_state, acts_on, "{server} acts on a term or a vote that it has not saved");
        let log = core.log().entries(Index(1), core.log().last_index());
        assert_eq!(entries, log, "{server} acts on a log that it has not saved");
    }

    fn send(&mut self, from: ServerId, to: ServerId, content: Content) {
        self.under_way.push(Message { from, to, content });
        if self.under_way.len() > UNDER_WAY_MAX {
            let place = self.rng.random_range(0..self.under_way.len());
            self.under_way.swap_remove(place);
        }
    }
}

impl Content {
    fn is_request(&self) -> bool {
        matches!(self, Content::RequestVote(_) | Content::AppendEntries(..))
    }
}
