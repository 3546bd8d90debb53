//! The follow-ups of an event: work that is done after the lock is released. It notifies the consumer and waiting
//! clients, and sends requests.
//!
//! The thread that brought the event does this work. If the network delivers inline, a command is sent on the thread of
//! the client that proposed it. Everything up to the commit then happens on that thread, without a hand-over between
//! threads ([`ClientEnd::call_inline`](labrpc::ClientEnd::call_inline)). Otherwise a thread of the network waits
//! for the reply and continues from there. The replicators (`replicator.rs`) handle timer-driven sends. They also take
//! over when one thread has sent enough requests for one event, because it may be the thread of a client, which must
//! return.

use std::task::Poll;

use labstd::sync::Arc;
use raftapi::{Index, ServerId};

use crate::core::{RequestVoteArgs, SentRequest, ServerSet};
use crate::reads::PendingRead;
use crate::replicator::{self, Reply, Request};
use crate::server::Shared;

/// Limit on the requests that one thread sends for one event. An event causes one request per peer. Their replies may
/// cause more, if other threads have proposed meanwhile.
const REQUESTS_PER_EVENT_MAX: usize = 8;

/// The work that remains after an event.
#[derive(Default)]
pub(crate) struct FollowUps {
    /// True if a leader has committed more entries. The consumer is notified at once, because clients wait.
    pub(crate) notify_consumer: bool,
    /// Settled reads: with an index if confirmed, with `None` if lost.
    pub(crate) settled_reads: Vec<(PendingRead, Option<Index>)>,
    /// A candidate's requests for votes.
    pub(crate) vote_requests: Vec<(ServerId, RequestVoteArgs)>,
    /// Peers to which a leader has something to send.
    pub(crate) send_to: ServerSet,
    /// True if the caller may propose more at this very moment. Then the replicators send to the peers that cannot be
    /// reached inline, so that they send all new commands together.
    pub(crate) more_proposals_expected: bool,
}

/// The thread that sends a leader's requests to its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendPolicy {
    /// The thread that brought the event.
    CallingThread,
    /// The thread that brought the event if the call completes inline; otherwise the peers' replicators.
    CallingThreadIfInline,
    /// The peers' replicators.
    Replicators,
}

impl Shared {
    /// Does the follow-ups of an event, and the follow-ups that they cause in turn.
    pub(crate) fn run_follow_ups(self: &Arc<Self>, follow_ups: FollowUps) {
        let more_proposals_expected = follow_ups.more_proposals_expected;
        let send_to = self.notify(follow_ups);
        self.send_pending(send_to, more_proposals_expected);
    }

    /// Sends to these peers. If `more_proposals_expected`, it wakes the replicators of peers that cannot be reached
    /// inline instead.
    ///
    /// Each request is built when the peer's turn comes. By then more entries may be pending, or another thread may
    /// have sent them.
    pub(crate) fn send_pending(self: &Arc<Self>, mut send_to: ServerSet, more_proposals_expected: bool) {
        let (mut peer, mut sent_so_far) = (ServerId(ServerSet::MAX - 1), 0);
        // Serve the peers in turn, because a reply may cause another request to the same peer.
        while let Some(next) = send_to.next_after(peer) {
            peer = next;
            send_to.remove(peer);
            if more_proposals_expected && !self.peers[peer.0].allows_inline_calls() {
                self.replicate[peer.0].notify_one();
                continue;
            }
            let Some((request, sent)) = self.next_request_to(peer) else { continue };
            sent_so_far += 1;
            let Poll::Ready(reply) = replicator::send(self, peer, &request, sent) else { continue };
            let send_policy = match sent_so_far < REQUESTS_PER_EVENT_MAX {
                true => SendPolicy::CallingThread,
                false => SendPolicy::Replicators,
            };
            let more = self.handle_outcome(peer, &sent, reply, send_policy);
            send_to = send_to.union(self.notify(more));
        }
    }

    fn next_request_to(&self, peer: ServerId) -> Option<(Request, SentRequest)> {
        if self.killed() { None } else { replicator::next_request(&mut self.state.lock(), peer) }
    }

    /// Passes the outcome of a request to the core.
    pub(crate) fn handle_outcome(
        &self,
        peer: ServerId,
        sent: &SentRequest,
        reply: Option<Reply>,
        send_policy: SendPolicy,
    ) -> FollowUps {
        if self.killed() {
            return FollowUps::default();
        }
        let mut state = self.state.lock();
        let timers = &mut state.peer_timers[peer.0];
        timers.consecutive_replies = if reply.is_some() { timers.consecutive_replies.saturating_add(1) } else { 0 };
        let effects = match reply {
            Some(Reply::AppendEntries(reply)) => state.core.handle_append_entries_reply(peer, sent, reply),
            Some(Reply::InstallSnapshot(reply)) => state.core.handle_install_snapshot_reply(peer, sent, reply),
            None => state.core.request_failed(peer, sent),
        };
        self.carry_out(&mut state, effects, send_policy)
    }

    /// Notifies waiting clients and the consumer, and sends the requests for votes. Returns the peers to which the
    /// leader still has to send.
    fn notify(self: &Arc<Self>, follow_ups: FollowUps) -> ServerSet {
        let FollowUps { notify_consumer, settled_reads, vote_requests, send_to, .. } = follow_ups;
        if notify_consumer {
            let _has_consumer = self.notify_consumer();
        }
        settled_reads.into_iter().for_each(|(read, index)| read.complete(index));
        self.request_votes(vote_requests);
        send_to
    }
}
