//! One Raft server's protocol state, and the rules for all servers (paper, Figure 2 "State" and "Rules for Servers:
//! All Servers"; section 5.1).
//!
//! The core is given what happened (an election timer ran out, a request or a reply came, a client proposed a command)
//! and returns what must be done about it, as [`Effects`]. It does nothing itself: no thread, lock, clock, disk or
//! network is known here, and the same events always give the same effects. The other rules are one file a concern:
//! `election.rs` (5.2, 5.4.1), `replication.rs` (5.3, 5.4.2), `snapshot.rs` (7) and `reads.rs` (8).
//!
//! # How to drive it
//!
//! Keep the core under one lock. For each event, take the lock, call the one function that is named after the event,
//! carry out the [`Effects`] in the order of their fields, and only then answer or unlock what others wait for. Above
//! all [`Effects::persist`] comes first: term, vote and log are promises, and a promise must be saved before anybody
//! can see it. RPCs are sent after the lock is released.
//!
//! # Why the timers are outside
//!
//! The protocol's safety does not depend on time, only its liveness does (5.6). What Raft asks of a timer is that it be
//! random and be restarted at the right moments; so the core says *when* it is to be restarted
//! ([`Effects::reset_election_timer`]) and never for how long. A test then decides which timer runs out next, and a
//! simulation draws the timeouts from its own seed.

mod effects;
mod election;
mod log;
mod message;
mod peers;
mod progress;
mod reads;
mod replication;
mod server_set;
mod snapshot;

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use raftapi::{ApplyMsg, Index, ServerId, Term};

pub use self::effects::{Effects, HardState, LogChange, NewSnapshot, Persist};
pub use self::log::{Entry, Log};
pub use self::message::{
    AppendEntriesArgs, AppendEntriesReply, InstallSnapshotArgs, InstallSnapshotReply, RequestVoteArgs, RequestVoteReply,
};
use self::peers::Peers;
pub use self::progress::{Probe, Progress, ProgressState, SentRequest};
pub use self::reads::{Read, ReadOutcome};
pub use self::replication::MAX_BATCH_BYTES;
pub use self::server_set::ServerSet;

/// One server's Raft, as Figure 2 describes it.
///
/// Invariants: `last_applied <= commit_index` and `log.base_index() <= commit_index <= log.last_index()`; a candidate and a leader have voted for themselves;
/// no entry of the log has a term above `current_term`.
#[derive(Clone, Debug, Hash)]
pub struct Core {
    /// Which of the servers this is.
    me: ServerId,
    /// How many servers there are, this one included.
    servers: usize,

    // Persistent state on all servers: saved before anyone is answered.
    /// Latest term this server has seen.
    current_term: Term,
    /// Candidate that received this server's vote in the current term.
    voted_for: Option<ServerId>,
    /// The log; the first entry has index 1.
    log: Log,
    /// The state machine's state up to the log's base, as the service encoded it; empty if there is none (section 7).
    snapshot: Bytes,

    // Volatile state on all servers.
    /// Highest log entry known to be committed.
    commit_index: Index,
    /// Highest log entry handed out to be applied to the state machine.
    last_applied: Index,

    /// What this server is at the moment, with the state that only such a server has.
    role: Role,
}

/// A server's role, with the state that exists only in that role (5.1, Figure 4). A follower has no `next_index`.
#[derive(Clone, Debug, Hash)]
enum Role {
    /// Answers requests from candidates and leaders, and waits for its election timer.
    Follower {
        /// The leader of the current term, once it has been heard from.
        leader: Option<ServerId>,
    },
    /// Has asked for votes.
    Candidate {
        /// The servers that have granted theirs in this term, this one among them.
        votes: BTreeSet<ServerId>,
    },
    /// Takes commands and replicates them.
    Leader {
        /// What is known of each other server; Figure 2's "volatile state on leaders".
        peers: Peers,
        /// The reads that clients have begun.
        reads: reads::Reads,
    },
}

/// The name of a role, for whoever looks at a server from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleName {
    /// Follows the leader of its term, if it knows one.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Leads its term.
    Leader,
}

