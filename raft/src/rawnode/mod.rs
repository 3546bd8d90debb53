//! One Raft server without threads, driven by messages, in the manner of etcd's and TinyKV's `RawNode`: the same protocol
//! [`Core`] as the lab's server, in another shell. The lab's has a thread for each thing that may wait, and calls its peers;
//! this one has no thread, no clock, no network and no disk, and waits for nothing. Its owner has all of these, in one loop:
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
//! let mut node = RawNode::new(Config::new(ServerId(0), 3)).expect("what was saved is whole");
//! loop {
//!     let (tick, messages, commands) = owner.receive(); // all there is, or what comes within a tick
//!     if tick {
//!         node.tick(|| owner.draw());
//!     }
//!     for message in messages {
//!         let _ = node.step(message); // one that no node sends is refused, and changes nothing
//!     }
//!     let _ = node.propose_many(commands); // refused if this node does not lead: say so to the clients
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
//! What the parts of a [`Ready`] are, and why all of them may wait until the next one, is in `ready.rs`; what travels, and
//! why a message may be lost, come twice or come late, in `message.rs`; how a follower gets a snapshot that nobody has in
//! memory, in `snapshots.rs`; reads without the log, in `reads.rs`.
//!
//! # Time
//!
//! The only clock is [`tick`](RawNode::tick). Election timeouts have to be random (5.2), and randomness is the owner's: `tick`
//! is given a function that draws a timeout, and calls it when it begins a new one. So the node keeps no generator and no
//! closure: it can be copied, compared and hashed, a test decides which timer runs out next
//! ([`campaign`](RawNode::campaign)), and a model checker explores it as it is.

mod config;
mod leader;
mod message;
mod reads;
mod ready;
mod snapshots;

use bytes::Bytes;
use raftapi::{ServerId, Started, Status};

pub use self::config::{BadMessage, BadState, Config, NotLeader, ReadRefused};
pub use self::message::{Body, Message, RequestId};
pub use self::reads::ReadState;
pub use self::ready::{Committed, NewEntries, Ready, Snapshot};
pub use self::snapshots::{SnapshotTask, TransferOutcome};
use crate::core::{AppendEntriesArgs, Core, Effects, Read, RoleName, Saved, SentRequest, SoftState};
use crate::status;

/// A Raft server that is reported what happens and says what is to be done.
///
/// Invariant: what the core wants done is either in the last [`Ready`] or saving here for the next one.
#[derive(Clone, Debug, Hash)]
pub struct RawNode {
    core: Core,
    heartbeat_ticks: u32,
    reply_timeout_ticks: u32,

    /// How many ticks are left until an election, and `None` before the first tick after the timer was restarted. Means
    /// nothing on a leader.
    election_due_in: Option<u32>,
    /// Ticks since a candidate last asked for votes.
    ticks_since_vote_requests: u32,
    /// A leader's timers, one for each server.
    peer_ticks: Vec<leader::PeerTicks>,

    /// Where the owner was last reported that this node stands.
    reported: SoftState,
    saving: ready::SaveProgress,
    pending_ready: Option<ready::PendingReady>,
    messages: Vec<Message>,
    reads_waiting: Vec<(u64, Read)>,
    reads_done: Vec<ReadState>,
}

impl RawNode {
    /// A node that begins with what it had saved: as a follower, with nothing known to be committed but what was applied.
    /// Nothing of the [`Config`] is in the first [`Ready`].
    ///
    /// # Errors
    ///
    /// If a node can never have saved this.
    pub fn new(config: Config) -> Result<RawNode, BadState> {
        config.check()?;
        let Config { me, servers, hard_state, log, applied, heartbeat_ticks, reply_timeout_ticks } = config;
        let mut core = Core::restore(me, servers, Saved { hard_state, log, snapshot: Bytes::new() });
        core.set_applied(applied);
        Ok(RawNode {
            reported: core.soft_state(),
            saving: ready::SaveProgress::all_of(&core),
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
        })
    }

