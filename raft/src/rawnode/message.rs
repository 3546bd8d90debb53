//! The messages between nodes. A caller of the [`Core`](crate::core::Core) remembers each request until its reply
//! arrives ([`SentRequest`]). Messages have no such pairing: a message may be lost, arrive twice, or arrive an hour
//! late. So a request carries an ID, and its reply **repeats the request's identity**. The sender of the request keeps
//! nothing that it would need to understand a reply: the reply alone identifies its request.
//!
//! - A reply to a request of another term is out of date, whoever leads now. A server leads a term at most once, even
//!   if it crashes, because a server that leads again does so in a new term. So within one term no number is used
//!   twice.
//! - A reply of the present term remains true when it is late. A follower never loses what it has confirmed, because it
//!   replies only after it has saved. A repeated reply says nothing new.
//! - Only a reply with the number of the request in flight ends the wait for that request
//!   ([`Progress`](crate::core::Progress)).

use raftapi::{Index, ServerId, Term};
use serde::{Deserialize, Serialize};

use crate::core::{
    AppendEntriesArgs, AppendEntriesReply, InstallSnapshotArgs, InstallSnapshotReply, RequestVoteArgs,
    RequestVoteReply, SentRequest,
};

/// One message from one node to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// The sender.
    pub from: ServerId,
    /// The receiver.
    pub to: ServerId,
    /// The content.
    pub body: Body,
}

/// The content of a message: a request of Figures 2 or 13, or the reply to one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Body {
    /// A candidate requests a vote (5.2).
    RequestVote(RequestVoteArgs),
    /// The reply to [`RequestVote`](Body::RequestVote).
    RequestVoteReply {
        /// The term of the request. A vote counts only in this term.
        request_term: Term,
        /// The reply.
        reply: RequestVoteReply,
    },
    /// A leader sends entries (5.3), or a heartbeat, which has none (5.2). The commit index of a heartbeat is at most
    /// the index that the follower is known to have.
    AppendEntries {
        /// The request.
        args: AppendEntriesArgs,
        /// Its ID, which the reply repeats.
        request_id: RequestId,
    },
    /// The reply to [`AppendEntries`](Body::AppendEntries).
    AppendEntriesReply {
        /// The request that it replies to.
        sent: SentRequest,
        /// The reply.
        reply: AppendEntriesReply,
    },
    /// A snapshot of the leader (section 7). Its content travels separately and arrives before: the receiver's owner
    /// calls `step` with this message when it has the content, complete and checked. `args.data` is a small descriptor
    /// of the content, or empty.
    InstallSnapshot {
        /// The request.
        args: InstallSnapshotArgs,
        /// Its ID, which the reply repeats.
        request_id: RequestId,
    },
    /// The reply to [`InstallSnapshot`](Body::InstallSnapshot).
    InstallSnapshotReply {
        /// The request that it replies to.
        sent: SentRequest,
        /// The reply.
        reply: InstallSnapshotReply,
        /// The follower's commit index, up to which it agrees with every leader. It is beyond the snapshot's end if the
        /// snapshot came too late to be useful.
        committed: Index,
    },
}

/// The ID of a leader's request: what the leader would remember of it until the reply, if it were a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// The number of a request with entries or a snapshot, counted per peer; `None` for a heartbeat.
    pub number: Option<u64>,
    /// Number of reads that had begun when the request was sent. Its reply confirms them.
    pub reads: u64,
    /// The index up to which the receiver had confirmed the log when the request was sent.
    pub match_index: Index,
}

impl Message {
    /// Returns the term of the message. By Figure 2, a server that sees a higher term adopts it.
    pub fn term(&self) -> Term {
        match &self.body {
            Body::RequestVote(args) => args.term,
            Body::RequestVoteReply { reply, .. } => reply.term,
            Body::AppendEntries { args, .. } => args.term,
            Body::AppendEntriesReply { reply, .. } => reply.term,
            Body::InstallSnapshot { args, .. } => args.term,
            Body::InstallSnapshotReply { reply, .. } => reply.term,
        }
    }
}

impl RequestId {
    /// Returns the ID of the request `sent`.
    pub(super) fn of(sent: &SentRequest) -> RequestId {
        RequestId { number: sent.number, reads: sent.reads, match_index: sent.match_index }
    }

    /// Returns the leader's record of a request of `term` that has this ID.
    pub(super) fn sent(self, term: Term, prev_log_index: Index, last_index: Index) -> SentRequest {
        let RequestId { number, reads, match_index } = self;
        SentRequest { term, prev_log_index, last_index, number, reads, match_index }
    }
}
