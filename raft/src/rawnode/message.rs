//! What travels between nodes. A [`Core`](crate::core::Core) is asked and answers, and who asked remembers the question
//! ([`SentRequest`]); messages have no such pairs: one may be lost, come twice, or come an hour late. So a request says which one
//! it is, and its answer **repeats the question**. The node that asked keeps nothing that it would need to understand an
//! answer, and can tell by the answer alone what it is about:
//!
//! - An answer to a question of another term is out of date, whoever asks now. A server leads a term at most once, even if
//!   it crashes: whoever leads again does so in a new term. So within a term, numbers are not used twice.
//! - An answer of this term is as true late as early: a follower of a term never loses what it has said to have, because
//!   it answers only after it has saved. A repeated answer says nothing new.
//! - Only the answer that has the number of what is under way ends the waiting for it ([`Progress`](crate::core::Progress)).

use raftapi::{Index, ServerId, Term};
use serde::{Deserialize, Serialize};

use crate::core::{
    AppendEntriesArgs, AppendEntriesReply, InstallSnapshotArgs, InstallSnapshotReply, RequestVoteArgs,
    RequestVoteReply, SentRequest,
};

/// One message from one node to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// Who sends it.
    pub from: ServerId,
    /// Whom it is for.
    pub to: ServerId,
    /// What it says.
    pub body: Body,
}

/// What a message says: a request of Figures 2 or 13, or the answer to one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Body {
    /// A candidate asks for a vote (5.2).
    RequestVote(RequestVoteArgs),
    /// The answer to [`RequestVote`](Body::RequestVote).
    RequestVoteReply {
        /// The term in which the vote was asked for. A vote counts in this term and in no other.
        request_term: Term,
        /// The answer.
        reply: RequestVoteReply,
    },
    /// A leader sends entries (5.3), or a heartbeat, which has none (5.2). A heartbeat carries a commit index that is not
    /// beyond what the follower is known to have.
    AppendEntries {
        /// The request.
        args: AppendEntriesArgs,
        /// Which one it is, to be repeated in the answer.
        request_id: RequestId,
    },
    /// The answer to [`AppendEntries`](Body::AppendEntries).
    AppendEntriesReply {
        /// The question.
        sent: SentRequest,
        /// The answer.
        reply: AppendEntriesReply,
    },
    /// A snapshot of the leader's (section 7). Its content goes another way, before; this is stepped into the receiver when
    /// the receiver has it, complete and checked. `args.data` is a small descriptor of it, or nothing.
    InstallSnapshot {
        /// The request.
        args: InstallSnapshotArgs,
        /// Which one it is, to be repeated in the answer.
        request_id: RequestId,
    },
    /// The answer to [`InstallSnapshot`](Body::InstallSnapshot).
    InstallSnapshotReply {
        /// The question.
        sent: SentRequest,
        /// The answer.
        reply: InstallSnapshotReply,
        /// How far the follower knows to be committed, and so agrees with every leader: beyond the snapshot's end if the
        /// snapshot came too late to be of use.
        committed: Index,
    },
}

/// Which of a leader's requests it is: what the leader would remember of it until the answer, if it were a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// The number of a request with entries or a snapshot, counted for each peer; `None` for a heartbeat.
    pub number: Option<u64>,
    /// How many reads had begun when it was sent: the answer confirms them.
    pub reads: u64,
}

impl Message {
    /// The term that its sender was in, of which Figure 2 says that whoever sees a higher one adopts it.
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
    /// What a request of `term` carries of `sent`.
    pub(super) fn of(sent: &SentRequest) -> RequestId {
        RequestId { number: sent.number, reads: sent.reads }
    }

    /// What the leader would have remembered of a request that has this request_id.
    pub(super) fn sent(self, term: Term, prev_log_index: Index, last_index: Index) -> SentRequest {
        SentRequest { term, prev_log_index, last_index, number: self.number, reads: self.reads }
    }
}
