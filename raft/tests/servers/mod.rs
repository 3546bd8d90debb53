//! Servers whose messages, disks and services a test controls, for random schedules. The schedule decides the next
//! event. After every event the five properties must hold, the saved state must be the server's state, and services
//! must receive entries in order.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use labstd::sync::Arc;
use raft::core::{
    AppendEntriesArgs, AppendEntriesReply, Core, Effects, HardState, InstallSnapshotArgs, InstallSnapshotReply, Read,
    ReadOutcome, RequestVoteArgs, RequestVoteReply, Saved, SentRequest,
};
use raft::storage::Storage;
use raftapi::{ApplyMsg, Index, Persister, ServerId, Term};

use crate::properties::Properties;

/// Servers, their saved states, and the messages in flight between them.
pub(crate) struct Servers {
    pub(crate) cores: Vec<Core>,
    persisters: Vec<Arc<Persister>>,
    storages: Vec<Storage>,
    /// Messages that each server's applier has taken and not yet delivered.
    undelivered: Vec<VecDeque<ApplyMsg>>,
    pub(crate) in_flight: Vec<Message>,
    /// The last entries or snapshot from a leader to a peer.
    pub(crate) last_sent: BTreeMap<(ServerId, ServerId), SentRequest>,
    pub(crate) properties: Properties,
    commands: u32,
    /// Pending reads, each with the index that was known to be committed when it began.
    reads: Vec<(ServerId, Read, Index)>,
    /// Number of confirmed reads and of lost reads.
    pub(crate) settled: (usize, usize),
}

/// A message in flight.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) from: ServerId,
    pub(crate) to: ServerId,
    pub(crate) content: Content,
}

/// A request, or a reply with the caller's record of the request.
#[derive(Clone)]
pub(crate) enum Content {
    RequestVote(RequestVoteArgs),
    RequestVoteReply(Term, RequestVoteReply),
    AppendEntries(AppendEntriesArgs, SentRequest),
    AppendEntriesReply(SentRequest, AppendEntriesReply),
    InstallSnapshot(InstallSnapshotArgs, SentRequest),
    InstallSnapshotReply(SentRequest, InstallSnapshotReply),
}

impl Servers {
    pub(crate) fn new(servers: usize) -> Servers {
        let persisters: Vec<Arc<Persister>> = (0..servers).map(|_| Arc::new(Persister::new())).collect();
        Servers {
            cores: (0..servers).map(|me| Core::new(ServerId(me), servers)).collect(),
            storages: persisters.iter().map(|persister| open(persister).0).collect(),
            persisters,
            undelivered: vec![VecDeque::new(); servers],
            in_flight: Vec::new(),
            last_sent: BTreeMap::new(),
            properties: Properties::new(servers),
            commands: 0,
            reads: Vec::new(),
            settled: (0, 0),
        }
    }

    /// Crashes and restarts a server. Only the saved state remains, and messages of the old incarnation may still
    /// arrive.
    pub(crate) fn restart(&mut self, server: ServerId) {
        self.persisters[server.0] = Arc::new(self.persisters[server.0].copy());
        let (storage, saved) = open(&self.persisters[server.0]);
        self.cores[server.0] = Core::restore(server, self.cores.len(), saved);
        self.storages[server.0] = storage;
        self.undelivered[server.0].clear();
        self.reads.retain(|&(reader, ..)| reader != server);
        self.last_sent.retain(|&(leader, _), _| leader != server);
        // A crashed process loses its calls, so replies to them have no receiver.
        self.in_flight.retain(|message| message.to != server || message.content.is_request());
        self.properties.restarted(server, &self.persisters[server.0].read_snapshot());
    }

    pub(crate) fn election_timeout(&mut self, server: ServerId) {
        let effects = self.cores[server.0].election_timeout();
        self.carry_out(server, effects);
    }

    pub(crate) fn propose(&mut self, server: ServerId) {
        self.commands += 1;
        let command = Bytes::from(self.commands.to_string());
        if let Some((_, effects)) = self.cores[server.0].propose(command) {
            self.carry_out(server, effects);
        }
    }

    pub(crate) fn read(&mut self, server: ServerId) {
        if let Some((read, effects)) = self.cores[server.0].begin_read() {
            self.reads.push((server, read, self.properties.last_committed()));
            self.carry_out(server, effects);
        }
    }

