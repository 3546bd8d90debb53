//! What others have written for the same purpose, driven as its authors would.

pub(crate) mod openraft;
pub(crate) mod raft_rs;
