//! Cores with their saved state, without threads or a network. A server here carries out the effects of its core as
//! the threads around a core do. The test decides which timer fires and which message arrives.

#![allow(dead_code, reason = "each test file uses only a part of this module")]

use std::borrow::Borrow;
use std::collections::BTreeMap;

use labstd::sync::Arc;
use raft::core::{
    AppendEntriesArgs, AppendEntriesReply, Core, Effects, HardState, InstallSnapshotArgs, InstallSnapshotReply,
    RequestVoteArgs, RequestVoteReply, Saved, SentRequest,
};
use raft::storage::Storage;
use raftapi::{Persister, ServerId, Term};

/// A core and its saved state.
pub(crate) struct Server {
    pub(crate) core: Core,
    storage: Storage,
    pub(crate) persister: Arc<Persister>,
    /// The last entries or snapshot that a leader sent to each peer.
    pub(crate) last_sent: BTreeMap<ServerId, SentRequest>,
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

impl Server {
    /// Creates the servers of a cluster that have never run.
    pub(crate) fn cluster(servers: usize) -> Vec<Server> {
        (0..servers).map(|me| Server::start(ServerId(me), servers, Persister::new())).collect()
    }

    /// Starts server `me` of a cluster of `servers` with its saved state.
    pub(crate) fn start(me: ServerId, servers: usize, persister: Persister) -> Server {
        let persister = Arc::new(persister);
        let (storage, saved) = open(&persister);
        Server { core: Core::restore(me, servers, saved), storage, persister, last_sent: BTreeMap::new() }
    }

    /// Crashes and restarts the server. Only its saved state remains.
    pub(crate) fn restart(&mut self) {
        *self = Server::start(self.core.me(), self.core.peers().count() + 1, self.persister.copy());
    }

    /// Saves the changes in `effects`. Returns the number of bytes written.
    pub(crate) fn save(&mut self, effects: &Effects) -> usize {
        self.storage.save(&effects.persist, &self.core)
    }

    /// Returns the saved state.
    pub(crate) fn saved(&self) -> Saved {
        open(&self.persister).1
    }

    /// Returns the state that must be saved.
    pub(crate) fn state(&self) -> Saved {
        let hard_state = HardState { term: self.core.current_term(), voted_for: self.core.voted_for() };
        Saved { hard_state, log: self.core.log().clone(), snapshot: self.core.snapshot().clone() }
    }

    pub(crate) fn assert_saved(&self) {
        assert_eq!(self.saved(), self.state(), "{} acts on state that it has not saved", self.core.me());
    }

    /// Handles a message. Returns its effects, and the reply to a request.
    pub(crate) fn handle(&mut self, Message { from, to, content }: Message) -> (Effects, Option<Message>) {
        let core = &mut self.core;
        let (effects, reply) = match content {
            Content::RequestVote(args) => {
                let (reply, effects) = core.handle_request_vote(args);
                (effects, Content::RequestVoteReply(args.term, reply))
            }
            Content::AppendEntries(args, sent) => {
                let (reply, effects) = core.handle_append_entries(args);
                (effects, Content::AppendEntriesReply(sent, reply))
            }
            Content::InstallSnapshot(args, sent) => {
                let (reply, effects) = core.handle_install_snapshot(args);
                (effects, Content::InstallSnapshotReply(sent, reply))
            }
            Content::RequestVoteReply(term, reply) => return (core.handle_request_vote_reply(from, term, reply), None),
            Content::AppendEntriesReply(sent, reply) => {
                return (core.handle_append_entries_reply(from, &sent, reply), None);
            }
            Content::InstallSnapshotReply(sent, reply) => {
                return (core.handle_install_snapshot_reply(from, &sent, reply), None);
            }
        };
        (effects, Some(Message { from: to, to: from, content: reply }))
    }

    /// Returns the messages that `effects` asks for, in the order of its fields.
    pub(crate) fn messages(&mut self, effects: &Effects) -> Vec<Message> {
        let request_votes = effects.request_votes.iter();
        let mut messages: Vec<Message> =
            request_votes.map(|&(peer, args)| self.message(peer, Content::RequestVote(args))).collect();
        if effects.send_heartbeats {
            messages.extend(self.core.peers().filter_map(|peer| self.heartbeat(peer)));
        }
        messages.extend(effects.confirm_leadership_with.iter().filter_map(|peer| self.heartbeat(peer)));
        for peer in effects.replicate_to.iter() {
            // A peer that needs only a commit notice waits for a heartbeat.
            if let Some((args, sent)) = self.core.append_entries(peer) {
                self.last_sent.insert(peer, sent);
                messages.push(self.message(peer, Content::AppendEntries(args, sent)));
            }
            if let Some((args, sent)) = self.core.install_snapshot(peer) {
                self.last_sent.insert(peer, sent);
                messages.push(self.message(peer, Content::InstallSnapshot(args, sent)));
            }
        }
        messages
    }

    /// Returns a heartbeat to `peer` if the server leads.
    pub(crate) fn heartbeat(&mut self, peer: ServerId) -> Option<Message> {
        let (args, sent) = self.core.heartbeat(peer)?;
        Some(self.message(peer, Content::AppendEntries(args, sent)))
    }

    fn message(&self, to: ServerId, content: Content) -> Message {
        Message { from: self.core.me(), to, content }
    }
}

impl Borrow<Core> for Server {
    fn borrow(&self) -> &Core {
        &self.core
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
