//! Your Raft and your key/value service: a skeleton that compiles. Every run stops at the first function that is not
//! written yet and says what to write there. `README.md` leads you through it, part by part.
//!
//! | file | content | parts |
//! |---|---|---|
//! | `raft.rs` | `Raft`, the interface to its users (`make`, `start`, `get_state`, `snapshot`, `kill`) | 3B, 3D |
//! | `server.rs` | the state that all threads of a server share; the ticker and applier threads | given |
//! | `state.rs` | Figure 2, "State", and its setters | 3B |
//! | `messages.rs` | the RPCs of Figures 2 and 13 | given |
//! | `election.rs` | elections (section 5.2) | 3A |
//! | `log.rs` | the log: entries by index | 3B, 3D |
//! | `replication.rs` | AppendEntries and the commit rule (sections 5.3, 5.4) | 3A, 3B |
//! | `persistence.rs` | the state that survives a crash | 3C |
//! | `snapshots.rs` | log compaction (section 7) | 3D |
//! | `kv/` | the service on top of Raft, and its client (section 8) | 4A, 4B |
//!
//! # What you may change
//!
//! Everything. The tests use [`Raft`] through the trait `raftapi::Raft` and [`KvServer`] through `raftapi::KvService`.
//! Beyond these traits they know only the names of the RPCs (`Raft.RequestVote`, `Raft.AppendEntries`,
//! `Raft.InstallSnapshot`), which some scenarios look for on the network. You may choose other files, threads and
//! fields. Only use the threads, locks, channels, clocks and random numbers of `labstd`.
//!
//! # The shape
//!
//! There is one lock over one `State`. Three kinds of threads take it, each only briefly:
//!
//! - the RPC handlers, which the network starts;
//! - the *ticker*, which sleeps and checks whether a timer has fired;
//! - the threads that have sent an RPC and handle its reply.
//!
//! A fourth thread, the *applier*, waits on a condition variable until entries are committed. It copies them, releases
//! the lock, and delivers them. No thread holds the lock while it waits for another thread or for the network.

// Remove this line when no function says `unwritten` any more. Then the compiler shows unused code.
#![allow(unused)]

mod election;
mod kv;
mod log;
mod messages;
mod persistence;
mod raft;
mod replication;
mod server;
mod snapshots;
mod state;

pub use kv::{Clerk, KvServer};
pub use raft::Raft;
