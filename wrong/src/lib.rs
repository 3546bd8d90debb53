//! For tests alone: one plain Raft and one plain key/value service that can be told to make a mistake, so that it is known
//! which scenario of the lab catches which mistake, how surely, and with which words.
//!
//! [`Raft`] is written the way a good student writes it, with Figure 2 of the paper beside them: one lock over one
//! struct, a thread that sleeps and looks, a thread that delivers, and replies that are dealt with as they come. It is
//! not derived from the reference, so that the scenarios are tried on two Rafts that have nothing in common; without a
//! mistake it has to pass all of them. Each [`Mistake`] is one condition in its code.
//!
//! [`KvServer`] and [`Clerk`] are the same for parts 4A and 4B, and each [`KvMistake`] is one condition in theirs. A server
//! stands on any Raft; on [`Raft`] the two are a lab that is plain from top to bottom.
//!
//! ```
//! use tester::{Clock, Subject, raft_scenarios, runner};
//! use wrong::{Mistake, Raft};
//!
//! let correct = Subject::made_by(Raft::making(None));
//! let first_election = &raft_scenarios(&correct)[0];
//! assert!(runner::run(first_election, Clock::Simulated, 1).passed());
//!
//! let idle = Subject::made_by(Raft::making(Some(Mistake::NeverElects)));
//! let first_election = &raft_scenarios(&idle)[0];
//! let report = runner::run(first_election, Clock::Simulated, 1);
//! assert!(report.broken().unwrap().text.starts_with("no leader after 10 looks"));
//! ```
//!
//! - `state.rs`, `log.rs`, `messages.rs`: what a server knows and says.
//! - `election.rs`, `replication.rs`, `snapshots.rs`: the rules of Figures 2 and 13.
//! - `server.rs`: the lock, the threads, and how changes are saved; `raft.rs`: what the service sees of it.
//! - `kv/`: the service and its clerk.

mod election;
mod kv;
mod log;
mod messages;
mod mistake;
mod raft;
mod replication;
mod server;
mod snapshots;
mod state;

pub use kv::{Clerk, KvMistake, KvServer, NO_MISTAKE};
pub use mistake::Mistake;
pub use raft::Raft;
