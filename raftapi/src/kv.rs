//! The interface of the replicated key/value service and of its client (KV lab, 2024 edition: `Get`, `Put`, `Append`).

use std::sync::Arc;

use labrpc::{ClientEnd, Service};

use crate::{Persister, ServerId, Term};

/// One server of a replicated key/value service, standing on a Raft of its own.
pub trait KvService: Send + Sync + Sized + 'static {
    /// The client of this service.
    type Clerk: KvClerk;

    /// Builds the service and its Raft; returns quickly. What an earlier incarnation saved, its snapshot included, is in
    /// `persister`.
    ///
    /// `max_raft_state` is the size in bytes of the saved Raft state at which the service should make a snapshot;
    /// `None` means never (the lab's -1).
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, max_raft_state: Option<usize>) -> Self;

    /// The RPC services of this server, those of its Raft included.
    fn services(&self) -> Vec<Service>;

    /// The current term of this server's Raft, and whether it believes that it is the leader.
    fn get_state(&self) -> (Term, bool);

    /// Asks the service and its Raft to stop. Calls that wait are answered, and all threads of both end soon (the tester
    /// allows 2 s of the run's clock).
    fn kill(&self);
}

/// A client of the service. Each clerk has at most one call outstanding, and each call returns only when it has a
/// definite answer.
pub trait KvClerk: Send + Sized + 'static {
    /// Builds a clerk over one end a server, in an order that says nothing about which server is which.
    fn make(servers: Vec<ClientEnd>) -> Self;

    /// The value of `key`, or the empty string if it was never written.
    fn get(&mut self, key: &str) -> String;

    /// Replaces the value of `key`.
    fn put(&mut self, key: &str, value: &str);

    /// Adds `value` at the end of the value of `key`; acts as [`put`](KvClerk::put) if there is none.
    fn append(&mut self, key: &str, value: &str);
}
