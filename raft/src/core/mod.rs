//! The protocol state of one Raft server, and the rules for all servers (paper, Figure 2 "State" and "Rules for
//! Servers: All Servers"; section 5.1).
//!
//! The core receives an event: an election timer fired, a request or a reply arrived, or a client proposed a command.
//! It returns the work that must be done, as [`Effects`]. It does nothing itself: it knows no thread, lock, clock, disk
//! or network, and the same events always produce the same effects. The other rules have one file for each topic:
//! `election.rs` (5.2, 5.4.1), `replication.rs` (5.3, 5.4.2), `snapshot.rs` (7) and `reads.rs` (8).
//!
//! # State
//!
//! Figure 2 lists a server's state in three groups. They are here under the same names:
//!
//! - Persistent state on all servers: `current_term`, `voted_for`, `log`; and with section 7, `snapshot`. The code
//!   around the core saves it before any reply leaves the server.
//! - Volatile state on all servers: `commit_index`, `last_applied`.
//! - State that belongs to a role is inside the role. A follower has its `leader`, and a candidate has its `votes`. A
//!   leader has `next_index` and `match_index` for each peer ([`Progress`]), and the reads that wait for confirmation.
//!
//! # How to drive it
//!
//! Keep the core under one lock. For each event:
//!
//! 1. Take the lock and call the function that is named after the event.
//! 2. Carry out the [`Effects`] in the order of their fields. [`Effects::persist`] comes first: term, vote and log are
//!    promises, and a server must save a promise before anybody can see it.
//! 3. Release the lock, and then send the RPCs and the reply, and wake waiting clients.
//!
//! # Why the timers are outside
//!
//! Raft's safety does not depend on time; only its liveness does (5.6). Raft needs an election timer that is random and
//! that restarts at the right moments. So the core says *when* the timer restarts ([`Effects::reset_election_timer`]),
//! but never its duration. A test can then choose which timer fires next, and a simulation draws the timeouts from its
//! own seed.

mod effects;
mod election;
mod log;
mod message;
mod peers;
mod progress;
mod reads;
mod replacement;
mod replication;
mod server_set;
mod snapshot;

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use raftapi::{ApplyMsg, Index, ServerId, Term};

pub use self::effects::{Effects, HardState, LogChange, LostEntry, NewSnapshot, Persist};
pub use self::log::{Entry, Log};
pub use self::message::{
    AppendEntriesArgs, AppendEntriesReply, InstallSnapshotArgs, InstallSnapshotReply, RequestVoteArgs, RequestVoteReply,
};
use self::peers::Peers;
pub use self::progress::{Probe, Progress, ProgressState, SentRequest};
pub use self::reads::{Read, ReadOutcome};
pub use self::replication::MAX_BATCH_BYTES;
pub use self::server_set::ServerSet;

/// The Raft state of one server, as Figure 2 describes it.
///
/// Invariants: `last_applied <= commit_index` and `log.base_index() <= commit_index <= log.last_index()`; a candidate
/// and a leader have voted for themselves; no entry of the log has a term above `current_term`.
///
/// Three rules protect acknowledged writes, and release builds check them too: a committed entry is never removed,
/// entries are applied only after they are committed, and a vote is never taken back. A server that would break one of
/// them panics instead: it must not take part any longer.
#[derive(Clone, Debug, Hash)]
pub struct Core {
    /// The ID of this server.
    me: ServerId,
    /// The number of servers in the cluster, this one included.
    servers: usize,

    // Persistent state on all servers: saved before any reply leaves the server.
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

    /// The commit index that this server must store before it votes, if it has replaced a server that lost its data
    /// (`replacement.rs`).
    catch_up_to: Option<Index>,

    /// The present role of this server, with the state that only this role has.
    role: Role,
}

/// The role of a server, with the state that exists only in that role (5.1, Figure 4). A follower has no `next_index`.
#[derive(Clone, Debug, Hash)]
enum Role {
    /// Answers requests from candidates and leaders, and waits for its election timer.
    Follower {
        /// The leader of the current term, if this server has heard from it.
        leader: Option<ServerId>,
    },
    /// Has requested votes.
    Candidate {
        /// The servers that have granted their vote in this term, this one included.
        votes: BTreeSet<ServerId>,
    },
    /// Accepts commands and replicates them.
    Leader {
        /// The progress of each other server; Figure 2's "volatile state on leaders".
        peers: Peers,
        /// The reads that clients have begun.
        reads: reads::Reads,
    },
}

