//! The state of a server: a `RawNode` of `raft-rs`, its storage, and undelivered messages. All methods run under the
//! server's lock.

use std::collections::VecDeque;

use bytes::Bytes;
use labstd::rng::{self, RngExt};
use labstd::sync::Arc;
use raft_rs::eraftpb::{Entry, EntryType, Message};
use raft_rs::{Config, RawNode, SnapshotStatus, StateRole};
use raftapi::{ApplyMsg, Index, Persister, ServerId, Started, Term};
use slog::{Discard, Logger, o};

use crate::Options;
use crate::messages::id_of;
use crate::storage::{Storage, context_of, lab_index_of};

/// Number of ticks between heartbeats: ten a second.
const HEARTBEAT_TICKS: usize = 10;
/// The shortest election timeout, in ticks: two late heartbeats must not cause an election.
const ELECTION_TICKS_MIN: usize = 30;
/// The upper bound of an election timeout, in ticks.
const ELECTION_TICKS_MAX: usize = 60;

pub(crate) struct Node {
    raw: RawNode<Storage>,
    persister: Arc<Persister>,
    undelivered: VecDeque<ApplyMsg>,
    rng: rng::Stream,
    killed: bool,
}

impl Node {
    /// Restores the server `me` of a cluster with this number of servers.
    ///
    /// # Panics
    ///
    /// If the saved state is damaged.
    pub(crate) fn restore(me: ServerId, servers: usize, persister: Arc<Persister>, options: Options) -> Node {
        let storage = Storage::restore(&persister, (0..servers).map(ServerId).map(id_of).collect());
        let config = Config {
            election_tick: ELECTION_TICKS_MIN,
            min_election_tick: ELECTION_TICKS_MIN,
            max_election_tick: ELECTION_TICKS_MAX,
            heartbeat_tick: HEARTBEAT_TICKS,
            // The service starts with the snapshot.
            applied: storage.base_index(),
            // All pending entries go into one message.
            max_size_per_msg: raft_rs::NO_LIMIT,
            batch_append: true,
            pre_vote: options.pre_vote,
            check_quorum: options.check_quorum,
            ..Config::new(id_of(me))
        };
        let raw = RawNode::new(&config, storage, &Logger::root(Discard, o!())).expect("the configuration is valid");
        let mut node =
            Node { raw, persister, undelivered: VecDeque::new(), rng: rng::local("election"), killed: false };
        node.draw_election_timeout();
        node
    }

    /// Counts one tick, which may start an election or send heartbeats.
    pub(crate) fn tick(&mut self) {
        self.raw.tick();
        self.draw_election_timeout();
    }

    /// Handles a message of another server.
    pub(crate) fn step(&mut self, message: Message) {
        self.raw.step(message).expect("a server accepts every message of another server");
        self.draw_election_timeout();
    }

    /// Handles the outcome of a request to another server.
    pub(crate) fn report_outcome(&mut self, to: u64, is_snapshot: bool, arrived: bool) {
        if !arrived {
            self.raw.report_unreachable(to);
        }
        if is_snapshot {
            self.raw.report_snapshot(to, if arrived { SnapshotStatus::Finish } else { SnapshotStatus::Failure });
        }
    }

    /// Replaces the election timeout by one from the run's randomness whenever it begins again. `raft-rs` draws from
    /// the OS, and a simulated run with such a timeout could not be repeated.
    fn draw_election_timeout(&mut self) {
        if self.raw.raft.election_elapsed == 0 {
            let timeout = self.rng.random_range(ELECTION_TICKS_MIN..ELECTION_TICKS_MAX);
            self.raw.raft.set_randomized_election_timeout(timeout);
        }
    }

    /// Appends a command, if this server leads. It is sent with the next tick.
    pub(crate) fn propose(&mut self, command: &Bytes) -> Option<Started> {
        if self.raw.raft.state != StateRole::Leader || self.killed {
            return None;
        }
        let index = self.raw.store().last_lab_index(self.raw.raft.raft_log.unstable_entries()).next();
        self.raw.propose(context_of(index), command.to_vec()).ok()?;
        Some(Started { index, term: Term(self.raw.raft.term) })
    }

    /// Replaces all entries up to this command by a snapshot of the service.
    pub(crate) fn compact(&mut self, index: Index, snapshot: Bytes) {
        if self.raw.mut_store().compact(index, snapshot) {
            self.save();
        }
    }

    /// Saves and applies everything that `raft-rs` asks for. Returns the messages to send.
    pub(crate) fn process_ready(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while self.raw.has_ready() {
            let mut ready = self.raw.ready();
            messages.extend(ready.take_messages());
            if !ready.snapshot().is_empty() {
                let message = self.raw.mut_store().install(ready.snapshot());
                self.undelivered.push_back(message);
            }
            self.apply(ready.take_committed_entries());
            self.raw.mut_store().append(ready.entries());
            if ready.must_sync() {
                self.save();
            }
            messages.extend(ready.take_persisted_messages());
            let mut rest = self.raw.advance(ready);
            messages.extend(rest.take_messages());
            self.apply(rest.take_committed_entries());
            self.raw.advance_apply();
        }
        messages
    }

    fn apply(&mut self, committed: Vec<Entry>) {
        for entry in committed {
            assert_eq!(entry.get_entry_type(), EntryType::EntryNormal, "the configuration never changes");
            if let Some(index) = lab_index_of(&entry) {
                self.undelivered.push_back(ApplyMsg::Command { index, term: Term(entry.term), command: entry.data });
            }
        }
    }

    fn save(&mut self) {
        let hard_state = self.raw.raft.hard_state();
        self.raw.mut_store().save(&self.persister, hard_state);
    }

    pub(crate) fn term_and_leadership(&self) -> (Term, bool) {
        (Term(self.raw.raft.term), self.raw.raft.state == StateRole::Leader)
    }

    pub(crate) fn has_undelivered(&self) -> bool {
        !self.undelivered.is_empty()
    }

    pub(crate) fn take_undelivered(&mut self) -> VecDeque<ApplyMsg> {
        std::mem::take(&mut self.undelivered)
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed
    }

    pub(crate) fn kill(&mut self) {
        self.killed = true;
    }
}
