//! A plain key/value service over any [`Raft`](raftapi::Raft), and its clerk: section 8 of the paper, with the names of
//! the lab. Reads go through the log like writes.
//!
//! One lock over one [`State`](state::State); handlers that start a command and wait until its index is applied; one
//! thread that applies. Each `makes(...)` is a place where it can be told to be wrong; read without them, it is right.
//!
//! - `messages.rs`: what clerks ask and are answered.
//! - `state.rs`: the keys and their values, and what was done for whom; what a snapshot consists of.
//! - `server.rs`: the handlers, the applier, and when a snapshot is made.
//! - `clerk.rs`: the client, which asks until it is answered.
//! - `mistake.rs`: the mistakes.

mod clerk;
mod messages;
mod mistake;
mod server;
mod state;

pub use clerk::{Clerk, NO_MISTAKE};
pub use mistake::KvMistake;
pub use server::KvServer;
