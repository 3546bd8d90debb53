//! What a server tells of itself to whoever asks, and how it travels.

use bytes::Bytes;
use labgob::DecodeError;
use raftapi::{FollowerState, Index, Role, ServerId, Term};
use serde::{Deserialize, Serialize};

/// How a server stands, all of it at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Which server it is.
    pub server: ServerId,
    /// Its term.
    pub term: Term,
    /// What it is in that term.
    pub role: RoleInTerm,
    /// The leader of that term, as far as it knows.
    pub leader: Option<ServerId>,
    /// The index of the first entry in its log.
    pub first_index: Index,
    /// The index of the last one; the one before [`first_index`](NodeStatus::first_index) if the log is empty.
    pub last_index: Index,
    /// The highest index that it knows to be committed.
    pub commit_index: Index,
    /// The last entry whose effects are in its data.
    pub applied: Index,
    /// How many bytes of log it keeps.
    pub log_bytes: u64,
    /// How many bytes all keys and values have.
    pub data_bytes: u64,
    /// How many clients are waiting for it.
    pub waiting: usize,
    /// Of a leader: what it knows of the others.
    pub followers: Vec<FollowerStatus>,
}

/// What a server is in its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoleInTerm {
    /// It follows.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It leads.
    Leader,
}

/// What a leader knows of another server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowerStatus {
    /// Which one.
    pub server: ServerId,
    /// Up to where its log is known to be the leader's.
    pub match_index: Index,
    /// What it is sent next.
    pub next_index: Index,
    /// How the leader treats it: one word.
    pub state: String,
    /// Whether there is a connection to it.
    pub connected: bool,
}

impl NodeStatus {
    /// As it travels.
    pub fn encode(&self) -> Bytes {
        labgob::encode(self)
    }

    /// From what has travelled.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn decode(bytes: &[u8]) -> Result<NodeStatus, DecodeError> {
        labgob::decode(bytes)
    }
}

impl From<Role> for RoleInTerm {
    fn from(role: Role) -> RoleInTerm {
        match role {
            Role::Follower => RoleInTerm::Follower,
            Role::Candidate => RoleInTerm::Candidate,
            Role::Leader => RoleInTerm::Leader,
        }
    }
}

impl RoleInTerm {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            RoleInTerm::Follower => "follower",
            RoleInTerm::Candidate => "candidate",
            RoleInTerm::Leader => "leader",
        }
    }
}

/// A leader's treatment of a follower, in one word.
pub(super) fn word(state: FollowerState) -> String {
    let word = match state {
        FollowerState::Probing => "probing",
        FollowerState::Replicating => "replicating",
        FollowerState::ReceivingSnapshot => "snapshot",
        FollowerState::Silent => "silent",
    };
    word.to_string()
}
