//! The loop: the one thread that owns the node and executes its requests.
//!
//! The loop takes all waiting events and hands them to the node. Then it processes the node's [`Ready`] in the order
//! that Raft's promises require: save, send, apply, reply. One pass saves once for all events that it took, so a higher
//! load makes each event cheaper. While one pass saves, events for the next one collect in the queue.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use raft::core::{HardState, LostEntry, RoleName, SoftState};
use raft::rawnode::{Committed, RawNode, Ready, Snapshot, TransferOutcome};
use raftapi::Index;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::cluster_view::{ClusterView, REPLACE};
use super::command::{Command, Write};
use super::compaction::Compaction;
use super::event::{Event, QUEUE_CAPACITY, ReceivedSnapshot};
use super::greeting::Envelope;
use super::peers::Peers;
use super::pending::PendingRequests;
use super::status::{FollowerStatus, NodeStatus, state_name};
use super::transfers::Transfers;
use crate::storage::{Storage, Tail};
use crate::wire::ClientReply;

/// The length of a tick. The leader sends a heartbeat every [`HEARTBEAT_TICKS`] ticks.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Ticks between heartbeats: 100 ms, well above the time of a message and a sync.
pub(super) const HEARTBEAT_TICKS: u32 = 10;

/// After this many ticks (500 ms) without a reply, the leader sends no entries again until the peer replies to
/// something.
pub(super) const ANSWER_TICKS: u32 = 50;

/// The range of the election timeout, in ticks (500 to 1,000 ms): several heartbeats, and time for a slow disk.
const ELECTION_TICKS: std::ops::Range<u32> = 50..100;

/// The state of the loop.
pub(super) struct Driver {
    pub(super) node: RawNode,
    pub(super) view: ClusterView,
    /// The time at which this server last greeted the others again (`joining.rs`).
    pub(super) last_greeting: Instant,
    pub(super) storage: Storage,
    pub(super) peers: Peers,
    pub(super) events: Receiver<Event>,
    pub(super) transfers: Transfers,
    pub(super) compaction: Compaction,
    pub(super) timeout_rng: ChaCha8Rng,
    /// The highest index that this server knows to be committed, for other threads.
    pub(super) committed: Arc<AtomicU64>,
    pub(super) pending: PendingRequests,
    /// A received snapshot that the node was given in this pass.
    pub(super) received_snapshot: Option<ReceivedSnapshot>,
}

impl Driver {
    /// Runs until the stop event.
    ///
    /// # Errors
    ///
    /// If state cannot be saved, if the saved state is not this program's, or if this server has lost data that it had
    /// acknowledged. The server cannot continue.
    pub(super) fn run(&mut self) -> Result<(), String> {
        // A cluster of one server is complete.
        self.try_to_take_part()?;
        let mut next_tick = Instant::now() + TICK;
        loop {
            if self.collect(next_tick)?.is_break() {
                return Ok(());
            }
            // One tick, however late it is. The missed time is this server's own delay and says nothing about the other
            // servers.
            if next_tick <= Instant::now() {
                let Driver { node, timeout_rng, view, .. } = self;
                if view.takes_part() {
                    node.tick(|| timeout_rng.random_range(ELECTION_TICKS));
                }
                self.greet_again();
                self.storage.check_present()?;
                next_tick = Instant::now() + TICK;
            }
            self.propose();
            self.confirm_reads();
            while self.node.has_ready() {
                self.process_ready()?;
            }
        }
    }

    /// Waits for an event until `deadline`, and handles all events that have arrived.
    fn collect(&mut self, deadline: Instant) -> Result<ControlFlow<()>, String> {
        let first = self.events.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        let mut event = match first {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => return Ok(ControlFlow::Continue(())),
            Err(RecvTimeoutError::Disconnected) => return Ok(ControlFlow::Break(())),
        };
        // The limit ends the loop even if events arrive as fast as they are handled.
        for _ in 0..QUEUE_CAPACITY {
            if self.handle_event(event)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            event = match self.events.try_recv() {
                Ok(event) => event,
                Err(_) => return Ok(ControlFlow::Continue(())),
            };
        }
        self.handle_event(event)
    }

