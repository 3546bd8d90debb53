//! Interface to key/value servers that scenarios use, wherever the servers run.

use std::fmt;

use labrpc::Network;
use raftapi::{KvClerk, ServerId, Term};

/// Number of a clerk of a cluster, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClerkId(pub usize);

impl fmt::Display for ClerkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "C{}", self.0)
    }
}

/// A cluster of key/value servers. At first all of them are running and can communicate.
///
/// Time is that of [`labstd`]: a scenario sleeps and reads the clock itself.
pub trait KvCluster: Send + Sync {
    /// Returns the number of servers, including stopped ones.
    fn len(&self) -> usize;

    /// Returns whether there are no servers; there always are some.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the running server that believes that it leads; if there are several, the one with the highest term.
    fn leader(&self) -> Option<(Term, ServerId)>;

    /// Partitions the servers: a server can communicate only within its own part. A server that is in no part keeps its
    /// links. Clerks are not affected: they reach both sides.
    fn partition(&self, parts: &[&[ServerId]]);

    /// Stops `server`; its saved state stays. Does nothing if it is not running.
    fn crash(&self, server: ServerId);

    /// Starts a crashed server from its saved state. Clerks can reach it immediately, other servers only after the next
    /// [`partition`](KvCluster::partition), which may be one part of all servers. If its crash was skipped after the
    /// [fault cutoff](crate::fault_cutoff), the server keeps running.
    ///
    /// # Panics
    ///
    /// If it is running for another reason.
    fn start(&self, server: ServerId);

    /// Creates a clerk that can reach only the servers in `to`.
    fn clerk(&self, to: &[ServerId]) -> (ClerkId, Box<dyn ErasedClerk>);

    /// Also connects a clerk to the servers in `to`, from now on.
    fn connect_clerk(&self, clerk: ClerkId, to: &[ServerId]);

    /// Returns the size in bytes of the largest saved Raft state, without snapshots. Crashed and disconnected servers
    /// count.
    fn log_size(&self) -> usize;

    /// Returns the size in bytes of the largest saved snapshot. Crashed and disconnected servers count.
    fn snapshot_size(&self) -> usize;

    /// Returns the number of RPCs so far, between servers and by clerks, including lost ones.
    fn rpcs(&self) -> u64;

    /// Returns the number of bytes of arguments and replies so far.
    fn bytes(&self) -> u64;

    /// Ends the scenario: stops every server and the network between them. Returns when everything has ended.
    ///
    /// # Panics
    ///
    /// If something does not end.
    fn shut_down(&self);

    /// Stops everything without waiting, because the run has already failed.
    fn abandon(&self);

    /// Returns the network, if it is in this process, so that a scenario can hold and drop single messages.
    fn network(&self) -> Option<&Network> {
        None
    }
}

/// A [`KvClerk`] of any type.
pub trait ErasedClerk: Send {
    /// Calls [`KvClerk::get`].
    fn get(&mut self, key: &str) -> String;

    /// Calls [`KvClerk::put`].
    fn put(&mut self, key: &str, value: &str);

    /// Calls [`KvClerk::append`].
    fn append(&mut self, key: &str, value: &str);
}

impl<C: KvClerk> ErasedClerk for C {
    fn get(&mut self, key: &str) -> String {
        KvClerk::get(self, key)
    }

    fn put(&mut self, key: &str, value: &str) {
        KvClerk::put(self, key, value);
    }

    fn append(&mut self, key: &str, value: &str) {
        KvClerk::append(self, key, value);
    }
}
