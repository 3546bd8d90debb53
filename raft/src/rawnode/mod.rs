//! One Raft server without threads, driven by messages, like `RawNode` in etcd and TinyKV. It has the same protocol
//! [`Core`] as the lab's server, in another shell. The lab's server has one thread for each thing that may block, and
//! calls its peers. A `RawNode` has no thread, clock, network or disk, and never blocks. Its owner has all of these, in
//! one loop:
//!
//! ```no_run
//! # use raft::rawnode::{Config, Message, RawNode, Ready};
//! # use raftapi::ServerId;
//! # struct Owner;
//! # impl Owner {
//! #     fn receive(&mut self) -> (bool, Vec<Message>, Vec<bytes::Bytes>) { (false, Vec::new(), Vec::new()) }
//! #     fn draw(&mut self) -> u32 { 30 }
//! #     fn save(&mut self, _: &Ready) {}
//! #     fn send(&mut self, _: Message) {}
//! #     fn apply(&mut self, _: raft::rawnode::Committed) {}
//! # }
//! # let mut owner = Owner;
//! let mut node = RawNode::new(Config::new(ServerId(0), 3)).expect("the saved state is complete");
//! loop {
//!     let (tick, messages, commands) = owner.receive(); // everything available, or what arrives within one tick
//!     if tick {
//!         node.tick(|| owner.draw());
//!     }
//!     for message in messages {
//!         let _ = node.step(message); // an invalid message is refused and changes nothing
//!     }
//!     let _ = node.propose_many(commands); // refused if this node does not lead: tell the clients
//!     if node.has_ready() {
//!         let ready = node.ready();
//!         owner.save(&ready); // all of it, with one sync, before anything is sent
//!         ready.messages.into_iter().for_each(|message| owner.send(message));
//!         ready.committed.into_iter().for_each(|entry| owner.apply(entry));
//!         node.advance();
//!     }
//! }
//! ```
//!
//! `ready.rs` explains the parts of a [`Ready`], and why all of them may wait until the next one. `message.rs` explains
//! why a message may be lost, arrive twice or arrive late. `snapshots.rs` explains how a follower gets a snapshot that
//! no node holds in memory. `reads.rs` handles reads without the log.
//!
//! # Time
//!
//! The only clock is [`tick`](RawNode::tick). Election timeouts must be random (5.2), and the owner provides the
//! randomness: `tick` receives a function that draws a timeout, and calls it when a new timeout begins. So the node
//! keeps no generator and no closure. It can be copied, compared and hashed, a test can start an election itself
//! ([`campaign`](RawNode::campaign)), and a model checker can explore it unchanged.

mod check;
mod config;
mod leader;
mod message;
mod reads;
mod ready;
mod snapshots;

use bytes::Bytes;
use raftapi::{Index, ServerId, Started, Status};

pub use self::config::{BadMessage, BadState, Config, NotLeader, ReadRefused};
pub use self::message::{Body, Message, RequestId};
pub use self::reads::ReadState;
pub use self::ready::{Committed, NewEntries, Ready, Snapshot};
pub use self::snapshots::{SnapshotTask, TransferOutcome};
use crate::core::{AppendEntriesArgs, Core, Effects, LostEntry, Read, RoleName, Saved, SoftState};
use crate::status;

/// A Raft server that receives events and returns the work to do.
///
/// Invariant: every effect that the core has ordered is either in the last [`Ready`] or kept here for the next one.
#[derive(Clone, Debug, Hash)]
pub struct RawNode {
    core: Core,
    heartbeat_ticks: u32,
    reply_timeout_ticks: u32,

    /// The number of ticks until an election; `None` before the first tick after the timer was restarted. Unused on a
    /// leader.
    election_due_in: Option<u32>,
    /// Ticks since a candidate last requested votes.
    ticks_since_vote_requests: u32,
    /// A leader's timers, one for each server.
    peer_ticks: Vec<leader::PeerTicks>,

    /// The term, role and leader that the owner was last told.
    reported: SoftState,
    saving: ready::SaveProgress,
    pending_ready: Option<ready::PendingReady>,
    messages: Vec<Message>,
    reads_waiting: Vec<(u64, Read)>,
    reads_done: Vec<ReadState>,
    lost_entries: Vec<LostEntry>,
}

impl RawNode {
    /// Creates a node from its saved state. It starts as a follower, and knows only the applied entries to be
    /// committed. The first [`Ready`] contains nothing of the [`Config`].
    ///
    /// # Errors
    ///
    /// If no node can have saved this state.
    pub fn new(config: Config) -> Result<RawNode, BadState> {
        config.check()?;
        let Config { me, servers, hard_state, log, applied, catch_up_to, heartbeat_ticks, reply_timeout_ticks } =
            config;
        let mut core = Core::restore(me, servers, Saved { hard_state, log, snapshot: Bytes::new() });
        core.set_applied(applied);
        if let Some(index) = catch_up_to {
            core.set_catch_up(index);
        }
        Ok(RawNode {
            reported: core.soft_state(),
            saving: ready::SaveProgress::all_saved(&core),
            core,
            heartbeat_ticks,
            reply_timeout_ticks,
            election_due_in: None,
            ticks_since_vote_requests: 0,
            peer_ticks: vec![leader::PeerTicks::default(); servers],
            pending_ready: None,
            messages: Vec::new(),
            reads_waiting: Vec::new(),
            reads_done: Vec::new(),
            lost_entries: Vec::new(),
        })
    }