    fn handle_event(&mut self, event: Event) -> Result<ControlFlow<()>, String> {
        match event {
            Event::Message(envelope) => self.step(envelope),
            Event::Greeting(event) => self.handle_greeting(event)?,
            Event::Get(key, reply) => self.pending.add_read(key, reply),
            Event::Write(write, reply) => self.pending.add_write(write, reply),
            Event::Status(reply) => reply.send(ClientReply::Status(self.status().encode())),
            Event::SnapshotReceived(received_snapshot) => {
                let envelope = received_snapshot.envelope.clone();
                // If an earlier one is still here, the node did not use it.
                self.received_snapshot = Some(received_snapshot);
                self.step(envelope);
            }
            Event::SnapshotSent(order, transfer) => {
                self.transfers.finish(&order);
                self.node.report_snapshot(&order, transfer);
            }
            Event::Stop => return Ok(ControlFlow::Break(())),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn step(&mut self, envelope: Envelope) {
        let Some(message) = self.open_envelope(envelope) else { return };
        let from = message.from;
        if let Err(refused) = self.node.step(message) {
            log::warn!("ignored a message of {from}: {refused}");
        }
    }

    /// Proposes all waiting writes together, and a compaction if the log needs one. If this server does not lead, it
    /// redirects the clients.
    fn propose(&mut self) {
        if self.node.soft_state().role != RoleName::Leader {
            let leader = self.node.soft_state().leader;
            self.pending.redirect(leader, leader.map(|leader| self.peers.address(leader)));
            return;
        }
        let (commands, waiting): (Vec<_>, Vec<_>) = self.pending.take_writes().into_iter().unzip();
        if !commands.is_empty() {
            let started = self.node.propose_many(commands.iter().map(Command::encode));
            self.pending.add_proposed(started.expect("this server leads"), waiting);
        }
        let snapshot_index = self.transfers.oldest_index();
        if let Some(command) = self.compaction.next_command(self.node.core(), self.storage.log_bytes(), snapshot_index)
        {
            let started = self.node.propose(command.encode()).expect("this server leads");
            self.compaction.note_proposed(started.index);
        }
    }

    /// Starts one ReadIndex round for all new reads: a majority confirms that this server leads.
    fn confirm_reads(&mut self) {
        if !self.pending.has_new_reads() {
            return;
        }
        let round = self.pending.next_round();
        // A new leader cannot serve reads before its first entry is committed.
        if self.node.read_index(round).is_ok() {
            self.pending.start_round(round);
        }
    }

    /// Processes one [`Ready`] of the node, in the required order.
    fn process_ready(&mut self) -> Result<(), String> {
        let Ready {
            soft_state,
            hard_state,
            snapshot,
            base,
            entries,
            messages,
            snapshot_tasks,
            committed,
            reads,
            lost_entries,
        } = self.node.ready();
        for LostEntry { server, index } in lost_entries {
            log::error!(
                "{server} refuses the entry at index {index}, which it had confirmed: it has lost data without noticing; \
                 stop it, move its data directory away, and {REPLACE}"
            );
        }
        if let Some(soft_state) = soft_state {
            self.on_soft_state_change(soft_state);
        }
        let mut hard_state = hard_state;
        if let Some(snapshot) = snapshot {
            self.install(&snapshot, hard_state.take())?;
        }
        if hard_state.is_some() || entries.is_some() {
            let tail = entries.as_ref().map(|new| Tail { first: new.first, entries: &new.entries });
            self.storage.save(hard_state, tail)?;
        }
        self.note_caught_up()?;
        self.send(messages);
        self.apply(committed)?;
        if let Some((index, _)) = base {
            self.storage.compact_log(index)?;
        }
        for order in snapshot_tasks {
            // The node waits for the end of the transfer until it is reported.
            let Some(to_run) = self.view.run_of(order.to()) else { continue };
            let runs = (self.view.membership.incarnation.run, to_run);
            if !self.transfers.start(order.clone(), runs, self.storage.view()?) {
                self.node.report_snapshot(&order, TransferOutcome::Failed);
            }
        }
        for read in reads {
            self.pending.finish_round(read.context, read.index);
        }
        self.reply_to_reads()?;
        self.node.advance();
        // If the node has not used the snapshot by now, it never will.
        self.received_snapshot = None;
        Ok(())
    }

    /// Sends messages to the other servers. A server that has never connected gets none.
    fn send(&self, messages: Vec<raft::rawnode::Message>) {
        let (from_run, saves) = (self.view.membership.incarnation.run, self.storage.saves());
        for message in messages {
            if let Some(to_run) = self.view.run_of(message.to) {
                self.peers.send(&Envelope { from_run, to_run, saves, message });
            }
        }
    }

    /// Logs a change of term, role or leader, and starts a new leadership.
    fn on_soft_state_change(&mut self, SoftState { term, role, leader }: SoftState) {
        match (role, leader) {
            (RoleName::Leader, _) => {
                log::info!("leads term {term}");
                // Committing this entry also commits the entries of earlier leaders, and then reads can be served.
                self.node.propose(Command::Noop.encode()).expect("this server leads");
                self.compaction = self.compaction.for_new_leader();
            }
            (RoleName::Follower, Some(leader)) => log::info!("follows {leader} in term {term}"),
            (RoleName::Follower, None) => log::info!("term {term} begins"),
            (RoleName::Candidate, _) => log::info!("requests votes in term {term}"),
        }
    }

    /// Replaces the whole state by the received snapshot.
    fn install(&mut self, snapshot: &Snapshot, hard_state: Option<HardState>) -> Result<(), String> {
        let received_snapshot =
            self.received_snapshot.take().expect("the node installs only a snapshot that it was given");
        // The leader sends the following entries again.
        self.storage.install(&received_snapshot.image, hard_state, false)?;
        log::info!("installed the state up to index {} from a snapshot", snapshot.index);
        self.publish_commit_index(snapshot.index);
        Ok(())
    }

    /// Applies committed entries in one transaction, and replies to the clients that wait for them.
    fn apply(&mut self, committed: Vec<Committed>) -> Result<(), String> {
        let (Some(first), Some(last)) = (committed.first(), committed.last()) else { return Ok(()) };
        let (first, last) = (first.index, last.index);
        let mut executed = Vec::with_capacity(committed.len());
        let mut entries = Vec::with_capacity(committed.len());
        let mut compact = None;
        for Committed { index, term, command } in committed {
            executed.push((index, term));
            let writes = match Command::decode(&command).map_err(|error| {
                format!("another program wrote the log entry at {index}: {error}; run the program that wrote it")
            })? {
                Command::Noop => Vec::new(),
                Command::Writes(writes) => writes.into_iter().map(Write::into_storage_command).collect(),
                Command::Compact { up_to } => {
                    compact = Some(up_to);
                    Vec::new()
                }
            };
            entries.push((term, writes));
        }
        self.storage.apply(first, &entries).map_err(|error| error.to_string())?;
        self.publish_commit_index(last);
        for (index, term) in executed {
            self.pending.complete_entry(index, term);
        }
        if let Some(up_to) = compact {
            self.node.compact(up_to);
        }
        Ok(())
    }

    fn reply_to_reads(&mut self) -> Result<(), String> {
        for read in self.pending.take_readable(self.node.core().last_applied()) {
            let value = self.storage.get(read.key.as_bytes())?;
            read.reply.send(ClientReply::Value(value));
        }
        Ok(())
    }

    fn status(&self) -> NodeStatus {
        let status = self.node.status();
        let follower = |follower: &raftapi::Follower| FollowerStatus {
            server: follower.server,
            match_index: follower.match_index,
            next_index: follower.next_index,
            state: state_name(follower.state),
            connected: self.peers.is_connected(follower.server),
        };
        NodeStatus {
            server: self.node.core().me(),
            term: status.term,
            role: status.role.into(),
            leader: self.node.soft_state().leader,
            first_index: status.first_index,
            last_index: status.last_index,
            commit_index: status.commit_index,
            applied: status.last_applied,
            log_bytes: self.storage.log_bytes(),
            data_bytes: self.storage.data_bytes(),
            waiting: self.pending.count(),
            followers: status.followers.iter().map(follower).collect(),
            standing: self.standing_in_words(),
        }
    }

    fn publish_commit_index(&self, index: Index) {
        self.committed.store(index.0, Relaxed);
    }
}
