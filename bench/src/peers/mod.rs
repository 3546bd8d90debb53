//! Peers: other Raft libraries, used as their authors recommend.

pub(crate) mod openraft;
pub(crate) mod raft_rs;
