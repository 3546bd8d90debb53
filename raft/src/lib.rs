//! The reference Raft: what a correct solution of the lab looks like, written to be read beside Figure 2 of the paper
//! (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", extended version). Section numbers in
//! this crate are those of that paper.
//!
//! # Raft in two minutes
//!
//! A few servers want to execute the same commands in the same order although machines crash and messages are lost,
//! delayed, repeated or overtaken. They keep copies of one **log**. A command that a majority of the servers has in its
//! log, in a way that no later election can undo, is **committed**: it will be executed by all, at its index, for ever.
//! Any two majorities share a server, and that server is the memory of the cluster; everything below rests on it.
//!
//! **Terms (5.1).** Time is cut into terms, numbered from 1, each beginning with an election and having at most one
//! leader. A term is a logical clock: every message carries one, whoever sees a higher one adopts it and becomes a
//! follower, and whoever receives a lower one refuses. So an old leader that comes back finds out that it is old.
//!
//! **Elections (5.2).** A follower that hears nothing from a leader for its election timeout becomes a candidate: it
//! moves to the next term, votes for itself and asks the others. Each server has one vote a term, so two candidates
//! cannot both have a majority. Timeouts are random, so that split votes are rare and soon over.
//!
//! **Replication (5.3).** Only the leader takes commands. It appends them to its log and sends them with the index and
//! term of the entry before them; a follower that does not have that entry refuses, and the leader goes back until they
//! agree. By induction, two logs that have the same term at an index are the same up to there (*Log Matching*).
//!
//! **Safety (5.4).** A server refuses its vote to a candidate whose log is behind its own, so a new leader has every
//! committed entry (*Leader Completeness*). A leader counts copies only of entries of its own term: an older entry that
//! lies on a majority may still be overwritten (Figure 8), until an entry of the leader's term above it is committed.
//!
//! **Persistence (5.1, Figure 2).** The term, the vote and the log are promises to others. They are saved before any
//! message that depends on them leaves the server.
//!
//! **Snapshots (7).** A log cannot grow for ever. The service hands over its own state as a **snapshot**, which takes the
//! place of the log up to some index; a follower that needs entries from before it gets the snapshot instead. What a
//! snapshot covers is committed, so to replace entries by it changes nothing that Raft has promised.
//!
//! # Where to read what
//!
//! | you want to see | in the paper | read |
//! |---|---|---|
//! | the state of a server, the rules for all servers | Figure 2 "State", "Rules"; 5.1 | [`core`] (`core/mod.rs`) |
//! | elections and votes | Figure 2 "RequestVote RPC"; 5.2, 5.4.1 | `core/election.rs` |
//! | AppendEntries on both sides, the commit rule | Figure 2 "AppendEntries RPC"; 5.3, 5.4.2 | `core/replication.rs` |
//! | snapshots, on both sides | Figure 13; 7 | `core/snapshot.rs` |
//! | reads that do not go through the log | 8; dissertation, 6.4 | `core/reads.rs`, `reads.rs` |
//! | what a leader knows of one follower, and of all | `nextIndex`, `matchIndex` | `core/progress.rs`, `core/peers.rs` |
//! | the log itself, and how an index becomes a place in memory | 5.3; 7 | `core/log.rs` |
//! | the messages | the argument lists of Figures 2 and 13 | `core/message.rs` |
//! | what the threads around the core have to do, and in which order | | `core/effects.rs` |
//! | what is saved, byte by byte, and how it is read back and checked | "stable storage" | [`storage`] (`storage.rs`) |
//! | the one lock, and what becomes of the core's orders | | `server.rs`, `follow_ups.rs` |
//! | what the record and the service are told, and how a server stands | | `observers.rs`, `status.rs` |
//! | the threads: election timer, one replicator a peer, applier | | `ticker.rs`, `replicator.rs`, `applier.rs` |
//! | the same core without threads, driven by messages | | [`rawnode`] (`rawnode/mod.rs`; `ready.rs`, `message.rs`) |
//!
//! To see the protocol at work, read the scripts in `tests/scripts`: each is a short story (an election, a split vote,
//! Figures 7 and 8 of the paper, a snapshot that is overtaken) with every message and every decision printed below each
//! step. `tests/paper.rs` states the paper's rules one by one, in its order; `tests/safety.rs` checks the five properties
//! of Figure 3 over thousands of random schedules, and `tests/exhaustive` over every schedule of small clusters;
//! `tests/storage.rs` damages what was saved, bit by bit.
//!
//! # Why a core without threads
//!
//! [`core::Core`] is told what happened and answers with what must be done. It has no thread, lock, clock, disk,
//! network or randomness, so a rule of the paper is one function, a test needs no sleeping, and every failure can be
//! repeated. The threads, the timers and the network are in the files around it.

