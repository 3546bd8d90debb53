//! The two calls of etcd's v3 interface that this program uses, in Protocol Buffers over gRPC.
//!
//! The messages are declared by hand. They have only the needed fields, under the numbers that etcd documents
//! (`etcdserverpb`); other fields of a response are skipped. A client generated from etcd's definitions would need
//! `protoc`.

use std::time::Duration;

use bytes::Bytes;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// Time limit until a member accepts a connection.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);

/// The request of `KV.Put`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// The response of `KV.Put`, of which no field is needed.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct PutResponse {}

/// The request of `Maintenance.Status`, which is empty.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct StatusRequest {}

/// The response of `Maintenance.Status`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

/// The header of a response.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct ResponseHeader {
    #[prost(uint64, tag = "2")]
    member_id: u64,
}

/// The leader as one member knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeaderView {
    /// The id of the member.
    pub(super) member: u64,
    /// The id of the leader; 0 if there is none.
    pub(super) leader: u64,
}

/// A connection to a member. Clones share it, and each call is a separate stream in it.
#[derive(Clone, Debug)]
pub(super) struct Connection(Grpc<Channel>);

impl Connection {
    /// Connects to the member that listens to clients at `url`.
    ///
    /// # Errors
    ///
    /// If the member does not accept the connection.
    pub(super) async fn open(url: &str) -> Result<Connection, String> {
        let endpoint = Endpoint::from_shared(url.to_string()).map_err(|error| format!("{url}: {error}"))?;
        let endpoint = endpoint.connect_timeout(CONNECTED_WITHIN).tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|error| format!("{url}: {error}"))?;
        Ok(Connection(Grpc::new(channel)))
    }

    /// Puts a value under a key. Returns when the Put is committed and applied.
    ///
    /// # Errors
    ///
    /// The error that etcd returns.
    pub(super) async fn put(&mut self, key: Bytes, value: Bytes) -> Result<(), String> {
        let PutResponse {} = self.call(PutRequest { key, value }, "/etcdserverpb.KV/Put").await?;
        Ok(())
    }

    /// Asks this member for the leader that it knows.
    ///
    /// # Errors
    ///
    /// If the member does not reply.
    pub(super) async fn leader_view(&mut self) -> Result<LeaderView, String> {
        let response: StatusResponse = self.call(StatusRequest {}, "/etcdserverpb.Maintenance/Status").await?;
        Ok(LeaderView { member: response.header.unwrap_or_default().member_id, leader: response.leader })
    }

    async fn call<Q, A>(&mut self, request: Q, path: &'static str) -> Result<A, String>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let complain = |status: Status| format!("{path}: {}", status.message());
        let unready = |error| complain(Status::new(Code::Unavailable, format!("{error}")));
        self.0.ready().await.map_err(unready)?;
        let path = PathAndQuery::from_static(path);
        let response = self.0.unary(Request::new(request), path, ProstCodec::default()).await;
        Ok(response.map_err(complain)?.into_inner())
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
        let status = StatusResponse::decode(&status[..]).expect("the message is well-formed");
        assert_eq!((status.header, status.leader), (Some(ResponseHeader { member_id: 5 }), 9));
    }
}
