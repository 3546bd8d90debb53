//! The check of a message before the node handles it: can a correct node of this cluster have sent it? A message that
//! fails is refused, and nothing has changed. Authentication keeps strangers out. This check limits the damage of a
//! server that has lost its data, has a damaged memory, or runs another program.
//!
//! The check knows only this node's state, so it finds impossibilities and not lies. A vote that was never given, or an
//! acknowledgement of entries that were never stored, looks like an honest one.

use raftapi::{Index, ServerId, Term};

use super::{BadMessage, Body, Message, RawNode};
use crate::core::{
    AppendEntriesArgs, AppendEntriesReply, InstallSnapshotArgs, RequestVoteArgs, RequestVoteReply, SentRequest,
};

/// The largest index and the largest term that a node accepts. A cluster that commits a billion entries a second
/// reaches it after 146 years. The numbers above it are never used, so adding to an accepted number cannot overflow.
pub(super) const NUMBER_MAX: u64 = 1 << 62;

/// The reason why a message is refused.
type Refusal = Result<(), String>;

impl RawNode {
    /// Checks that a correct node of this cluster may have sent `message` to this one.
    pub(super) fn check(&self, message: &Message) -> Result<(), BadMessage> {
        let Message { from, to, body } = message;
        let checked = self.check_addresses(*from, *to, body).and_then(|()| match body {
            Body::RequestVote(args) => self.check_vote_request(args),
            Body::RequestVoteReply { request_term, reply } => self.check_vote(*request_term, *reply),
            Body::AppendEntries { args, .. } => self.check_entries(args),
            Body::AppendEntriesReply { sent, reply } => self.check_entries_reply(sent, reply),
            Body::InstallSnapshot { args, .. } => self.check_snapshot(args),
            Body::InstallSnapshotReply { sent, reply, committed } => {
                self.check_reply(sent, reply.term)?;
                in_range([*committed], [])?;
                let beyond = self.sent_it_as_leader(sent) && reply.term == sent.term && *committed > self.last_index();
                refuse_if(beyond, || format!("its commit index {committed} is beyond the log of its leader"))
            }
        });
        let me = self.core.me();
        checked.map_err(|what| BadMessage(format!("message from {from} to {to} refused by {me}: {what}")))
    }

    fn check_addresses(&self, from: ServerId, to: ServerId, body: &Body) -> Refusal {
        let (me, servers) = (self.core.me(), self.peer_ticks.len());
        refuse_if(to != me || from == me || from.0 >= servers, || {
            format!("it must come from another of the {servers} servers and be addressed to {me}; check the addresses")
        })?;
        let named = match body {
            Body::RequestVote(args) => args.candidate_id,
            Body::AppendEntries { args, .. } => args.leader_id,
            Body::InstallSnapshot { args, .. } => args.leader_id,
            Body::RequestVoteReply { .. } | Body::AppendEntriesReply { .. } | Body::InstallSnapshotReply { .. } => from,
        };
        refuse_if(named != from, || format!("it names {named} as its sender; check the addresses"))
    }

    /// A candidate's term is above the terms of its log, because it has incremented the term.
    fn check_vote_request(&self, args: &RequestVoteArgs) -> Refusal {
        let RequestVoteArgs { term, last_log_index, last_log_term, .. } = *args;
        in_range([last_log_index], [term, last_log_term])?;
        refuse_if(last_log_term >= term && last_log_term != Term::ZERO, || {
            format!("a candidate of term {term} cannot have an entry of term {last_log_term}")
        })
    }

    /// A server replies in the term of the request or in a later one, and grants a vote only in the former.
    fn check_vote(&self, request_term: Term, reply: RequestVoteReply) -> Refusal {
        in_range([], [request_term, reply.term])?;
        self.check_reply_terms(request_term, reply.term)?;
        refuse_if(reply.vote_granted && reply.term != request_term, || {
            format!("a vote of term {} does not count in term {request_term}", reply.term)
        })
    }

    fn check_entries(&self, args: &AppendEntriesArgs) -> Refusal {
        let AppendEntriesArgs { term, leader_id, prev_log_index, prev_log_term, ref entries, leader_commit } = *args;
        let terms = entries.iter().map(|entry| entry.term);
        in_range([prev_log_index, leader_commit], [term, prev_log_term].into_iter().chain(terms.clone()))?;
        in_range([args.last_index()], [])?;
        refuse_if(
            !terms.clone().is_sorted() || terms.clone().next().is_some_and(|first| first < prev_log_term),
            || "the terms of its entries decrease".to_string(),
        )?;
        self.check_leader(term, leader_id, terms.last().unwrap_or(prev_log_term))?;
        if term < self.core.current_term() {
            // The node replies with its term and uses nothing of the message.
            return Ok(());
        }
        let first = prev_log_index.next();
        let mut all = std::iter::once((prev_log_index, prev_log_term))
            .chain((first.0..).map(Index).zip(entries.iter().map(|entry| entry.term)));
        all.try_for_each(|(index, term)| self.check_against_committed(index, term))
    }

