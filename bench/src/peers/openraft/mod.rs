//! `openraft`, in the setup of its own benchmark: three nodes in this process, the log in a `BTreeMap`, a network that
//! calls the other node without encoding messages, no snapshots. The state machine is a map, as ours is.
//!
//! It runs in its fastest setup on two cores, found by trial: a runtime of two workers for the nodes and one of one
//! worker for the clients, a separate response for each request (streaming is slower in one process), batches of up to
//! 1,024 entries.

mod log;
mod machine;
mod network;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openraft::impls::leader_id_std::LeaderId;
use openraft::impls::{Entry, EntryPayload, InlineBatch, OneshotResponder};
use openraft::vote::leader_id_std::CommittedLeaderId;
use openraft::{Config, RaftTypeConfig, SnapshotPolicy, Vote};
use openraft_rt_tokio::TokioRuntime;
use tokio::runtime::Builder;

use self::machine::Machine;
use self::network::Router;
use crate::cpu;

/// A Put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Put {
    key: u64,
    value: [u8; 16],
}

impl fmt::Display for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "put {}", self.key)
    }
}

/// The type configuration of the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Types;

impl RaftTypeConfig for Types {
    type D = Put;
    type R = ();
    type NodeId = u64;
    type Node = ();
    type Term = u64;
    type LeaderId = LeaderId<u64, u64>;
    type Vote = Vote<LeaderId<u64, u64>>;
    type Payload = EntryPayload<Put, u64, ()>;
    type Entry = Entry<CommittedLeaderId<u64>, EntryPayload<Put, u64, ()>>;
    type AsyncRuntime = TokioRuntime;
    type Responder<T>
        = OneshotResponder<Types, T>
    where
        T: openraft::OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: openraft::OptionalSend + 'static;
    type ErrorSource = openraft::AnyError;
}

/// A node.
type Node = openraft::Raft<Types, Machine>;

const NODES: u64 = 3;

/// Time limit of an election.
const ELECTION_LIMIT: Duration = Duration::from_secs(30);

/// Returns the number of Puts per second of `clients` clients on two cores. Each client is a closed loop on its own
/// key.
pub(crate) fn puts_a_second(clients: u64, measured: Duration) -> f64 {
    cpu::on_cores(2, || {
        let [for_nodes, for_clients] = [2, 1].map(|workers| {
            Builder::new_multi_thread().worker_threads(workers).enable_all().build().expect("a runtime starts")
        });
        let leader = for_nodes.block_on(start());
        let a_second = for_clients.block_on(for_clients.spawn(put(clients, measured, leader)));
        for_clients.shutdown_background();
        for_nodes.shutdown_background();
        a_second.expect("no task panics")
    })
}

/// Runs all clients. Returns their Puts per second.
async fn put(clients: u64, measured: Duration, leader: Node) -> f64 {
    let begun = Instant::now();
    let clients: Vec<_> =
        (0..clients).map(|key| tokio::spawn(put_until(begun + measured, key, leader.clone()))).collect();
    let mut puts = 0;
    for client in clients {
        puts += client.await.expect("a client does not panic");
    }
    puts as f64 / begun.elapsed().as_secs_f64()
}

/// Starts a cluster. Returns its leader.
async fn start() -> Node {
    let config = Config {
        // In milliseconds, and long enough that a busy machine causes no election.
        election_timeout_min: 2000,
        election_timeout_max: 4000,
        max_payload_entries: 1024,
        snapshot_policy: SnapshotPolicy::Never,
        ..Config::default()
    };
    let config = Arc::new(config.validate().expect("the configuration is valid"));
    let router = Router::default();
    for id in 0..NODES {
        let node = Node::new(id, Arc::clone(&config), router.clone(), log::Store::default(), Machine::default());
        router.add(id, node.await.expect("a node starts"));
    }
    let first = router.node(0);
    first.initialize((0..NODES).collect::<BTreeSet<u64>>()).await.expect("the cluster is new");
    for id in 0..NODES {
        // The first entry is the membership, the second is the new leader's.
        let applied =
            router.node(id).wait(Some(ELECTION_LIMIT)).applied_index_at_least(Some(1), "there is a leader").await;
        applied.expect("there is a leader within the limit");
    }
    first
}

/// Runs one client. Returns the number of its Puts.
async fn put_until(end: Instant, key: u64, leader: Node) -> u64 {
    let mut puts = 0;
    while Instant::now() < end {
        leader.client_write(Put { key, value: *b"16 bytes of text" }).await.expect("the leader stays");
        puts += 1;
    }
    puts
}
