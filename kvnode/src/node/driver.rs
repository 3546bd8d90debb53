//! The loop: the one thread that has the node, and carries out what the node wants done.
//!
//! It takes what has come together, hands it to the node, and carries out the node's [`Ready`] in the order in which a promise
//! has to be kept: save, then send, then apply, then answer. One pass saves once, whatever has come: so the more there is
//! to do, the less each of it costs. While it saves, the next pass collects.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use raft::core::{HardState, RoleName, Standing};
use raft::rawnode::{Committed, RawNode, Ready, Snapshot, Transfer};
use raftapi::Index;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::clients::Clients;
use super::command::{Command, Write};
use super::compaction::Compaction;
use super::event::{Event, Received, WAITING_MAX};
use super::peers::Peers;
use super::status::{FollowerStatus, NodeStatus, word};
use super::transfers::Transfers;
use crate::storage::{Storage, Tail};
use crate::wire::ClientReply;

/// How long a tick is. Heartbeats come every [`HEARTBEAT_TICKS`] of them.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Well above what a message and a sync take.
pub(super) const HEARTBEAT_TICKS: u32 = 10;

/// Without an answer for so long, entries are not sent again until the peer answers something.
pub(super) const ANSWER_TICKS: u32 = 50;

/// From this many ticks an election timeout is drawn: several heartbeats, and a disk that takes its time.
const ELECTION_TICKS: std::ops::Range<u32> = 50..100;

/// All that the loop has.
pub(super) struct Driver {
    pub(super) node: RawNode,
    pub(super) storage: Storage,
    pub(super) peers: Peers,
    pub(super) events: Receiver<Event>,
    pub(super) transfers: Transfers,
    pub(super) compaction: Compaction,
    pub(super) timeouts: ChaCha8Rng,
    /// For other threads: how far this server knows to be committed.
    pub(super) committed: Arc<AtomicU64>,
    pub(super) clients: Clients,
    /// A snapshot that was handed to the node.
    pub(super) received: Option<Received>,
}

impl Driver {
    /// Runs until it is told to stop.
    ///
    /// # Errors
    ///
    /// If what has to be saved cannot be, or what was saved is not what this program saves: the server cannot go on.
    pub(super) fn run(&mut self) -> Result<(), String> {
        let mut next_tick = Instant::now() + TICK;
        loop {
            if self.collect(next_tick).is_break() {
                return Ok(());
            }
            // One tick however late it is: what was missed was this server's own time, and says nothing of the others.
            if next_tick <= Instant::now() {
                let Driver { node, timeouts, .. } = self;
                node.tick(|| timeouts.random_range(ELECTION_TICKS));
                next_tick = Instant::now() + TICK;
            }
            self.propose();
            self.ask_for_reads();
            while self.node.has_ready() {
                self.carry_out()?;
            }
        }
    }

    /// Waits for something to happen until `deadline`, and takes all that has happened.
    fn collect(&mut self, deadline: Instant) -> ControlFlow<()> {
        let first = self.events.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        let mut event = match first {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => return ControlFlow::Continue(()),
            Err(RecvTimeoutError::Disconnected) => return ControlFlow::Break(()),
        };
        // A limit, so that there is an end also if events come as fast as they are taken.
        for _ in 0..WAITING_MAX {
            self.take(event)?;
            event = match self.events.try_recv() {
                Ok(event) => event,
                Err(_) => return ControlFlow::Continue(()),
            };
        }
        self.take(event)
    }

