//! The little of etcd's v3 interface that is used here: two calls, in Protocol Buffers over gRPC.
//!
//! The messages are written out with the fields that are needed, under the numbers that etcd documents (`etcdserverpb`);
//! what else is in an answer is skipped. A client made from etcd's definitions would have it all, but needs `protoc`.

use std::time::Duration;

use bytes::Bytes;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// How long it may take until a member accepts a connection.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);

/// What `KV.Put` is asked.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// What `KV.Put` answers: that it was done.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct PutResponse {}

/// What `Maintenance.Status` is asked: nothing.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct StatusRequest {}

/// What `Maintenance.Status` answers.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct ResponseHeader {
    #[prost(uint64, tag = "2")]
    member_id: u64,
}

/// Whom a member takes for the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Belief {
    /// The id of the member.
    pub(super) member: u64,
    /// The id of the leader; 0: there is none.
    pub(super) leader: u64,
}

/// A connection to a member. Clones share it: each call is a stream of its own in it.
#[derive(Clone, Debug)]
pub(super) struct Connection(Grpc<Channel>);

impl Connection {
    /// Connects to the member that listens to clients at `url`.
    ///
    /// # Errors
    ///
    /// If it does not accept.
    pub(super) async fn open(url: &str) -> Result<Connection, String> {
        let endpoint = Endpoint::from_shared(url.to_string()).map_err(|error| format!("{url}: {error}"))?;
        let endpoint = endpoint.connect_timeout(CONNECTED_WITHIN).tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|error| format!("{url}: {error}"))?;
        Ok(Connection(Grpc::new(channel)))
    }

    /// Puts a value under a key; returns when it is committed and applied.
    ///
    /// # Errors
    ///
    /// What etcd has to say against it.
    pub(super) async fn put(&mut self, key: Bytes, value: Bytes) -> Result<(), String> {
        let PutResponse {} = self.call(PutRequest { key, value }, "/etcdserverpb.KV/Put").await?;
        Ok(())
    }

    /// Whom this member takes for the leader.
    ///
    /// # Errors
    ///
    /// If the member does not answer.
    pub(super) async fn belief(&mut self) -> Result<Belief, String> {
        let answer: StatusResponse = self.call(StatusRequest {}, "/etcdserverpb.Maintenance/Status").await?;
        Ok(Belief { member: answer.header.unwrap_or_default().member_id, leader: answer.leader })
    }

    async fn call<Q, A>(&mut self, question: Q, path: &'static str) -> Result<A, String>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let complain = |status: Status| format!("{path}: {}", status.message());
        let unready = |error| complain(Status::new(Code::Unavailable, format!("{error}")));
        self.0.ready().await.map_err(unready)?;
        let path = PathAndQuery::from_static(path);
        let answer = self.0.unary(Request::new(question), path, ProstCodec::default()).await;
        Ok(answer.map_err(complain)?.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn messages_have_the_bytes_that_etcd_documents() {
        let put = PutRequest { key: Bytes::from_static(b"k"), value: Bytes::from_static(b"vw") };
        assert_eq!(put.encode_to_vec(), *b"\x0a\x01k\x12\x02vw");
        // A header with the fields 1 to 4, then version, size, leader and index.
        let status = b"\x0a\x08\x08\x01\x10\x05\x18\x03\x20\x02\x12\x033.4\x18\x07\x20\x09\x28\x04";
        let status = StatusResponse::decode(&status[..]).expect("it is well-formed");
        assert_eq!((status.header, status.leader), (Some(ResponseHeader { member_id: 5 }), 9));
    }
}
