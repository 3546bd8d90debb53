//! The interface of the replicated key/value service and of its client (KV lab, 2024 edition: `Get`, `Put`, `Append`).

use std::sync::Arc;

use labrpc::{ClientEnd, Service};

use crate::{Persister, ServerId, Term};

/// One server of a replicated key/value service, on top of its own Raft server.
pub trait KvService: Send + Sync + Sized + 'static {
    /// The client of this service.
    type Clerk: KvClerk;

    /// Builds the service and its Raft; returns quickly. `persister` contains the state that an earlier incarnation
    /// saved, including its snapshot.
    ///
    /// `max_raft_state` is the size in bytes of the saved Raft state at which the service should make a snapshot;
    /// `None` means never (the lab's -1).
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, max_raft_state: Option<usize>) -> Self;

    /// Returns the RPC services of this server, including those of its Raft.
    fn services(&self) -> Vec<Service>;

    /// Returns the current term of this server's Raft, and whether it believes that it is the leader.
    fn get_state(&self) -> (Term, bool);

    /// Asks the service and its Raft to stop. Waiting calls get a reply, and all threads of both end soon (the tester
    /// allows 2 s of the run's clock).
    fn kill(&self);
}

/// A client of the service. Each clerk has at most one outstanding call, and each call returns only when its result is
/// definite.
pub trait KvClerk: Send + Sized + 'static {
    /// Builds a clerk from one end per server. The order of the ends does not identify the servers.
    fn make(servers: Vec<ClientEnd>) -> Self;

    /// Returns the value of `key`, or the empty string if it was never written.
    fn get(&mut self, key: &str) -> String;

    /// Replaces the value of `key`.
    fn put(&mut self, key: &str, value: &str);

    /// Appends `value` to the value of `key`. Acts as [`put`](KvClerk::put) if the key has no value.
    fn append(&mut self, key: &str, value: &str);
}
