//! What a Raft and a key/value service are to their users: the lab's five names (`make`, `start`, `get_state`,
//! `snapshot`, `kill`), the messages a Raft delivers, and the [`Persister`] that outlives it.
//!
//! A learner implements [`Raft`]; everything below this room (the tester, the command line) knows a Raft only through
//! this trait.
//!
//! # Being seen
//!
//! Each run keeps a record of what happens in it, which pictures and logs are made of. RPCs, faults, checks and operations
//! of clients are in it anyway. Three ways lead to more, none of them compulsory:
//!
//! - **report**: one call of a function in [`report`] where a role, a term, a vote, the log or the commit index changes,
//!   under the same lock. With these a picture shows each server's state at any moment;
//! - **annotate**: [`annotate`], [`annotate_interval`], [`annotate_continuous`] put words of your own at a time, in a row
//!   of your own;
//! - **log**: a line of the `log` crate (`log::info!`) is in the record with its server and its module.
//!
//! ```
//! use labstd::time;
//! use raftapi::{Index, Role, Term, annotate_interval, report};
//!
//! // When an election is won:
//! report::role(Role::Leader, Term(2));
//! // When a follower has replaced its entries from 8 on by three others:
//! report::truncated(Index(7));
//! report::appended(Index(8), [Term(1), Term(1), Term(2)]);
//! // Anything else that may explain a run:
//! let since = time::run_elapsed();
//! annotate_interval("disk", since, "slow write", "3 records, 812 bytes");
//! ```
//!
//! # Asking, and being told
//!
//! [`Raft::status`] says where a server stands, [`Raft::subscribe`] tells of changes as they happen. A Raft may leave both
//! out; whoever asks must then do with [`Raft::get_state`].

mod annotate;
mod kv;
mod persister;
mod raft;
pub mod report;
mod status;
mod unwritten;

pub use annotate::{annotate, annotate_continuous, annotate_continuous_end, annotate_interval};
pub use kv::{KvClerk, KvService};
pub use persister::Persister;
pub use raft::{ApplyMsg, Consumer, Raft, Started};
pub use record::{Index, Role, ServerId, Term};
pub use status::{Follower, FollowerState, StateChange, Status};
pub use unwritten::{Unwritten, unwritten};
