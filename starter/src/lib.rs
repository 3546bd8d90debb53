//! Your Raft and your key/value service: a skeleton that compiles, and whose every run ends at the first thing that is
//! still to be written and says what it is. `README.md` leads through it, part by part.
//!
//! | file | what is in it | parts |
//! |---|---|---|
//! | `raft.rs` | `Raft`: what its users see (`make`, `start`, `get_state`, `snapshot`, `kill`) | 3B, 3D |
//! | `server.rs` | what all threads of a server share, and the two that always run: ticker and applier | given |
//! | `state.rs` | Figure 2, "State", and its setters | 3B |
//! | `messages.rs` | the RPCs of Figures 2 and 13 | given |
//! | `election.rs` | votes and leaders (section 5.2) | 3A |
//! | `log.rs` | the log: entries by index | 3B, 3D |
//! | `replication.rs` | AppendEntries and what is committed (sections 5.3, 5.4) | 3A, 3B |
//! | `persistence.rs` | what survives a crash | 3C |
//! | `snapshots.rs` | a log that does not grow for ever (section 7) | 3D |
//! | `kv/` | the service on top, and its client (section 8) | 4A, 4B |
//!
//! # What you may change
//!
//! Everything. The tests know [`Raft`] through the trait `raftapi::Raft` and [`KvServer`] through `raftapi::KvService`,
//! and nothing else of this crate but the names of the RPCs (`Raft.RequestVote`, `Raft.AppendEntries`,
//! `Raft.InstallSnapshot`), which some scenarios look for on the network. Other files, other threads, other fields are
//! as good as these, if the threads, locks, channels, times and random numbers are those of `labstd`.
//!
//! # Its shape
//!
//! One lock over one `State`. Three kinds of threads take it, each for a moment: the handlers of RPCs (the network
//! starts them), the *ticker*, which sleeps and looks whether something is due, and the threads that have sent an RPC
//! and have its reply. A fourth, the *applier*, waits on a condition variable until something is committed, copies it,
//! unlocks, and delivers. The lock is never held while somebody waits for another thread or for the network.

// Remove this line when nothing says `unwritten` any more: then what is unused was forgotten.
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