/// Where a server stands: its term, its role, and the leader it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SoftState {
    /// The server's current term.
    pub term: Term,
    /// Its role in that term.
    pub role: RoleName,
    /// The leader of that term, as far as the server knows; a leader names itself.
    pub leader: Option<ServerId>,
}

/// What a server finds saved when it starts; nothing of all this if it has never run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// The term and the vote.
    pub hard_state: HardState,
    /// The log, and what index it begins after.
    pub log: Log,
    /// The snapshot that covers the log up to its base; empty if there is none.
    pub snapshot: Bytes,
}

impl Core {
    /// Server `me` of a cluster of `servers`, starting for the first time.
    ///
    /// # Panics
    ///
    /// If `me` is not one of the `servers`, or if those are more than [`ServerSet::MAX`].
    pub fn new(me: ServerId, servers: usize) -> Core {
        Core::restore(me, servers, Saved::default())
    }

    /// Server `me` of a cluster of `servers`, starting again with what it had saved. It starts as a follower, and finds
    /// out from a leader what is committed (Figure 2, "volatile state"); but what a snapshot covers is known to be, and
    /// the service has it: the first entry that it is given is the one after the log's base.
    ///
    /// # Panics
    ///
    /// If `me` is not one of the `servers`, if those are more than [`ServerSet::MAX`], or if the log has an entry of a term above the saved one: such a state was
    /// never saved by this code, and a server that does not know what it promised must not take part.
    pub fn restore(me: ServerId, servers: usize, saved: Saved) -> Core {
        let Saved { hard_state: HardState { term, voted_for }, log, snapshot } = saved;
        assert!(me.0 < servers, "server {me} is not one of {servers} servers");
        assert!(servers <= ServerSet::MAX, "a cluster has {} servers at most, and not {servers}", ServerSet::MAX);
        assert!(log.last_term() <= term, "the log ends in term {}, after term {term}", log.last_term());
        let base = log.base_index();
        Core {
            me,
            servers,
            current_term: term,
            voted_for,
            log,
            snapshot,
            commit_index: base,
            last_applied: base,
            role: Role::Follower { leader: None },
        }
    }

    /// The service has kept its state itself, and has applied everything up to `index` already: the first entry that it
    /// is given is the one after that. To be said before anything happens to a server that starts again.
    ///
    /// # Panics
    ///
    /// If the log does not reach from `index`: what was applied is committed, and what is committed was saved.
    pub fn set_applied(&mut self, index: Index) {
        let (base, last) = (self.log.base_index(), self.log.last_index());
        assert!(
            base <= index && index <= last,
            "{index} was applied, but the log has what is after {base}, up to {last}"
        );
        // Only what is committed is ever applied.
        (self.commit_index, self.last_applied) = (index, index);
    }

    /// "If commitIndex > lastApplied: increment lastApplied, apply log\[lastApplied\] to state machine" (Figure 2,
    /// Rules for All Servers; 5.3): everything that is committed and was not handed out before, in log order. Where a
    /// leader's snapshot has taken the place of entries, the snapshot comes first (Figure 13, rule 8). Empty if there is
    /// nothing. Deliver it after the lock is released: the service may be slow, or may call back; and deliver all of it
    /// before what the next call gives, for what was handed out counts as applied.
    pub fn take_committed(&mut self) -> Vec<ApplyMsg> {
        self.take_committed_up_to(self.commit_index)
    }

    /// As [`take_committed`](Core::take_committed), but nothing beyond `limit`, which may be what is saved so far. A
    /// snapshot that goes beyond it stays where it is, with all that follows.
    pub fn take_committed_up_to(&mut self, limit: Index) -> Vec<ApplyMsg> {
        let last = self.commit_index.min(limit);
        if last < self.log.base_index() {
            return Vec::new();
        }
        let (base_index, base_term) = (self.log.base_index(), self.log.base_term());
        // A snapshot of the service's own never covers what was not handed out.
        let installed = (self.last_applied < base_index).then(|| ApplyMsg::Snapshot {
            index: base_index,
            term: base_term,
            snapshot: self.snapshot.clone(),
        });
        let first = self.last_applied.max(base_index).next();
        let committed = self.log.entries(first, last);
        self.last_applied = self.last_applied.max(last);
        let entries = (first.0..).zip(committed).map(|(index, entry)| ApplyMsg::Command {
            index: Index(index),
            term: entry.term,
            command: entry.command.clone(),
        });
        installed.into_iter().chain(entries).collect()
    }