mod applier;
pub mod core;
mod follow_ups;
mod observers;
pub mod rawnode;
mod reads;
mod replicator;
mod server;
mod status;
pub mod storage;
mod ticker;

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::{Receiver, Sender};
use labstd::sync::{Arc, Weak};
use labstd::{rng, thread};
use raftapi::{ApplyMsg, Consumer, Index, Persister, ServerId, Started, StateChange, Status, Term};

use crate::core::{AppendEntriesArgs, InstallSnapshotArgs, RequestVoteArgs};
use crate::follow_ups::SendPolicy;
use crate::server::Shared;

/// The reference implementation of [`raftapi::Raft`]: the [core](core::Core) under one lock, and threads around it.
pub struct Raft {
    shared: Arc<Shared>,
}

impl raftapi::Raft for Raft {
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> Raft {
        let timeouts = rng::local("election timeouts");
        let shared = Arc::new(Shared::new(peers, me, persister, timeouts));
        spawn(me, "ticker", &shared, ticker::run);
        spawn(me, "applier", &shared, move |shared| applier::run(shared, &apply_ch));
        let others: Vec<ServerId> = shared.state.lock().core.peers().collect();
        for peer in others {
            spawn(me, &format!("replicator-{peer}"), &shared, move |shared| replicator::run(shared, peer));
        }
        Raft { shared }
    }

    fn services(&self) -> Vec<Service> {
        let (votes, entries, snapshots) =
            (Arc::clone(&self.shared), Arc::clone(&self.shared), Arc::clone(&self.shared));
        // No handler waits for anything but the lock, which nobody holds for long.
        let service = Service::new("Raft")
            .nonblocking_method("RequestVote", move |args: RequestVoteArgs| {
                votes.step(|core| core.handle_request_vote(args))
            })
            .nonblocking_method("AppendEntries", move |args: AppendEntriesArgs| {
                entries.step(|core| core.handle_append_entries(args))
            })
            .nonblocking_method("InstallSnapshot", move |args: InstallSnapshotArgs| {
                snapshots.step(|core| core.handle_install_snapshot(args))
            });
        vec![service]
    }

    fn start(&self, command: Bytes) -> Option<Started> {
        // Whoever proposes one by one may have the next one ready.
        self.shared.step_with_policy(SendPolicy::CallingThreadIfInline, |core| match core.propose(command) {
            Some((started, effects)) => (Some(started), effects),
            None => (None, Default::default()),
        })
    }

    fn start_many(&self, commands: Vec<Bytes>) -> Option<Started> {
        self.shared.step(|core| match core.propose_many(commands) {
            Some((started, effects)) => (Some(started), effects),
            None => (None, Default::default()),
        })
    }

    fn get_state(&self) -> (Term, bool) {
        let state = self.shared.state.lock();
        (state.core.current_term(), state.core.is_leader())
    }

    fn read_index(&self) -> Option<Index> {
        reads::read_index(&self.shared)
    }

    fn read_index_then(&self, then: Box<dyn FnOnce(Option<Index>) + Send>) {
        reads::read_index_then(&self.shared, then);
    }

    fn deliver_to(&self, consumer: Weak<dyn Consumer>) -> bool {
        self.shared.set_consumer(consumer);
        true
    }

    fn take_committed(&self) -> Vec<ApplyMsg> {
        self.shared.take_committed()
    }

    fn status(&self) -> Option<Status> {
        Some(status::of(&self.shared.state.lock().core))
    }

    fn subscribe(&self) -> Option<Receiver<StateChange>> {
        Some(self.shared.subscribe())
    }

    fn snapshot(&self, index: Index, snapshot: Bytes) {
        self.shared.step(|core| ((), core.snapshot_taken(index, snapshot)));
    }

    fn persist_bytes(&self) -> usize {
        self.shared.persister.raft_state_size()
    }

    fn kill(&self) {
        self.shared.kill();
    }
}

/// Starts one of a server's threads, named after the server and its task.
fn spawn(me: ServerId, task: &str, shared: &Arc<Shared>, body: impl FnOnce(&Arc<Shared>) + Send + 'static) {
    let shared = Arc::clone(shared);
    thread::spawn(format!("{me}/{task}"), move || body(&shared));
}
