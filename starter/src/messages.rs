//! The RPCs of Figures 2 and 13, with the paper's names. Serde encodes them. You may add fields.
//!
//! Figure 2's AppendEntries and Figure 13's InstallSnapshot also carry the leader's id, so that a follower can redirect
//! clients to the leader. In the lab, clients find the leader themselves.

use bytes::Bytes;
use raftapi::{Index, ServerId, Term};
use serde::{Deserialize, Serialize};

use crate::log::Entry;

/// The arguments of RequestVote: "Invoked by candidates to gather votes" (section 5.2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RequestVoteArgs {
    /// The candidate's term.
    pub(crate) term: Term,
    /// The candidate that asks for the vote.
    pub(crate) candidate_id: ServerId,
    /// The index of the candidate's last entry; 0 if it has none.
    pub(crate) last_log_index: Index,
    /// The term of that entry; 0 if there is none.
    pub(crate) last_log_term: Term,
}

/// The reply to RequestVote.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RequestVoteReply {
    /// The voter's term, "for candidate to update itself".
    pub(crate) term: Term,
    /// Whether the candidate gets the vote.
    pub(crate) vote_granted: bool,
}

/// The arguments of AppendEntries: "Invoked by leader to replicate log entries; also used as heartbeat" (sections 5.2,
/// 5.3).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AppendEntriesArgs {
    /// The leader's term.
    pub(crate) term: Term,
    /// The index of the entry before the new ones; 0 if the first new entry is the first of the log.
    pub(crate) prev_log_index: Index,
    /// The term of that entry; 0 if there is none.
    pub(crate) prev_log_term: Term,
    /// The new entries; a heartbeat has none.
    pub(crate) entries: Vec<Entry>,
    /// The leader's commit index.
    pub(crate) leader_commit: Index,
}

/// The reply to AppendEntries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AppendEntriesReply {
    /// The follower's term, "for leader to update itself".
    pub(crate) term: Term,
    /// Whether the follower's log has an entry that matches `prev_log_index` and `prev_log_term`.
    pub(crate) success: bool,
    // Add the fields of fast backup here (end of section 5.3; XTerm, XIndex and XLen in the handout). Without fast
    // backup, a leader needs one RPC for each entry in which a follower's log differs. That is too slow for parts 3B
    // (`backup_3B`) and 3C. A follower that refuses can say: the term of its entry at prev_log_index, if it has one;
    // the index of its first entry of that term; the length of its log.
}

impl AppendEntriesReply {
    /// Builds the reply of a follower whose log matches.
    pub(crate) fn accepted(term: Term) -> AppendEntriesReply {
        AppendEntriesReply { term, success: true }
    }

    /// Builds the reply to a message that does not match the log or has an old term.
    pub(crate) fn refused(term: Term) -> AppendEntriesReply {
        AppendEntriesReply { term, success: false }
    }
}

/// The arguments of InstallSnapshot: "Invoked by leader to send chunks of a snapshot to a follower" (section 7). The
/// lab sends a snapshot in one piece, so `offset` and `done` are not needed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InstallSnapshotArgs {
    /// The leader's term.
    pub(crate) term: Term,
    /// "The snapshot replaces all entries up through and including this index".
    pub(crate) last_included_index: Index,
    /// The term of that entry.
    pub(crate) last_included_term: Term,
    /// The bytes that the service passed to `snapshot`.
    pub(crate) data: Bytes,
}

/// The reply to InstallSnapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InstallSnapshotReply {
    /// The follower's term, "for leader to update itself".
    pub(crate) term: Term,
}
