//! What a story needs of key/value servers, wherever they run.

use std::fmt;

use labrpc::Network;
use raftapi::{KvClerk, ServerId, Term};

/// A clerk of a cluster: the first is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClerkId(pub usize);

impl fmt::Display for ClerkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "C{}", self.0)
    }
}

/// A cluster of key/value servers. At first all of them run, and all can talk to each other.
///
/// Time is that of [`labstd`]: a story sleeps and looks at the clock by itself.
pub trait KvCluster: Send + Sync {
    /// The number of servers, those that do not run included.
    fn len(&self) -> usize;

    /// Whether there are no servers; there always are some.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Of the servers that run and believe that they lead, the one of the highest term.
    fn leader(&self) -> Option<(Term, ServerId)>;

    /// Servers can talk to those of their own part, and not to those of another. A server that is in no part keeps its
    /// links. Clerks are not concerned: they reach both sides.
    fn partition(&self, parts: &[&[ServerId]]);

    /// Stops `server`; what it has saved stays. Does nothing if it does not run.
    fn crash(&self, server: ServerId);

    /// Starts a crashed server from what it has saved. Clerks can reach it at once, other servers only after the next
    /// [`partition`](KvCluster::partition), which may be one part of all servers. One whose crash was left out because all is
    /// [calm](crate::calm) runs on.
    ///
    /// # Panics
    ///
    /// If it runs, and not for that reason.
    fn start(&self, server: ServerId);

    /// A new clerk, that can reach only the servers in `to`.
    fn clerk(&self, to: &[ServerId]) -> (ClerkId, Box<dyn ErasedClerk>);

    /// A clerk can reach the servers in `to` too, from now on.
    fn connect_clerk(&self, clerk: ClerkId, to: &[ServerId]);

    /// The size in bytes of the largest Raft state that a server has saved, without snapshots; those that are crashed or
    /// cut off count as well.
    fn log_size(&self) -> usize;

    /// The size in bytes of the largest snapshot that a server has saved; those that are crashed or cut off count as well.
    fn snapshot_size(&self) -> usize;

    /// RPCs sent so far, between servers and by clerks, those that were lost included.
    fn rpcs(&self) -> u64;

    /// Bytes of arguments and of replies so far.
    fn bytes(&self) -> u64;

    /// Ends the story: stops every server and the network between them. Returns when nothing of them is left.
    ///
    /// # Panics
    ///
    /// If something does not end.
    fn shut_down(&self);

    /// Stops everything without waiting for it, because the run has failed already.
    fn abandon(&self);

    /// The network, if it is one in this process whose single messages a story can hold and lose.
    fn network(&self) -> Option<&Network> {
        None
    }
}

/// A [`KvClerk`], whatever its type.
pub trait ErasedClerk: Send {
    /// See [`KvClerk::get`].
    fn get(&mut self, key: &str) -> String;

    /// See [`KvClerk::put`].
    fn put(&mut self, key: &str, value: &str);

    /// See [`KvClerk::append`].
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
