//! A plain Raft and a plain key/value service that can make a chosen mistake, for tests only. They show which scenario
//! of the lab catches which mistake, how reliably, and with which words.
//!
//! [`Raft`] is written the way a good student writes it from Figure 2 of the paper: one lock over one struct, a ticker
//! thread that sleeps and polls, an applier thread that delivers, and replies that are handled as they come. It is not
//! derived from the reference, so the scenarios run on two independent Rafts. Without a mistake it passes all of them.
//! Each [`Mistake`] is one condition in its code.
//!
//! [`KvServer`] and [`Clerk`] are the same for parts 4A and 4B, and each [`KvMistake`] is one condition in their code.
//! A [`KvServer`] runs on any Raft. On [`Raft`] the whole lab is plain from top to bottom.
//!
//! ```
//! use tester::{Clock, Subject, raft_scenarios, runner};
//! use mistakes::{Mistake, Raft};
//!
//! let correct = Subject::with_factory(Raft::factory(None));
//! let first_election = &raft_scenarios(&correct)[0];
//! assert!(runner::run(first_election, Clock::Simulated, 1).passed());
//!
//! let faulty = Subject::with_factory(Raft::factory(Some(Mistake::NeverElects)));
//! let first_election = &raft_scenarios(&faulty)[0];
//! let report = runner::run(first_election, Clock::Simulated, 1);
//! assert!(report.run_failure().unwrap().text.starts_with("no leader after 10 looks"));
//! ```
//!
//! [`RULES`] lists the rules of the paper and the mistakes that break each of them. The catalogue, in
//! `tests/catalogue`, names the scenario that catches each mistake and the rule that the failure tells. At least 190 of
//! 200 seeds must catch it. The tests run a part of the seeds; these commands run all of them and print the catalogue,
//! or look for the scenarios that catch one mistake:
//!
//! ```text
//! cargo run --release -p mistakes --example catalogue
//! cargo run --release -p mistakes --example explore -- 20 VotesTwiceInATerm
//! ```
//!
//! - `state.rs`, `log.rs`, `messages.rs`: a server's state and its messages.
//! - `election.rs`, `replication.rs`, `snapshots.rs`: the rules of Figures 2 and 13.
//! - `server.rs`: the lock, the threads, and persistence; `raft.rs`: the interface for the service.
//! - `kv/`: the service and its clerk.
//! - `rules.rs`: [`RULES`], the rules of the paper and the mistakes that break each of them.

mod election;
mod kv;
mod log;
mod messages;
mod mistake;
mod raft;
mod replication;
mod rules;
mod server;
pub mod snapshot_thread;
mod snapshots;
mod state;

pub use kv::{Clerk, KvMistake, KvServer, NO_MISTAKE};
pub use mistake::Mistake;
pub use raft::Raft;
pub use rules::{PaperRule, RULES};