    fn check_snapshot(&self, args: &InstallSnapshotArgs) -> Refusal {
        let InstallSnapshotArgs { term, leader_id, last_included_index: index, last_included_term, .. } = *args;
        in_range([index], [term, last_included_term])?;
        self.check_leader(term, leader_id, last_included_term)?;
        if term < self.core.current_term() {
            return Ok(());
        }
        self.check_against_committed(index, last_included_term)?;
        let committed = self.core.commit_index();
        let committed_term = self.core.log().term(committed).unwrap_or_default();
        refuse_if(index > committed && last_included_term < committed_term, || {
            format!(
                "it ends at {index} in term {last_included_term}, but the entry at {committed} has {committed_term}"
            )
        })
    }

    /// Checks a message of `leader`, which says that it leads `term` and has an entry of `last_term`.
    fn check_leader(&self, term: Term, leader: ServerId, last_term: Term) -> Refusal {
        refuse_if(term == Term::ZERO, || "no server leads term 0".to_string())?;
        refuse_if(last_term > term, || format!("a leader of term {term} cannot have an entry of term {last_term}"))?;
        // "At most one leader can be elected in a given term" (5.2).
        let known = self.core.soft_state().leader.filter(|_| term == self.core.current_term());
        refuse_if(known.is_some_and(|known| known != leader), || {
            format!("{leader} says that it leads term {term}, which has another leader; did a server lose its vote?")
        })
    }

    /// Checks that an entry of a leader is not another one than the committed entry at the same index. A leader has
    /// every committed entry (5.4).
    fn check_against_committed(&self, index: Index, term: Term) -> Refusal {
        let committed = self.core.commit_index();
        let known = self.core.log().term(index).filter(|_| index <= committed);
        refuse_if(known.is_some_and(|known| known != term), || {
            format!(
                "it has an entry of term {term} at index {index}, where another entry is committed; did a server lose \
                 its data?"
            )
        })
    }

    fn check_entries_reply(&self, sent: &SentRequest, reply: &AppendEntriesReply) -> Refusal {
        let AppendEntriesReply { term, success, conflict_term, conflict_index } = *reply;
        self.check_reply(sent, term)?;
        in_range([conflict_index], conflict_term)?;
        refuse_if(success && term != sent.term, || format!("it accepts entries of term {} in term {term}", sent.term))?;
        let is_conflict = !success && term == sent.term;
        refuse_if(is_conflict && (conflict_index > sent.prev_log_index || conflict_index == Index::ZERO), || {
            format!("it has a conflict at index {conflict_index}, not up to index {}", sent.prev_log_index)
        })?;
        refuse_if(conflict_term.is_some_and(|conflict| conflict > term), || {
            format!("it has an entry of a term above its own term {term}")
        })
    }

    /// Checks the reply, of `term`, to a request that this node sent.
    fn check_reply(&self, sent: &SentRequest, term: Term) -> Refusal {
        in_range([sent.prev_log_index, sent.last_index], [sent.term, term])?;
        self.check_reply_terms(sent.term, term)?;
        let last = self.last_index();
        let never_sent = sent.prev_log_index > sent.last_index
            || self.sent_it_as_leader(sent) && (sent.last_index > last || sent.reads > self.core.reads_begun());
        refuse_if(never_sent, || {
            "it replies to a request that was never sent; does its sender belong to another cluster?".to_string()
        })
    }

    /// A server has seen the term of a request when it replies, and this node has seen the term of its own requests.
    fn check_reply_terms(&self, request_term: Term, reply_term: Term) -> Refusal {
        let me = self.core.me();
        refuse_if(request_term > self.core.current_term(), || {
            format!("it replies to a request of term {request_term}, which {me} has not reached")
        })?;
        refuse_if(reply_term < request_term, || {
            format!("it replies in term {reply_term} to a request of term {request_term}")
        })
    }

    /// Returns whether this node leads in the term of `sent`, so that it knows its requests.
    fn sent_it_as_leader(&self, sent: &SentRequest) -> bool {
        self.core.is_leader() && sent.term == self.core.current_term()
    }

    fn last_index(&self) -> Index {
        self.core.log().last_index()
    }
}

/// Refuses indexes and terms near the end of their range.
fn in_range(indexes: impl IntoIterator<Item = Index>, terms: impl IntoIterator<Item = Term>) -> Refusal {
    let numbers = indexes.into_iter().map(|index| index.0).chain(terms.into_iter().map(|term| term.0));
    let largest = numbers.max().unwrap_or(0);
    refuse_if(largest > NUMBER_MAX, || format!("the number {largest} is near the end of its range"))
}

fn refuse_if(refused: bool, why: impl FnOnce() -> String) -> Refusal {
    if refused { Err(why()) } else { Ok(()) }
}
