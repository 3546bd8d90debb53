//! The messages of Figures 2 and 13, with the paper's names in snake case. `election.rs`, `replication.rs` and
//! `snapshot.rs` explain their meaning and when they are sent.
//!
//! There is one addition to the paper's lists: the conflict in [`AppendEntriesReply`], which the paper describes at the
//! end of section 5.3. Each number is encoded in as many bytes as it needs, and a command is encoded as its bytes.

use bytes::Bytes;
use raftapi::{Index, ServerId, Term};
use serde::{Deserialize, Serialize};

use super::Entry;

/// The RequestVote request: "Invoked by candidates to gather votes" (5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestVoteArgs {
    /// The candidate's term.
    pub term: Term,
    /// The candidate that requests the vote.
    pub candidate_id: ServerId,
    /// Index of the candidate's last log entry (5.4).
    pub last_log_index: Index,
    /// Term of the candidate's last log entry (5.4).
    pub last_log_term: Term,
}

/// The reply to [`RequestVoteArgs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestVoteReply {
    /// The current term of the server that replies, for the candidate to update itself.
    pub term: Term,
    /// True means that the candidate received the vote.
    pub vote_granted: bool,
}

/// The AppendEntries request: "Invoked by leader to replicate log entries" (5.3); "also used as heartbeat" (5.2),
/// without entries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AppendEntriesArgs {
    /// The leader's term.
    pub term: Term,
    /// The leader, so that a follower knows it.
    pub leader_id: ServerId,
    /// Index of the log entry immediately preceding the new ones.
    pub prev_log_index: Index,
    /// Term of that entry.
    pub prev_log_term: Term,
    /// Log entries to store; empty for a heartbeat. One request may carry several entries for efficiency.
    pub entries: Vec<Entry>,
    /// The leader's commit index.
    pub leader_commit: Index,
}

/// The reply to [`AppendEntriesArgs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AppendEntriesReply {
    /// The current term of the server that replies, for the leader to update itself.
    pub term: Term,
    /// True if the follower had an entry matching `prev_log_index` and `prev_log_term`.
    pub success: bool,
    /// On a conflict: the term of the follower's entry at `prev_log_index`; `None` if its log is too short to have one.
    pub conflict_term: Option<Term>,
    /// On a conflict: the first index that the follower has of that term. If its log is too short: the index after its
    /// end.
    pub conflict_index: Index,
}

/// The InstallSnapshot request: a leader sends its snapshot to a follower that is too far behind (section 7). It
/// carries the whole snapshot as one chunk, so it needs neither the paper's `offset` nor its `done`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InstallSnapshotArgs {
    /// The leader's term.
    pub term: Term,
    /// The leader, so that a follower knows it.
    pub leader_id: ServerId,
    /// The snapshot replaces all entries up to and including this index.
    pub last_included_index: Index,
    /// Term of that entry.
    pub last_included_term: Term,
    /// The whole snapshot.
    pub data: Bytes,
}

/// The reply to [`InstallSnapshotArgs`]. If it has the leader's own term, the follower has everything that the snapshot
/// covers, either from this snapshot or from before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InstallSnapshotReply {
    /// The current term of the server that replies, for the leader to update itself.
    pub term: Term,
}

impl AppendEntriesArgs {
    /// Returns the index up to which the follower's log agrees with the leader's if this request succeeds: the index of
    /// the last new entry, or `prev_log_index` if there are none.
    pub fn last_index(&self) -> Index {
        Index(self.prev_log_index.0 + self.entries.len() as u64)
    }
}

impl AppendEntriesReply {
    /// Returns the reply of a follower that has all entries of the request.
    pub(super) fn success(term: Term) -> AppendEntriesReply {
        AppendEntriesReply { term, success: true, conflict_term: None, conflict_index: Index::ZERO }
    }

    /// Returns the reply to a request of an earlier term. The sender no longer leads, so the logs do not matter.
    pub(super) fn stale(term: Term) -> AppendEntriesReply {
        AppendEntriesReply { term, success: false, conflict_term: None, conflict_index: Index::ZERO }
    }
}
