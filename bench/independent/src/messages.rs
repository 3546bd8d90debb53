//! Messages as calls. Each request of `raft-rs` is one call, whose method has the name that the lab gives to a request
//! of its kind. The responses travel in the reply of the call.

use bytes::Bytes;
use protobuf::Message as _;
use raft_rs::eraftpb::{Message, MessageType};
use raftapi::ServerId;

/// The name of the service.
pub(crate) const SERVICE: &str = "Raft";

/// The names of its methods.
pub(crate) const METHODS: [&str; 4] = ["RequestVote", "PreVote", "AppendEntries", "InstallSnapshot"];

/// Returns the method that takes a request of this kind; `None` if it is a response.
///
/// # Panics
///
/// If a server of the lab never sends messages of this kind.
pub(crate) fn method(kind: MessageType) -> Option<&'static str> {
    match kind {
        MessageType::MsgRequestVote => Some("Raft.RequestVote"),
        MessageType::MsgRequestPreVote => Some("Raft.PreVote"),
        MessageType::MsgAppend | MessageType::MsgHeartbeat => Some("Raft.AppendEntries"),
        MessageType::MsgSnapshot => Some("Raft.InstallSnapshot"),
        MessageType::MsgRequestVoteResponse
        | MessageType::MsgRequestPreVoteResponse
        | MessageType::MsgAppendResponse
        | MessageType::MsgHeartbeatResponse => None,
        other => panic!("{other:?} is no message between the servers of the lab"),
    }
}

/// Returns the id that `raft-rs` uses for a server; its ids begin with 1.
pub(crate) fn id_of(server: ServerId) -> u64 {
    server.0 as u64 + 1
}

/// Returns the server with this id.
pub(crate) fn server_of(id: u64) -> ServerId {
    ServerId(id as usize - 1)
}

pub(crate) fn encode(message: &Message) -> Bytes {
    message.write_to_bytes().expect("all fields are set").into()
}

/// # Panics
///
/// If these bytes are no message: the network of the lab loses messages, but does not change them.
pub(crate) fn decode(bytes: &[u8]) -> Message {
    Message::parse_from_bytes(bytes).expect("a message is what another server encoded")
}
