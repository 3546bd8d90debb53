//! The key/value service under test: servers, clients, and the tools of the scenarios of part 4.
//!
//! A scenario uses its servers through [`KvCluster`], which hides where they run. [`InProcessCluster`] is the cluster
//! in this process, over the simulated network. [`KvTest`] wraps a cluster of any kind: it creates clients whose
//! operations are counted and recorded. A scenario can also have them written into the history, which is checked after
//! the run.
//!
//! - [`cluster`]: the interface to a cluster of key/value servers.
//! - [`in_process`]: the cluster in this process.
//! - [`appends`]: the check of a value to which clients append.

pub mod appends;
pub mod cluster;
pub mod in_process;

mod in_flight;
mod pending;
mod test;

pub use cluster::{ClerkId, ErasedClerk, KvCluster};
pub use in_process::{InProcessCluster, KvClusterConfig, KvSubject};
pub use pending::Pending;
pub use test::{Clerk, KvTest};
