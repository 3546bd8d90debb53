//! The messages between servers: the RPCs of Figures 2 and 13, with the fast back-off from the end of section 5.3, and
//! with snapshots in one piece.

use bytes::Bytes;
use raftapi::{Index, ServerId, Term};
use serde::{Deserialize, Serialize};

use crate::log::Entry;

#[derive(Serialize, Deserialize)]
pub(crate) struct RequestVoteArgs {
    pub(crate) term: Term,
    pub(crate) candidate_id: ServerId,
    pub(crate) last_log_index: Index,
    pub(crate) last_log_term: Term,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RequestVoteReply {
    pub(crate) term: Term,
    pub(crate) vote_granted: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AppendEntriesArgs {
    pub(crate) term: Term,
    pub(crate) prev_log_index: Index,
    pub(crate) prev_log_term: Term,
    pub(crate) entries: Vec<Entry>,
    pub(crate) leader_commit: Index,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AppendEntriesReply {
    pub(crate) term: Term,
    pub(crate) success: bool,
    /// If the logs do not match: the term of the conflicting entry, if there is one.
    pub(crate) conflict_term: Option<Term>,
    /// If the logs do not match: the first index of that term, or the first index without an entry if there is none.
    pub(crate) conflict_index: Index,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct InstallSnapshotArgs {
    pub(crate) term: Term,
    pub(crate) last_included_index: Index,
    pub(crate) last_included_term: Term,
    pub(crate) data: Bytes,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct InstallSnapshotReply {
    pub(crate) term: Term,
}
