//! The key/value service under test: servers, clients, and what a story of part 4 is told with.
//!
//! A story sees its servers through [`KvCluster`], which says nothing of where they run; [`InProcessCluster`] is the cluster in
//! this process, over the simulated network. Around it, [`KvTest`] is the same for every cluster: it makes clients whose
//! operations are counted, recorded and, where a story asks for it, written into the history that is judged when the run
//! is over.
//!
//! - [`cluster`]: what a cluster of key/value servers must be able to do.
//! - [`in_process`]: the one in this process.
//! - [`appends`]: what must be in a value to which clients append.

pub mod appends;
pub mod cluster;
pub mod in_process;

mod pending;
mod test;
mod in_flight;

pub use cluster::{ClerkId, KvCluster, ErasedClerk};
pub use in_process::{InProcessCluster, KvFactory, KvClusterConfig, KvSubject};
pub use pending::Pending;
pub use test::{Clerk, KvTest};