    /// A moment has passed. A leader's heartbeats may be due; else the election timer may run out. `draw` says for how many
    /// ticks, at least 1, that timer is to run, and is asked when it begins anew: draw it at random, from a range that
    /// begins well above the interval of heartbeats and is wide (5.2, 9.3), such as 30 to 60 with heartbeats every 10.
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

    /// Starts an election now, as if the timer had run out (5.2). A leader has no need of one.
    pub fn campaign(&mut self) {
        let effects = self.core.election_timeout();
        self.collect(effects);
    }

    /// Takes a command, if this node leads; says which index it will have if it is ever committed, and the term it was
    /// taken in (5.3).
    ///
    /// # Errors
    ///
    /// If it does not lead.
    pub fn propose(&mut self, command: Bytes) -> Result<Started, NotLeader> {
        self.propose_many([command])
    }

    /// As [`propose`](RawNode::propose), with several commands that take places one behind the other; says which index the
    /// first of them will have. They are saved together and sent together.
    ///
    /// # Errors
    ///
    /// If the node does not lead: none of them is taken.
    pub fn propose_many(&mut self, commands: impl IntoIterator<Item = Bytes>) -> Result<Started, NotLeader> {
        let leader = self.core.soft_state().leader;
        let (started, effects) = self.core.propose_many(commands).ok_or(NotLeader { leader })?;
        self.collect(effects);
        Ok(started)
    }

    /// A message has come.
    ///
    /// # Errors
    ///
    /// If no node of this cluster has sent it to this one. Then nothing has changed.
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

    /// How the node stands, for whoever looks at it: a copy.
    pub fn status(&self) -> Status {
        status::of(&self.core)
    }

    /// Term, role and leader.
    pub fn soft_state(&self) -> SoftState {
        self.core.soft_state()
    }

    /// The protocol's state, to look at: it may be ahead of what is saved.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// A leader sends entries, or a heartbeat.
    fn receive_entries(&mut self, leader: ServerId, args: AppendEntriesArgs, request_id: RequestId) {
        let sent = request_id.sent(args.term, args.prev_log_index, args.last_index());
        let (reply, effects) = self.core.handle_append_entries(args);
        self.collect(effects);
        self.send(leader, Body::AppendEntriesReply { sent, reply });
    }

    /// Notes what the core orders, for the next [`Ready`]. Whom to send entries, and what is committed, is looked up then.
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
        if effects.reads_settled {
            self.settle_reads();
        }
    }

    /// Whether `message` is one that a node of this cluster may have sent to this one.
    fn check(&self, message: &Message) -> Result<(), BadMessage> {
        let Message { from, to, body } = message;
        let me = self.core.me();
        let bad = |what: String| Err(BadMessage(format!("message from {from} to {to} refused by {me}: {what}")));
        if *to != me || *from == me || from.0 >= self.peer_ticks.len() {
            let servers = self.peer_ticks.len();
            return bad(format!("it is for this one of {servers} servers, from another of them; check the addresses"));
        }
        let named = match body {
            Body::RequestVote(args) => args.candidate_id,
            Body::AppendEntries { args, .. } => args.leader_id,
            Body::InstallSnapshot { args, .. } => args.leader_id,
            Body::RequestVoteReply { .. } | Body::AppendEntriesReply { .. } | Body::InstallSnapshotReply { .. } => {
                *from
            }
        };
        if named != *from {
            return bad(format!("it names {named} as its sender; check the addresses"));
        }
        match body {
            Body::AppendEntriesReply { sent, .. } | Body::InstallSnapshotReply { sent, .. }
                if self.cannot_have_sent(sent) =>
            {
                bad("it answers what was never sent; does its sender belong to another cluster?".to_string())
            }
            _ => Ok(()),
        }
    }

    /// Whether this leader cannot have sent this: it has no such entries.
    fn cannot_have_sent(&self, sent: &SentRequest) -> bool {
        let of_this_leader = self.core.is_leader() && sent.term == self.core.current_term();
        of_this_leader && sent.last_index.max(sent.prev_log_index) > self.core.log().last_index()
    }
}
