//! The status that a server reports, and its encoding.

use bytes::Bytes;
use labgob::DecodeError;
use raftapi::{FollowerState, Index, Role, ServerId, Term};
use serde::{Deserialize, Serialize};

/// Status of a server; all fields are of one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The id of the server.
    pub server: ServerId,
    /// The current term.
    pub term: Term,
    /// The role in that term.
    pub role: NodeRole,
    /// The leader of that term, if the server knows it.
    pub leader: Option<ServerId>,
    /// The index of the first entry in the log.
    pub first_index: Index,
    /// The index of the last entry; if the log is empty, the index before [`first_index`](NodeStatus::first_index).
    pub last_index: Index,
    /// The highest index that the server knows to be committed.
    pub commit_index: Index,
    /// The index of the last applied entry.
    pub applied: Index,
    /// The size of the log, in bytes.
    pub log_bytes: u64,
    /// The size of all keys and values, in bytes.
    pub data_bytes: u64,
    /// The number of waiting client requests.
    pub waiting: usize,
    /// The state of each follower, if the server leads; otherwise empty.
    pub followers: Vec<FollowerStatus>,
    /// The reason why the server is not a usual member of the cluster yet; otherwise empty.
    pub standing: String,
}

/// The role of a server in its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeRole {
    /// The server follows a leader or waits for one.
    Follower,
    /// The server requests votes.
    Candidate,
    /// The server leads.
    Leader,
}

/// State of one follower as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowerStatus {
    /// The id of the follower.
    pub server: ServerId,
    /// The highest index up to which the follower's log is known to match the leader's.
    pub match_index: Index,
    /// The index of the next entry to send.
    pub next_index: Index,
    /// The replication state, in one word.
    pub state: String,
    /// Whether the leader is connected to the follower.
    pub connected: bool,
}

impl NodeStatus {
    /// Encodes the status for the wire.
    pub fn encode(&self) -> Bytes {
        labgob::encode(self)
    }

    /// Decodes a status from the wire.
    ///
    /// # Errors
    ///
    /// If the bytes are not a status.
    pub fn decode(bytes: &[u8]) -> Result<NodeStatus, DecodeError> {
        labgob::decode(bytes)
    }
}

impl From<Role> for NodeRole {
    fn from(role: Role) -> NodeRole {
        match role {
            Role::Follower => NodeRole::Follower,
            Role::Candidate => NodeRole::Candidate,
            Role::Leader => NodeRole::Leader,
        }
    }
}

impl NodeRole {
    /// Returns the role in one word.
    pub fn name(self) -> &'static str {
        match self {
            NodeRole::Follower => "follower",
            NodeRole::Candidate => "candidate",
            NodeRole::Leader => "leader",
        }
    }
}

/// Returns the replication state of a follower in one word.
pub(super) fn state_name(state: FollowerState) -> String {
    let name = match state {
        FollowerState::Probing => "probing",
        FollowerState::Replicating => "replicating",
        FollowerState::ReceivingSnapshot => "snapshot",
        FollowerState::Silent => "silent",
    };
    name.to_string()
}
