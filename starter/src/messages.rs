//! The RPCs of Figures 2 and 13, with the paper's names. They are encoded with serde on their way; fields may be added.
//!
//! Figure 2's AppendEntries and Figure 13's InstallSnapshot also say who the leader is, so that a follower can send
//! clients there; in the lab clients find it by themselves.

use bytes::Bytes;
use raftapi::{Index, ServerId, Term};
use serde::{Deserialize, Serialize};

use crate::log::Entry;

/// "Invoked by candidates to gather votes" (section 5.2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RequestVoteArgs {
    /// The candidate's term.
    pub(crate) term: Term,
    /// Who asks.
    pub(crate) candidate_id: ServerId,
    /// The index of the candidate's last entry; 0 if it has none.
    pub(crate) last_log_index: Index,
    /// The term of that entry; 0 if there is none.
    pub(crate) last_log_term: Term,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RequestVoteReply {
    /// The voter's term, "for candidate to update itself".
    pub(crate) term: Term,
    /// Whether the candidate has its vote.
    pub(crate) vote_granted: bool,
}

/// "Invoked by leader to replicate log entries; also used as heartbeat" (sections 5.2, 5.3).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AppendEntriesArgs {
    /// The leader's term.
    pub(crate) term: Term,
    /// The index of the entry that precedes the new ones; 0 if the first new one is the first of all.
    pub(crate) prev_log_index: Index,
    /// The term of that entry; 0 if there is none.
    pub(crate) prev_log_term: Term,
    /// The new ones; none for a heartbeat.
    pub(crate) entries: Vec<Entry>,
    /// The leader's commit index.
    pub(crate) leader_commit: Index,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AppendEntriesReply {
    /// The follower's term, "for leader to update itself".
    pub(crate) term: Term,
    /// Whether the follower's log has an entry that matches `prev_log_index` and `prev_log_term`.
    pub(crate) success: bool,
    // Fast back-up (end of section 5.3, in the handout's words XTerm, XIndex, XLen) has its place here: without it a
    // leader needs one RPC for each entry in which a follower's log differs, too slow for parts 3B (`backup_3B`) and
    // 3C. What a follower could say when it refuses: the term of the entry at prev_log_index, if it has one; the index
    // of its first entry of that term; how long its log is.
}

impl AppendEntriesReply {
    /// It matches.
    pub(crate) fn accepted(term: Term) -> AppendEntriesReply {
        AppendEntriesReply { term, success: true }
    }

    /// It does not, or the message is of an old term.
    pub(crate) fn refused(term: Term) -> AppendEntriesReply {
        AppendEntriesReply { term, success: false }
    }
}

/// "Invoked by leader to send chunks of a snapshot to a follower" (section 7); in the lab it goes in one piece, so
/// `offset` and `done` are not needed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InstallSnapshotArgs {
    /// The leader's term.
    pub(crate) term: Term,
    /// "The snapshot replaces all entries up through and including this index".
    pub(crate) last_included_index: Index,
    /// The term of that entry.
    pub(crate) last_included_term: Term,
    /// The bytes that the service once gave to `snapshot`.
    pub(crate) data: Bytes,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InstallSnapshotReply {
    /// The follower's term, "for leader to update itself".
    pub(crate) term: Term,
}
