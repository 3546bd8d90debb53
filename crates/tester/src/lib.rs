//! The tester: clusters, faults, checks and the scenarios of the lab, for any [`Raft`](raftapi::Raft).
//!
//! A scenario is a plain function over a [`Cluster`], written once. [`raft_tests!`] turns each scenario of the table
//! into two `#[test]` functions, one in the simulation and one on threads:
//!
//! ```ignore
//! tester::raft_tests!(raft::Raft);
//! ```
//!
//! The numbers of every scenario (sleeps, counts, bounds) are those of the course's 2024 edition. Where a check of the
//! course is weaker than it claims to be, ours is as strong as it claims.
//!
//! - [`scenarios`]: the scenarios, one file per part, and the table of them.
//! - [`cluster`]: servers, links, crashes, and the checks that a scenario calls.
//! - [`kv`]: key/value servers, their clients, and the tools of the scenarios of part 4.
//! - [`diagnosis`]: the rule that a failed run has broken, or may have broken.
//! - [`runner`]: one run of one scenario under one clock with one seed, and its report.
//! - [`determinism`]: a second run of a seed, and the first difference.
//! - `recorded_rerun`: the record of a failed run that was not recorded.
//! - [`fault_cutoff`]: runs whose faults end at a given moment.
//! - [`harness`]: the body of a `#[test]`: seeds, repetition of disturbed runs, printed lines.
//! - [`artifacts`]: the files that a run leaves on disk, also after Ctrl-C.
//! - [`gate`]: admission of concurrent runs.

pub mod artifacts;
pub mod cluster;
pub mod determinism;
pub mod fault_cutoff;
pub mod gate;
pub mod harness;
pub mod kv;
pub mod lines;
pub mod runner;
pub mod scenarios;

mod applied;
mod command;
mod divergence;
mod history_check;
mod part;
mod recorded_rerun;
mod report;
mod scenario;
mod scenario_info;
mod server_hosts;
mod snapshot;
mod stderr;
mod subject;
mod violation;

pub use applied::AppliedEntries;
pub use cluster::{Cluster, ClusterConfig, Metrics, RaftFactory, Retry};
pub use command::Command;
pub use divergence::Divergence;
pub use kv::KvSubject;
pub use labstd::Clock;
pub use part::{Layer, Part};
pub use report::{Report, RunFailure, Verdict};
pub use scenario::{ClientHistory, Progress, Scenario, ScenarioOutcome, Stage};
pub use scenario_info::ScenarioInfo;
pub use scenarios::kv::{KvClusterFactory, kv_scenarios, kv_scenarios_at_pace, kv_scenarios_on};
pub use scenarios::kv_generic::PACE;
pub use scenarios::raft_scenarios;
pub use snapshot::Snapshot;
pub use subject::Subject;
pub use violation::{Violation, ViolationKind};
