//! A plain key/value service over any [`Raft`](raftapi::Raft), and its clerk: section 8 of the paper, with the names of
//! the lab. Reads go through the log like writes.
//!
//! The service has one lock over one [`State`](state::State), handlers that start a command and wait until its index is
//! applied, and one applier thread. Each `makes(...)` is a place where it can make a mistake. Without these conditions
//! the code is correct.
//!
//! - `messages.rs`: requests and replies.
//! - `state.rs`: the values of the keys and the serial numbers of executed writes, which together form a snapshot.
//! - `server.rs`: the handlers, the applier, and the making of snapshots.
//! - `clerk.rs`: the client, which retries until it gets a reply.
//! - `mistake.rs`: the mistakes.

mod clerk;
mod messages;
mod mistake;
mod server;
mod state;

pub use clerk::{Clerk, NO_MISTAKE};
pub use mistake::KvMistake;
pub use server::KvServer;
