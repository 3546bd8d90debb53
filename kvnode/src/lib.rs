//! The key/value service as a process: real threads, sockets and disks. The one room outside the two clocks.
//!
//! - [`node`]: a server, which puts together a [`RawNode`](raft::rawnode::RawNode) and the two below.
//! - [`storage`]: what a server keeps on its disk.
//! - [`wire`]: how processes talk.
//! - [`proxy`]: what stands between servers in a test, to cut them off from each other.
//! - [`Command`]: what a person can do with all this, for a command line.
//!
//! To follow a write from the client to the answer, read `node/guests.rs` (it comes), `node/driver.rs` (`propose`, `carry_out`,
//! `apply`) and `node/clients.rs` (`executed`).

mod commands;
pub mod node;
pub mod proxy;
pub mod storage;
pub mod wire;

pub use commands::Command;
