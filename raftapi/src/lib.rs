//! The interfaces of a Raft and of a key/value service: the lab's five names (`make`, `start`, `get_state`, `snapshot`,
//! `kill`), the messages that a Raft delivers, and the [`Persister`] that outlives it.
//!
//! A learner implements [`Raft`]. The tester and the command line know a Raft only through this trait.
//!
//! # Recording
//!
//! Each run keeps a record of its events. The timeline and the logs are made from it. It always contains RPCs, faults,
//! checks and client operations. You can add events in three ways, all of them optional:
//!
//! - **report**: call a function of [`report`] where a role, a term, a vote, the log or the commit index changes, under
//!   the same lock. With these calls the timeline shows each server's state at any moment;
//! - **annotate**: [`annotate`], [`annotate_interval`] and [`annotate_continuous`] put your own words at a time, in a
//!   row of your choice;
//! - **log**: a line of the `log` crate (`log::info!`) goes into the record with its server and its module.
//!
//! ```
//! use labstd::time;
//! use raftapi::{Index, Role, Term, annotate_interval, report};
//!
//! // When the server wins an election:
//! report::role(Role::Leader, Term(2));
//! // When a follower has replaced its entries from index 8 on by three others:
//! report::truncated(Index(7));
//! report::appended(Index(8), [Term(1), Term(1), Term(2)]);
//! // Anything else that may explain a run:
//! let since = time::run_elapsed();
//! annotate_interval("disk", since, "slow write", "3 records, 812 bytes");
//! ```
//!
//! # Status and subscriptions
//!
//! [`RaftExt::status`] returns a server's state at one moment, and [`RaftExt::subscribe`] delivers changes as they
//! happen. Both are optional; a caller must be able to manage with [`Raft::get_state`].

mod annotate;
mod forward;
mod kv;
mod persister;
mod raft;
mod raft_ext;
pub mod report;
mod status;
mod unwritten;

#[doc(hidden)]
pub use bytes::Bytes;
#[doc(hidden)]
pub use labrpc::Service;

pub use annotate::{annotate, annotate_continuous, annotate_continuous_end, annotate_interval};
pub use ids::{Index, ServerId, Term};
pub use kv::{KvClerk, KvService};
pub use persister::Persister;
pub use raft::{ApplyMsg, Raft, Started};
pub use raft_ext::{Consumer, RaftExt};
pub use record::Role;
pub use status::{Follower, FollowerState, StateChange, Status};
pub use unwritten::{Unwritten, unwritten};