    /// "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to follower" (Figure 2,
    /// Rules for All Servers; 5.1). The vote belonged to the old term; in the new one this server has not voted.
    fn adopt_higher_term(&mut self, term: Term, effects: &mut Effects) {
        if term > self.current_term {
            self.current_term = term;
            self.voted_for = None;
            self.save_hard_state(effects);
            self.become_follower(None, effects);
        }
    }

    /// Follows `leader`, or nobody yet.
    fn become_follower(&mut self, leader: Option<ServerId>, effects: &mut Effects) {
        // A leader runs no election timer, so one that steps down has to start it: this is the timer's beginning and
        // not a restart. A candidate's or a follower's is already running and is left alone (5.2).
        if let Role::Leader { reads, .. } = &self.role {
            effects.reset_election_timer = true;
            effects.reads_settled |= reads.any_waiting();
        }
        self.role = Role::Follower { leader };
        self.announce_soft_state(effects);
    }

    /// Says that term and vote have to be saved, as they are now.
    fn save_hard_state(&self, effects: &mut Effects) {
        effects.persist.hard_state = Some(self.hard_state());
    }

    /// Tells whoever watches this server where it stands now.
    fn announce_soft_state(&self, effects: &mut Effects) {
        effects.soft_state = Some(self.soft_state());
    }

    /// Moves the commit index forward, and has what is committed applied.
    fn commit_up_to(&mut self, index: Index, effects: &mut Effects) {
        debug_assert!(self.commit_index < index && index <= self.log.last_index());
        self.commit_index = index;
        effects.commit_advanced = Some(index);
    }

    /// Whether this server leads its term.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    /// Which server this is.
    pub fn me(&self) -> ServerId {
        self.me
    }

    /// The latest term this server has seen.
    pub fn current_term(&self) -> Term {
        self.current_term
    }

    /// The candidate that has this server's vote in the current term.
    pub fn voted_for(&self) -> Option<ServerId> {
        self.voted_for
    }

    /// The term and the vote.
    pub fn hard_state(&self) -> HardState {
        HardState { term: self.current_term, voted_for: self.voted_for }
    }

    /// The highest index known to be committed.
    pub fn commit_index(&self) -> Index {
        self.commit_index
    }

    /// The highest index that [`take_committed`](Core::take_committed) has handed out.
    pub fn last_applied(&self) -> Index {
        self.last_applied
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The snapshot that covers the log up to its base; empty if there is none.
    pub fn snapshot(&self) -> &Bytes {
        &self.snapshot
    }

    /// Term, role and leader.
    pub fn soft_state(&self) -> SoftState {
        let (role, leader) = match &self.role {
            Role::Follower { leader } => (RoleName::Follower, *leader),
            Role::Candidate { .. } => (RoleName::Candidate, None),
            Role::Leader { .. } => (RoleName::Leader, Some(self.me)),
        };
        SoftState { term: self.current_term, role, leader }
    }

    /// What this leader knows of `peer`; `None` if this server does not lead, or if `peer` is no other server.
    pub fn progress(&self, peer: ServerId) -> Option<&Progress> {
        match &self.role {
            Role::Leader { peers, .. } => peers.get(peer),
            Role::Follower { .. } | Role::Candidate { .. } => None,
        }
    }

    /// The other servers.
    pub fn peers(&self) -> impl Iterator<Item = ServerId> + use<> {
        let me = self.me;
        (0..self.servers).map(ServerId).filter(move |&server| server != me)
    }

    /// The smallest number of servers of which any two sets have one in common.
    fn majority(&self) -> usize {
        self.servers / 2 + 1
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RoleName::Follower => "follower",
            RoleName::Candidate => "candidate",
            RoleName::Leader => "leader",
        })
    }
}