    pub(crate) fn heartbeat(&mut self, server: ServerId) {
        for peer in self.cores[server.0].peers() {
            if let Some((args, sent)) = self.cores[server.0].heartbeat(peer) {
                self.send(server, peer, Content::AppendEntries(args, sent));
            }
        }
    }

    /// Fails the call that carried `sent`, and tells the caller.
    pub(crate) fn fail(&mut self, leader: ServerId, peer: ServerId, sent: &SentRequest) {
        let effects = self.cores[leader.0].request_failed(peer, sent);
        self.carry_out(leader, effects);
    }

    /// Makes a snapshot of everything that was delivered to the service of `server`.
    pub(crate) fn snapshot(&mut self, server: ServerId) {
        let (index, data) = self.properties.snapshot_of(server);
        let effects = self.cores[server.0].snapshot_taken(index, data);
        self.carry_out(server, effects);
    }

    /// Lets the applier of `server` deliver up to `count` messages, one batch after the other.
    pub(crate) fn apply(&mut self, server: ServerId, count: usize) {
        for _ in 0..count {
            let undelivered = &mut self.undelivered[server.0];
            if undelivered.is_empty() {
                undelivered.extend(self.cores[server.0].take_committed());
            }
            let Some(message) = undelivered.pop_front() else { return };
            self.properties.applied(server, message).unwrap_or_else(|broken| panic!("{broken}"));
        }
    }

    pub(crate) fn deliver(&mut self, Message { from, to, content }: Message) {
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
            Content::InstallSnapshot(args, sent) => {
                let (reply, effects) = core.handle_install_snapshot(args);
                (effects, Some(Content::InstallSnapshotReply(sent, reply)))
            }
            Content::InstallSnapshotReply(sent, reply) => {
                (core.handle_install_snapshot_reply(from, &sent, reply), None)
            }
        };
        self.carry_out(to, effects);
        if let Some(content) = reply {
            self.send(to, from, content);
        }
    }

    /// Carries out a server's effects and checks the properties.
    fn carry_out(&mut self, server: ServerId, effects: Effects) {
        let core = &self.cores[server.0];
        self.storages[server.0].save(&effects.persist, core);
        assert_eq!(
            open(&self.persisters[server.0]).1,
            persistent_state(core),
            "{server} acts on state that it has not saved"
        );
        self.properties.check(server, &self.cores).unwrap_or_else(|broken| panic!("{broken}"));

        self.settle_reads(server);
        for (peer, args) in effects.request_votes {
            self.send(server, peer, Content::RequestVote(args));
        }
        if effects.send_heartbeats {
            self.heartbeat(server);
        }
        for peer in effects.confirm_leadership_with.iter() {
            if let Some((args, sent)) = self.cores[server.0].heartbeat(peer) {
                self.send(server, peer, Content::AppendEntries(args, sent));
            }
        }
        for peer in effects.replicate_to.iter() {
            if let Some((args, sent)) = self.cores[server.0].append_entries(peer) {
                self.last_sent.insert((server, peer), sent);
                self.send(server, peer, Content::AppendEntries(args, sent));
            }
            if let Some((args, sent)) = self.cores[server.0].install_snapshot(peer) {
                self.last_sent.insert((server, peer), sent);
                self.send(server, peer, Content::InstallSnapshot(args, sent));
            }
        }
    }

    /// Settles the reads of `server`.
    fn settle_reads(&mut self, server: ServerId) {
        let core = &self.cores[server.0];
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

    fn send(&mut self, from: ServerId, to: ServerId, content: Content) {
        self.in_flight.push(Message { from, to, content });
    }
}

impl Content {
    pub(crate) fn is_request(&self) -> bool {
        matches!(self, Content::RequestVote(_) | Content::AppendEntries(..) | Content::InstallSnapshot(..))
    }
}

fn open(persister: &Arc<Persister>) -> (Storage, Saved) {
    Storage::open(Arc::clone(persister)).unwrap_or_else(|damaged| panic!("{damaged}"))
}

fn persistent_state(core: &Core) -> Saved {
    let hard_state = HardState { term: core.current_term(), voted_for: core.voted_for() };
    Saved { hard_state, log: core.log().clone(), snapshot: core.snapshot().clone() }
}
