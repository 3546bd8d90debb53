//! What a Raft and a key/value service are to their users: the lab's five names (`make`, `start`, `get_state`,
//! `snapshot`, `kill`), the messages a Raft delivers, and the [`Persister`] that outlives it.
//!
//! A learner implements [`Raft`]; everything below this room (the tester, the command line) knows a Raft only through
//! this trait.

mod kv;
mod persister;
mod raft;

pub use kv::{KvClerk, KvService};
pub use persister::Persister;
pub use raft::{ApplyMsg, Raft, Started};
pub use record::{Index, ServerId, Term};
