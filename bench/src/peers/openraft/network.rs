//! The network between the `openraft` nodes: direct calls.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use openraft::alias::{SnapshotOf, VoteOf};
use openraft::error::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{AnyError, OptionalSend};

use super::{Node, Types};

/// All nodes. Clones share the same map.
#[derive(Clone, Default)]
pub(super) struct Router(Arc<Mutex<BTreeMap<u64, Node>>>);

impl Router {
    pub(super) fn add(&self, id: u64, node: Node) {
        self.0.lock().expect("no thread panics under this lock").insert(id, node);
    }

    pub(super) fn node(&self, id: u64) -> Node {
        self.0.lock().expect("no thread panics under this lock")[&id].clone()
    }
}

impl RaftNetworkFactory<Types> for Router {
    type Network = PeerClient;

    async fn new_client(&mut self, target: u64, (): &()) -> PeerClient {
        PeerClient(self.node(target))
    }
}

/// The client for one node.
pub(super) struct PeerClient(Node);

impl RaftNetworkV2<Types> for PeerClient {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        self.0.append_entries(request).await.map_err(unreachable)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        _: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.0.vote(request).await.map_err(unreachable)
    }

    async fn full_snapshot(
        &mut self,
        _: VoteOf<Types>,
        _: SnapshotOf<Types, ()>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(Unreachable::new(&AnyError::error("there are no snapshots")).into())
    }
}

fn unreachable(error: impl std::error::Error + 'static) -> RPCError<Types> {
    Unreachable::new(&error).into()
}