/// The name of a role, without its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleName {
    /// Follows the leader of its term, if it knows one.
    Follower,
    /// Requests votes.
    Candidate,
    /// Leads its term.
    Leader,
}

/// The observable state of a server that is not saved: its term, its role and the leader that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SoftState {
    /// The server's current term.
    pub term: Term,
    /// Its role in that term.
    pub role: RoleName,
    /// The leader of that term, if the server knows it. A leader names itself.
    pub leader: Option<ServerId>,
}

/// The state that a server finds saved when it starts. The default is the state of a server that has never run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// The term and the vote.
    pub hard_state: HardState,
    /// The log, with its base.
    pub log: Log,
    /// The snapshot that covers the log up to its base; empty if there is none.
    pub snapshot: Bytes,
}

impl Core {
    /// Creates server `me` of a cluster of `servers` that starts for the first time.
    ///
    /// # Panics
    ///
    /// If `me` is not one of the `servers`, or if there are more than [`ServerSet::MAX`].
    pub fn new(me: ServerId, servers: usize) -> Core {
        Core::restore(me, servers, Saved::default())
    }

    /// Creates server `me` of a cluster of `servers` that restarts with its saved state. It starts as a follower, and a
    /// leader tells it which entries are committed (Figure 2, "volatile state"). Entries that the snapshot covers are
    /// known to be committed, and the service already has their effects. So the first entry handed out is the one after
    /// the log's base.
    ///
    /// # Panics
    ///
    /// If `me` is not one of the `servers`, if there are more than [`ServerSet::MAX`], or if the log has an entry with
    /// a term above the saved one. This code never saves such a state, and a server that does not know its promises
    /// must not take part.
    pub fn restore(me: ServerId, servers: usize, saved: Saved) -> Core {
        let Saved { hard_state: HardState { term, voted_for }, log, snapshot } = saved;
        assert!(me.0 < servers, "server {me} is not one of {servers} servers");
        assert!(servers <= ServerSet::MAX, "a cluster has at most {} servers, not {servers}", ServerSet::MAX);
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
            catch_up_to: None,
            role: Role::Follower { leader: None },
        }
    }

    /// Declares that the service has kept its own state and has already applied everything up to `index`. The first
    /// entry handed out is then the one after `index`. Call this on a restarted server before its first event.
    ///
    /// # Panics
    ///
    /// If `index` is before the log's base or after its end. An applied entry is committed, and a committed entry was
    /// saved.
    pub fn set_applied(&mut self, index: Index) {
        let (base, last) = (self.log.base_index(), self.log.last_index());
        assert!(
            base <= index && index <= last,
            "index {index} was applied, but the log begins after index {base} and ends at index {last}"
        );
        // Only committed entries are ever applied.
        (self.commit_index, self.last_applied) = (index, index);
    }

    /// Returns all committed entries that were not handed out before, in log order: "If commitIndex > lastApplied:
    /// increment lastApplied, apply log\[lastApplied\] to state machine" (Figure 2, Rules for All Servers; 5.3). If a
    /// leader's snapshot has replaced entries, the snapshot comes first (Figure 13, rule 8). The result is empty if
    /// there is nothing to apply.
    ///
    /// Deliver the messages after the lock is released, because the service may be slow or may call back. Entries that
    /// were handed out count as applied, so deliver all of them before those of the next call.
    pub fn take_committed(&mut self) -> Vec<ApplyMsg> {
        self.take_committed_up_to(self.commit_index)
    }

    /// Like [`take_committed`](Core::take_committed), but returns nothing beyond `limit`, for example the last saved
    /// index. A snapshot that ends beyond `limit` is kept for a later call, with everything after it.
    pub fn take_committed_up_to(&mut self, limit: Index) -> Vec<ApplyMsg> {
        let last = self.commit_index.min(limit);
        assert!(
            self.last_applied <= self.commit_index,
            "{} has applied up to {}, after its commit index {}",
            self.me,
            self.last_applied,
            self.commit_index
        );
        if last < self.log.base_index() {
            return Vec::new();
        }
        let (base_index, base_term) = (self.log.base_index(), self.log.base_term());
        // A snapshot of this server's own service covers only entries that were handed out.
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
    /// Rules for All Servers; 5.1). The vote belongs to the old term; in the new term this server has not voted.
    fn adopt_higher_term(&mut self, term: Term, effects: &mut Effects) {
        if term > self.current_term {
            self.set_hard_state(HardState { term, voted_for: None }, effects);
            self.become_follower(None, effects);
        }
    }

    /// Becomes a follower of `leader`, or of no leader yet.
    fn become_follower(&mut self, leader: Option<ServerId>, effects: &mut Effects) {
        // A leader runs no election timer, so the timer starts when a leader steps down. The timer of a candidate or a
        // follower is already running and continues (5.2).
        if let Role::Leader { reads, .. } = &self.role {
            effects.reset_election_timer = true;
            effects.reads_settled |= reads.any_waiting();
        }
        self.role = Role::Follower { leader };
        self.announce_soft_state(effects);
    }

    /// Changes the term and the vote, and orders that they are saved.
    ///
    /// # Panics
    ///
    /// If the term would decrease, or a vote would be taken back: then one term could have two leaders.
    fn set_hard_state(&mut self, new: HardState, effects: &mut Effects) {
        let old = self.hard_state();
        assert!(
            old.term < new.term || old.term == new.term && (old.voted_for.is_none() || old.voted_for == new.voted_for),
            "{} would take back its vote: it had {old:?}, and now {new:?}",
            self.me
        );
        (self.current_term, self.voted_for) = (new.term, new.voted_for);
        effects.persist.hard_state = Some(new);
    }

    /// Reports the present term, role and leader.
    fn announce_soft_state(&self, effects: &mut Effects) {
        effects.soft_state = Some(self.soft_state());
    }

    /// Advances the commit index, so that the newly committed entries are applied.
    ///
    /// # Panics
    ///
    /// If the commit index would decrease, or pass the end of the log.
    fn commit_up_to(&mut self, index: Index, effects: &mut Effects) {
        let (committed, last) = (self.commit_index, self.log.last_index());
        assert!(
            committed < index && index <= last,
            "{} would commit up to {index}, but its commit index is {committed} and its log ends at {last}",
            self.me
        );
        self.commit_index = index;
        effects.commit_advanced = Some(index);
        self.note_caught_up();
    }

    /// Returns whether this server leads its term.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    /// Returns the ID of this server.
    pub fn me(&self) -> ServerId {
        self.me
    }

    /// Returns the latest term this server has seen.
    pub fn current_term(&self) -> Term {
        self.current_term
    }

    /// Returns the candidate that has this server's vote in the current term.
    pub fn voted_for(&self) -> Option<ServerId> {
        self.voted_for
    }

    /// Returns the term and the vote.
    pub fn hard_state(&self) -> HardState {
        HardState { term: self.current_term, voted_for: self.voted_for }
    }

    /// Returns the highest index known to be committed.
    pub fn commit_index(&self) -> Index {
        self.commit_index
    }

    /// Returns the highest index that [`take_committed`](Core::take_committed) has handed out.
    pub fn last_applied(&self) -> Index {
        self.last_applied
    }

    /// Returns the log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Returns the snapshot that covers the log up to its base; empty if there is none.
    pub fn snapshot(&self) -> &Bytes {
        &self.snapshot
    }

    /// Returns the term, the role and the leader.
    pub fn soft_state(&self) -> SoftState {
        let (role, leader) = match &self.role {
            Role::Follower { leader } => (RoleName::Follower, *leader),
            Role::Candidate { .. } => (RoleName::Candidate, None),
            Role::Leader { .. } => (RoleName::Leader, Some(self.me)),
        };
        SoftState { term: self.current_term, role, leader }
    }

    /// Returns this leader's view of `peer`; `None` if this server does not lead, or if `peer` is not another server of
    /// the cluster.
    pub fn progress(&self, peer: ServerId) -> Option<&Progress> {
        match &self.role {
            Role::Leader { peers, .. } => peers.get(peer),
            Role::Follower { .. } | Role::Candidate { .. } => None,
        }
    }

    /// Returns the other servers.
    pub fn peers(&self) -> impl Iterator<Item = ServerId> + use<> {
        let me = self.me;
        (0..self.servers).map(ServerId).filter(move |&server| server != me)
    }

    /// Returns the smallest number of servers such that any two sets of that size have a server in common.
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
