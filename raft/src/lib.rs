//! The reference Raft: one correct solution of the lab, written to be read beside Figure 2 of the paper (Ongaro and
//! Ousterhout, "In Search of an Understandable Consensus Algorithm", extended version). Section numbers in this crate
//! refer to that paper.
//!
//! # Raft in two minutes
//!
//! Several servers execute the same commands in the same order, although machines crash and messages are lost, delayed,
//! repeated or reordered. Each server keeps a copy of one **log** of commands. A command is **committed** when a
//! majority of the servers store it in such a way that no later election can remove it. A committed command keeps its
//! index forever, and every server executes it. Any two majorities have a server in common. That server carries
//! knowledge from one majority to the next, and all the guarantees below rest on it.
//!
//! **Terms (5.1).** Raft divides time into terms, numbered from 1. Each term begins with an election and has at most
//! one leader. A term is a logical clock: every message carries one. A server that sees a higher term adopts it and
//! becomes a follower. A server that receives a request with a lower term refuses it. An old leader that comes back
//! therefore discovers that it has been replaced.
//!
//! **Elections (5.2).** A follower that hears nothing from a leader for its election timeout becomes a candidate. It
//! starts the next term, votes for itself and asks the other servers for their votes. Each server has one vote in a
//! term, so two candidates cannot both get a majority. Election timeouts are random, so split votes are rare and do not
//! repeat for long.
//!
//! **Replication (5.3).** Only the leader accepts commands. It appends them to its log and sends them to the followers,
//! with the index and the term of the entry before them. A follower that does not have that entry refuses, and the
//! leader backs up until the logs agree. By induction, two logs that have the same term at an index are identical up to
//! that index (*Log Matching*).
//!
//! **Safety (5.4).** A server refuses its vote to a candidate whose log is less up-to-date than its own, so a new
//! leader has every committed entry (*Leader Completeness*). A leader counts copies only for entries of its own term.
//! An entry of an earlier term can be stored on a majority and still be overwritten (Figure 8). It is committed when an
//! entry of the leader's term above it is committed.
//!
//! **Persistence (5.1, Figure 2).** The term, the vote and the log are promises to other servers. A server saves them
//! before it sends any message that depends on them.
//!
//! **Snapshots (7).** A log cannot grow forever. The service hands Raft a copy of its own state, a **snapshot**, which
//! replaces the log up to some index. A leader sends the snapshot to a follower that needs entries from before that
//! index. A snapshot covers only committed entries, so replacing them breaks no promise.
//!
//! # Where to read what
//!
//! | topic | in the paper | file |
//! |---|---|---|
//! | the state of a server, the rules for all servers | Figure 2 "State", "Rules"; 5.1 | [`core`] (`core/mod.rs`) |
//! | elections and votes | Figure 2 "RequestVote RPC"; 5.2, 5.4.1 | `core/election.rs` |
//! | AppendEntries on both sides, the commit rule | Figure 2 "AppendEntries RPC"; 5.3, 5.4.2 | `core/replication.rs` |
//! | snapshots on both sides | Figure 13; 7 | `core/snapshot.rs` |
//! | reads that do not go through the log | 8; dissertation, 6.4 | `core/reads.rs`, `fast/reads.rs` |
//! | a leader's view of one follower, and of all | `nextIndex`, `matchIndex` | `core/progress.rs`, `core/peers.rs` |
//! | the log, and the position of an index in memory | 5.3; 7 | `core/log.rs` |
//! | the messages | the argument lists of Figures 2 and 13 | `core/message.rs` |
//! | the work that the core orders, and its order | | `core/effects.rs` |
//! | the saved state, byte by byte, with its checks | "stable storage" | [`storage`] (`storage/mod.rs`) |
//! | the one lock, the state under it, and how the effects are carried out | | `server.rs`, `state.rs` |
//! | abilities beyond the lab's seven methods | | `extensions.rs` |
//! | reports to the record and to subscribers; the status | | `observers.rs`, `status.rs` |
//! | the threads: election timer, one replicator per peer, applier | | `ticker.rs`, `replicator.rs`, `applier.rs` |
//! | optimizations that depart from this shape, one file each | | `fast/mod.rs` |
//! | the same core without threads, driven by messages | | [`rawnode`] (`rawnode/mod.rs`; `ready.rs`, `message.rs`) |
//!
//! To see the protocol at work, read the scripts in `tests/scripts`. Each script is a short story: an election, a split
//! vote, Figures 7 and 8 of the paper, a snapshot that is overtaken. Below each step it prints every message and every
//! decision. `tests/paper.rs` states the paper's rules one by one, in the paper's order. `tests/safety.rs` checks the
//! five properties of Figure 3 over thousands of random schedules, and `tests/exhaustive` checks them over every
//! schedule of small clusters. `tests/storage.rs` damages a saved state bit by bit.
//!
//! # Why the core has no threads
//!
//! [`core::Core`] receives events and returns the work that must be done. It has no thread, lock, clock, disk, network
//! or randomness. So each rule of the paper is one function, a test needs no sleeping, and every failure can be
//! replayed. The threads, the timers and the network are in the files around the core.
//!
//! # What is not implemented
//!
//! - **Membership changes (6).** The set of servers is fixed when a server starts. A cluster has at most
//!   [`core::ServerSet::MAX`] servers (64).
//! - **PreVote** (dissertation, 9.6). A server that returns from a partition with a higher term makes the leader step
//!   down.
//! - **CheckQuorum** (dissertation, 6.2). A leader that cannot reach a majority remains leader of its term until it
//!   sees a higher one. It commits nothing and confirms no read in that time.
//! - **Disruption guard (end of 6).** A server that still hears from its leader grants votes like any other server.
//! - **Leadership transfer** (dissertation, 3.10).
//! - **Leader leases** (dissertation, 6.4.1). A read always needs replies from a majority, because leases depend on
//!   clocks.
//! - **Reads on followers** (dissertation, 6.4). Only a leader confirms reads.
//! - **No-op entries (8).** A new leader appends no entry of its own, because the course's tests count indexes. It
//!   therefore commits entries of earlier terms only after a client's next command, and refuses reads until then.
//! - **Snapshot chunks (Figure 13).** InstallSnapshot carries the whole snapshot in one message, without `offset` and
//!   `done`.
//! - **Pipelining.** A leader waits for the reply to one request with entries or a snapshot, or for its timeout, before
//!   it sends the peer another one. Entries that arrive meanwhile form the next batch. Heartbeats do not wait.
//! - **Client sessions (8).** Raft delivers each log entry once per incarnation. The service above it (`kvraft`)
//!   detects repeated commands.

mod applier;
pub mod core;
mod extensions;
#[cfg(feature = "fast")] // fast
mod fast; // fast
mod observers;
pub mod rawnode;
mod replicator;
mod server;
mod state;
mod status;
pub mod storage;
mod ticker;

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::Sender;
use labstd::sync::Arc;
use labstd::{rng, thread};
use raftapi::{ApplyMsg, Index, Persister, ServerId, Started, Term};

use crate::core::{AppendEntriesArgs, InstallSnapshotArgs, RequestVoteArgs};
use crate::state::Shared;

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
        // No handler blocks, except on the server's lock, which no thread holds for long.
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
        self.shared.step(|core| match core.propose(command) {
            Some((started, effects)) => (Some(started), effects),
            None => (None, Default::default()),
        })
    }

    fn get_state(&self) -> (Term, bool) {
        let state = self.shared.state.lock();
        (state.core.current_term(), state.core.is_leader())
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

/// Starts one thread of a server, named after the server and its task.
fn spawn(me: ServerId, task: &str, shared: &Arc<Shared>, body: impl FnOnce(&Arc<Shared>) + Send + 'static) {
    let shared = Arc::clone(shared);
    thread::spawn(format!("{me}/{task}"), move || body(&shared));
}