    fn take(&mut self, event: Event) -> ControlFlow<()> {
        match event {
            Event::Message(message) => self.step(message),
            Event::Get(key, reply) => self.clients.read(key, reply),
            Event::Write(write, reply) => self.clients.write(write, reply),
            Event::Status(reply) => reply.send(ClientReply::Status(self.status().encode())),
            Event::SnapshotReceived(received) => {
                let message = received.message.clone();
                // One that is still here was of no use.
                self.received = Some(received);
                self.step(message);
            }
            Event::SnapshotSent(order, transfer) => {
                self.transfers.ended(&order);
                self.node.report_snapshot(&order, transfer);
            }
            Event::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn step(&mut self, message: raft::rawnode::Message) {
        let from = message.from;
        if let Err(refused) = self.node.step(message) {
            log::warn!("a message of {from} is of no use: {refused}");
        }
    }

    /// Proposes what clients want to write, all of it together, and what the log itself needs; or sends the clients away.
    fn propose(&mut self) {
        if self.node.standing().role != RoleName::Leader {
            let leader = self.node.standing().leader;
            self.clients.send_away(leader, leader.map(|leader| self.peers.address(leader)));
            return;
        }
        let (commands, waiting): (Vec<_>, Vec<_>) = self.clients.take_writes().into_iter().unzip();
        if !commands.is_empty() {
            let started = self.node.propose_many(commands.iter().map(Command::encode));
            self.clients.proposed(started.expect("it leads"), waiting);
        }
        let kept_for = self.transfers.needed_from();
        if let Some(command) = self.compaction.due(self.node.core(), self.storage.log_bytes(), kept_for) {
            let started = self.node.propose(command.encode()).expect("it leads");
            self.compaction.proposed(started.index);
        }
    }

    /// Asks a majority whether this server leads, once for all reads that have come.
    fn ask_for_reads(&mut self) {
        if !self.clients.has_reads() {
            return;
        }
        let question = self.clients.next_question();
        // A new leader does not know yet what may be read; it will when its first entry is committed.
        if self.node.read_index(question).is_ok() {
            self.clients.asked(question);
        }
    }

    /// Carries out what the node wants done, in the order of its promises.
    fn carry_out(&mut self) -> Result<(), String> {
        let Ready { standing, hard_state, snapshot, base, entries, messages, snapshots_wanted, committed, reads } =
            self.node.ready();
        if let Some(standing) = standing {
            self.stands(standing);
        }
        let mut hard_state = hard_state;
        if let Some(snapshot) = snapshot {
            self.install(&snapshot, hard_state.take())?;
        }
        if hard_state.is_some() || entries.is_some() {
            let tail = entries.as_ref().map(|new| Tail { first: new.first, entries: &new.entries });
            self.storage.save(hard_state, tail)?;
        }
        for message in messages {
            self.peers.send(message);
        }
        self.apply(committed)?;
        if let Some((index, _)) = base {
            self.storage.compact_log(index)?;
        }
        for order in snapshots_wanted {
            // Until it is told, the node waits for the end of the transfer.
            if !self.transfers.begin(order.clone(), self.storage.view()?) {
                self.node.report_snapshot(&order, Transfer::Failed);
            }
        }
        for read in reads {
            self.clients.confirmed(read.context, read.index);
        }
        self.answer_reads()?;
        self.node.advance();
        // What was handed to the node and is not wanted never will be.
        self.received = None;
        Ok(())
    }

    /// This server stands elsewhere than before.
    fn stands(&mut self, Standing { term, role, leader }: Standing) {
        match (role, leader) {
            (RoleName::Leader, _) => {
                log::info!("leads term {term}");
                // With it, what earlier leaders have left is committed, and reads can be answered.
                self.node.propose(Command::Nothing.encode()).expect("it leads");
                self.compaction = self.compaction.of_new_leader();
            }
            (RoleName::Follower, Some(leader)) => log::info!("follows {leader} in term {term}"),
            (RoleName::Follower, None) => log::info!("term {term} has begun"),
            (RoleName::Candidate, _) => log::info!("asks for votes in term {term}"),
        }
    }

    /// Puts the snapshot that has come in place of everything.
    fn install(&mut self, snapshot: &Snapshot, hard_state: Option<HardState>) -> Result<(), String> {
        let received = self.received.take().expect("the node wants what it was given");
        // What follows comes with the entries.
        self.storage.install(&received.image, hard_state, false)?;
        log::info!("has the state up to {} from a snapshot", snapshot.index);
        self.note_committed(snapshot.index);
        Ok(())
    }

    /// Executes committed entries, all in one step, and tells the clients that wait for them.
    fn apply(&mut self, committed: Vec<Committed>) -> Result<(), String> {
        let (Some(first), Some(last)) = (committed.first(), committed.last()) else { return Ok(()) };
        let (first, last) = (first.index, last.index);
        let mut executed = Vec::with_capacity(committed.len());
        let mut entries = Vec::with_capacity(committed.len());
        let mut compact = None;
        for Committed { index, term, command } in committed {
            executed.push((index, term));
            let writes = match Command::decode(&command).map_err(|error| {
                format!("the log's entry at {index} was written by another program: {error}; use the one that wrote it")
            })? {
                Command::Nothing => Vec::new(),
                Command::Writes(writes) => writes.into_iter().map(Write::into_stored).collect(),
                Command::Compact { up_to } => {
                    compact = Some(up_to);
                    Vec::new()
                }
            };
            entries.push((term, writes));
        }
        self.storage.apply(first, &entries).map_err(|error| error.to_string())?;
        self.note_committed(last);
        for (index, term) in executed {
            self.clients.executed(index, term);
        }
        if let Some(up_to) = compact {
            self.node.compact(up_to);
        }
        Ok(())
    }

    fn answer_reads(&mut self) -> Result<(), String> {
        for read in self.clients.readable(self.node.core().last_applied()) {
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
            state: word(follower.state),
            connected: self.peers.is_connected(follower.server),
        };
        NodeStatus {
            server: self.node.core().me(),
            term: status.term,
            role: status.role.into(),
            leader: self.node.standing().leader,
            first_index: status.first_index,
            last_index: status.last_index,
            commit_index: status.commit_index,
            applied: status.last_applied,
            log_bytes: self.storage.log_bytes(),
            data_bytes: self.storage.data_bytes(),
            waiting: self.clients.waiting(),
            followers: status.followers.iter().map(follower).collect(),
        }
    }

    fn note_committed(&self, index: Index) {
        self.committed.store(index.0, Relaxed);
    }
}
