//! The messages of Figures 2 and 13, with the paper's names. What they mean and when they are sent is in `election.rs`,
//! `replication.rs` and `snapshot.rs`.
//!
//! The one addition to the paper's lists is the conflict in [`AppendEntriesReply`], which the paper describes at the
//! end of section 5.3. Numbers are encoded in as many bytes as they need, commands as they are.

use bytes::Bytes;
use raftapi::{Index, ServerId, Term};
use serde::{Deserialize, Serialize};

use super::Entry;

/// Invoked by candidates to gather votes (5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestVoteArgs {
    /// The candidate's term.
    pub term: Term,
    /// The candidate that asks for the vote.
    pub candidate_id: ServerId,
    /// Index of the candidate's last log entry (5.4).
    pub last_log_index: Index,
    /// Term of the candidate's last log entry (5.4).
    pub last_log_term: Term,
}

/// The answer to [`RequestVoteArgs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestVoteReply {
    /// The answering server's current term, for the candidate to update itself.
    pub term: Term,
    /// True means that the candidate received the vote.
    pub vote_granted: bool,
}

/// Invoked by the leader to replicate log entries (5.3); also used as heartbeat, without entries (5.2).
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
    /// Log entries to store; empty for a heartbeat, several for efficiency.
    pub entries: Vec<Entry>,
    /// The leader's commit index.
    pub leader_commit: Index,
}

/// The answer to [`AppendEntriesArgs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AppendEntriesReply {
    /// The answering server's current term, for the leader to update itself.
    pub term: Term,
    /// True if the follower had an entry matching `prev_log_index` and `prev_log_term`.
    pub success: bool,
    /// On a conflict: the term of the follower's entry at `prev_log_index`; `None` if its log is too short to have one.
    pub conflict_term: Option<Term>,
    /// On a conflict: the first index the follower has of that term; if its log is too short, the index after its end.
    pub conflict_index: Index,
}

/// Invoked by the leader to send its snapshot to a follower that is too far behind (section 7). It is sent as one chunk,
/// so it needs neither the paper's `offset` nor its `done`.
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

/// The answer to [`InstallSnapshotArgs`]. If it is of the leader's own term, the follower has everything that the
/// snapshot covers, from this snapshot or from before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InstallSnapshotReply {
    /// The answering server's current term, for the leader to update itself.
    pub term: Term,
}

impl AppendEntriesArgs {
    /// Where the follower's log agrees with the leader's if this request succeeds: the index of the last new entry, or
    /// of the one before them if there are none.
    pub fn last_index(&self) -> Index {
        Index(self.prev_log_index.0 + self.entries.len() as u64)
    }
}

impl AppendEntriesReply {
    /// The follower has everything that was sent.
    pub(super) fn success(term: Term) -> AppendEntriesReply {
        AppendEntriesReply { term, success: true, conflict_term: None, conflict_index: Index::ZERO }
    }

    /// The request was of an earlier term; whatever the logs are like, its sender does not lead any more.
    pub(super) fn stale(term: Term) -> AppendEntriesReply {
        AppendEntriesReply { term, success: false, conflict_term: None, conflict_index: Index::ZERO }
    }
}
