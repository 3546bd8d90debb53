//! The tester: clusters, faults, checks and the scenarios of the lab, for any [`Raft`](raftapi::Raft).
//!
//! A scenario is a plain function over a [`Cluster`], written once. [`raft_tests!`] turns the table of scenarios into two
//! `#[test]` functions each, one in the simulation and one on threads:
//!
//! ```ignore
//! tester::raft_tests!(raft::Raft);
//! ```
//!
//! The numbers of every scenario (sleeps, counts, bounds) are those of the course's 2024 edition; where a check of the
//! course is weaker than it claims to be, ours is as strong as it claims.
//!
//! - [`scenarios`]: the stories, one file a part, and the table of them.
//! - [`cluster`]: servers, links, crashes, the checks on all that is applied, and the questions a story asks.
//! - [`kv`]: key/value servers, their clients, and what a story of part 4 is told with.
//! - [`diagnosis`]: which rule a failed run has broken, or may have.
//! - [`runner`]: one run of one scenario under one clock with one seed, and what came of it.
//! - [`again`]: a second run of a seed, and where it differs from the first.
//! - [`calm`]: runs whose faults end at a moment.
//! - [`harness`]: what a `#[test]` does: seeds, the rule for disturbed runs, the printed lines.
//! - [`keep`]: what is left of a run on disk, also when somebody presses Ctrl-C.
//! - [`gate`]: who may run beside whom.

pub mod determinism;
pub mod fault_cutoff;
pub mod cluster;
pub mod diagnosis;
pub mod gate;
pub mod harness;
pub mod artifacts;
pub mod kv;
pub mod lines;
pub mod runner;
pub mod scenarios;

mod applied;
mod command;
mod server_hosts;
mod history_check;
mod scenario;
mod snapshot;
mod subject;
mod violation;

pub use determinism::Divergence;
pub use applied::AppliedEntries;
pub use cluster::{Cluster, Metrics, RaftFactory, Retry, ClusterConfig};
pub use command::Command;
pub use diagnosis::{Diagnosis, Finding, Rule};
pub use kv::KvSubject;
pub use labstd::Clock;
pub use runner::{RunFailure, Report, Verdict};
pub use scenario::{ScenarioInfo, ClientHistory, Layer, Part, Progress, Scenario, Stage, ScenarioOutcome};
pub use scenarios::kv::{KvClusterFactory, kv_scenarios, kv_scenarios_on};
pub use scenarios::raft_scenarios;
pub use snapshot::Snapshot;
pub use subject::Subject;
pub use violation::{ViolationKind, Violation};
