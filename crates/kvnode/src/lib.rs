//! The replicated key/value service as real processes: threads, sockets and disks. It is the one crate that has no
//! simulated clock.
//!
//! - [`node`]: one server. It combines a [`RawNode`](raft::rawnode::RawNode) with the storage and the wire.
//! - [`storage`]: the term, the vote, the log and the key/value state of a server, on its disk.
//! - [`wire`]: the protocol between processes.
//! - [`proxy`]: TCP proxies between servers, with which a test partitions them.
//! - [`Command`]: the subcommands for a command line.
//!
//! To follow a write from the request to the reply, read `node/frontend.rs` (the request arrives), `node/driver.rs`
//! (`propose`, `process_ready`, `apply`) and `node/pending.rs` (`complete_entry`).

mod commands;
pub mod node;
pub mod proxy;
pub mod storage;
pub mod wire;

pub use commands::Command;
