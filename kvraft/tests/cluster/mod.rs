//! A small cluster of key/value servers and their clerks, for the tests and the benchmark of this crate. The module
//! `servers` of Raft's tests starts, crashes and cuts off the servers.

#![allow(dead_code, reason = "each test file uses only a part of the cluster")]

#[path = "../../../raft/tests/servers/mod.rs"]
pub(crate) mod servers;

use std::ops::Deref;

use labrpc::ClientEnd;
use labstd::channel::Sender;
use labstd::sync::Arc;
use raftapi::{ApplyMsg, KvClerk, KvService, Persister, Raft, RaftExt, ServerId};
use servers::{Kv, Servers};

/// The service under test, over the reference Raft.
pub(crate) type Reference = kvraft::KvServer<raft::Raft>;

/// The service under test, over a Raft without read index.
pub(crate) type PlainService = kvraft::KvServer<PlainRaft>;

/// A Raft with the lab's methods only; the optional ones have their defaults.
pub(crate) struct PlainRaft(raft::Raft);

impl Raft for PlainRaft {
    fn make(peers: Vec<ClientEnd>, me: ServerId, persister: Arc<Persister>, apply_ch: Sender<ApplyMsg>) -> PlainRaft {
        PlainRaft(raft::Raft::make(peers, me, persister, apply_ch))
    }

    raftapi::forward_raft!(0);
}

impl RaftExt for PlainRaft {}

/// Key/value servers, and the limit of their saved Raft state.
pub(crate) struct Cluster<S> {
    servers: Servers<Kv<S>>,
    max_raft_state: Option<usize>,
}

impl<S> Deref for Cluster<S> {
    type Target = Servers<Kv<S>>;

    fn deref(&self) -> &Servers<Kv<S>> {
        &self.servers
    }
}

impl<S: KvService> Cluster<S> {
    /// Starts a cluster of `count` servers, all connected to each other.
    pub(crate) fn new(count: usize, max_raft_state: Option<usize>) -> Cluster<S> {
        let cluster = Cluster { servers: Servers::new(count), max_raft_state };
        (0..count).for_each(|server| cluster.start(server));
        cluster.heal();
        cluster
    }

    /// Starts a server with its saved state. It is not connected to any server yet.
    pub(crate) fn start(&self, me: usize) {
        self.servers.start(me, |ends, persister| Kv(S::make(ends, ServerId(me), persister, self.max_raft_state)));
    }

    /// Cuts the leader off from the other servers. Returns the leader, which still believes that it leads, and the
    /// others.
    pub(crate) fn cut_off_leader(&self) -> (usize, Vec<usize>) {
        loop {
            let leader = self.leader();
            let others = self.others(leader);
            self.partition(&[&others, &[leader]]);
            // On a busy machine it may have been deposed just before the cut.
            if self.server(leader).get_state().1 {
                return (leader, others);
            }
            self.heal();
        }
    }

    /// Builds a clerk that can reach these servers.
    pub(crate) fn clerk(&self, reaches: &[usize]) -> S::Clerk {
        self.numbered_clerk(reaches).0
    }

    pub(crate) fn clerk_of_all(&self) -> S::Clerk {
        self.clerk(&self.all())
    }

    /// Builds a clerk that can reach these servers. Returns it with its number for [`reconnect`](Servers::reconnect).
    pub(crate) fn numbered_clerk(&self, reaches: &[usize]) -> (S::Clerk, usize) {
        let (ends, number) = self.client(reaches);
        (S::Clerk::make(ends), number)
    }
}