    /// Handles one tick. A leader's heartbeats may become due; otherwise the election timer may fire. When the timer
    /// restarts, `draw` returns its duration in ticks, at least 1. Draw it at random from a wide range that begins well
    /// above the heartbeat interval (5.2, 9.3), such as 30 to 60 with heartbeats every 10.
    pub fn tick(&mut self, draw: impl FnOnce() -> u32) {
        match self.core.soft_state().role {
            RoleName::Leader => return self.leader_tick(),
            RoleName::Candidate => self.candidate_tick(),
            RoleName::Follower => {}
        }
        let left = self.election_due_in.unwrap_or_else(draw).saturating_sub(1);
        self.election_due_in = Some(left);
        if left == 0 {
            self.campaign();
        }
    }

    /// Starts an election now, as if the timer had fired (5.2). Does nothing on a leader.
    pub fn campaign(&mut self) {
        let effects = self.core.election_timeout();
        self.collect(effects);
    }

    /// Proposes a command if this node leads. Returns the index that the command will have if it is committed, and the
    /// term in which it was accepted (5.3).
    ///
    /// # Errors
    ///
    /// If it does not lead.
    pub fn propose(&mut self, command: Bytes) -> Result<Started, NotLeader> {
        self.propose_many([command])
    }

    /// Like [`propose`](RawNode::propose), for several commands at consecutive indexes. Returns the index of the first
    /// one. They are saved together and sent together.
    ///
    /// # Errors
    ///
    /// If the node does not lead. Then it accepts none of them.
    pub fn propose_many(&mut self, commands: impl IntoIterator<Item = Bytes>) -> Result<Started, NotLeader> {
        let leader = self.core.soft_state().leader;
        let (started, effects) = self.core.propose_many(commands).ok_or(NotLeader { leader })?;
        self.collect(effects);
        Ok(started)
    }

    /// Handles a message that has arrived.
    ///
    /// # Errors
    ///
    /// If no correct node of this cluster can have sent it to this one. Then nothing has changed.
    pub fn step(&mut self, message: Message) -> Result<(), BadMessage> {
        self.check(&message)?;
        let Message { from, body, .. } = message;
        match body {
            Body::RequestVote(args) => {
                let request_term = args.term;
                let (reply, effects) = self.core.handle_request_vote(args);
                self.collect(effects);
                self.send(from, Body::RequestVoteReply { request_term, reply });
            }
            Body::RequestVoteReply { request_term, reply } => {
                let effects = self.core.handle_request_vote_reply(from, request_term, reply);
                self.collect(effects);
            }
            Body::AppendEntries { args, request_id } => self.receive_entries(from, args, request_id),
            Body::AppendEntriesReply { sent, reply } => {
                let effects = self.core.handle_append_entries_reply(from, &sent, reply);
                self.collect(effects);
                self.on_reply_from(from);
            }
            Body::InstallSnapshot { args, request_id } => self.receive_snapshot(from, args, request_id),
            Body::InstallSnapshotReply { sent, reply, committed } => {
                self.receive_snapshot_reply(from, sent, reply, committed);
            }
        }
        Ok(())
    }

    /// Handles the replacement of `peer`, which has lost its data, by a server without data. Call this when the
    /// replacement is saved, and before the answer to the new server. From then on, pass no message of the lost server
    /// to [`step`](RawNode::step).
    pub fn peer_replaced(&mut self, peer: ServerId) {
        let effects = self.core.peer_replaced(peer);
        self.collect(effects);
        self.peer_ticks[peer.0] = leader::PeerTicks { heartbeat_due: self.core.is_leader(), ..Default::default() };
    }

    /// Returns the index that this replaced server must store before it votes; `None` if it may vote. When it has
    /// become `None`, save this with the next [`Ready`], and pass `None` in the next [`Config`].
    pub fn catch_up_to(&self) -> Option<Index> {
        self.core.catch_up_to()
    }

    /// Returns a copy of the node's status, for observers.
    pub fn status(&self) -> Status {
        status::of(&self.core)
    }

    /// Returns the term, the role and the leader.
    pub fn soft_state(&self) -> SoftState {
        self.core.soft_state()
    }

    /// Returns the protocol's state, for observers. It may be ahead of the saved state.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Handles entries or a heartbeat from a leader.
    fn receive_entries(&mut self, leader: ServerId, args: AppendEntriesArgs, request_id: RequestId) {
        let sent = request_id.sent(args.term, args.prev_log_index, args.last_index());
        let (reply, effects) = self.core.handle_append_entries(args);
        self.collect(effects);
        self.send(leader, Body::AppendEntriesReply { sent, reply });
    }

    /// Collects the core's effects for the next [`Ready`]. Which entries to send and which are committed is determined
    /// only then.
    fn collect(&mut self, effects: Effects) {
        self.saving.record_change(&effects.persist, &self.core);
        if effects.reset_election_timer {
            self.election_due_in = None;
        }
        if !effects.request_votes.is_empty() {
            self.ticks_since_vote_requests = 0;
        }
        for (peer, args) in effects.request_votes {
            self.send(peer, Body::RequestVote(args));
        }
        if effects.soft_state.is_some() {
            self.peer_ticks.fill(leader::PeerTicks { heartbeat_due: effects.send_heartbeats, ..Default::default() });
        }
        for peer in effects.confirm_leadership_with.iter() {
            self.peer_ticks[peer.0].heartbeat_due = true;
        }
        self.lost_entries.extend(effects.lost_entry);
        if effects.reads_settled {
            self.settle_reads();
        }
    }
}
