//! What an event leaves to be done when the lock is released: telling others, and sending.
//!
//! The thread that brought the event does it. So if the network takes no time, a command goes out on the thread of the client
//! that proposed it, and everything up to its commitment happens there, without a hand-over between threads
//! ([`ClientEnd::call_promptly`](labrpc::ClientEnd::call_promptly)); and if it does, a thread of the network's waits for the
//! answer and goes on from there. The replicators (`replicator.rs`) do what a moment has to bring about, and what is left when
//! one thread has sent for long enough: it may be that of a client, who wants to go on.

use labrpc::Prompt;
use labstd::sync::Arc;
use raftapi::{Index, ServerId};

use crate::core::{RequestVoteArgs, SentRequest, ServerSet};
use crate::reads::PendingRead;
use crate::replicator::{self, Reply, Request};
use crate::server::Shared;

/// How many requests a thread sends for one event. An event leaves one a peer; its answers may leave more, if others have
/// proposed meanwhile.
const REQUESTS_PER_EVENT_MAX: usize = 8;

/// What is left to be done after an event.
#[derive(Default)]
pub(crate) struct FollowUps {
    /// A leader has committed more, and the consumer is to be told at once: clients wait.
    pub(crate) notify_consumer: bool,
    /// Reads that are settled_reads: with an index if they are confirmed.
    pub(crate) settled_reads: Vec<(PendingRead, Option<Index>)>,
    /// A candidate asks for votes.
    pub(crate) vote_requests: Vec<(ServerId, RequestVoteArgs)>,
    /// A leader has something for these peers.
    pub(crate) send_to: ServerSet,
    /// More may be proposed at this very moment: to peers that cannot be reached without delay the replicators send, which
    /// take all of it together.
    pub(crate) more_proposals_expected: bool,
}

/// Who sends what a leader has for its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendPolicy {
    /// The thread that has brought the event.
    CallingThread,
    /// The same if it takes no time; else the peers' replicators.
    CallingThreadIfInline,
    /// The peers' replicators.
    Replicators,
}

impl Shared {
    /// Does what is left, and what that leaves.
    pub(crate) fn run_follow_ups(self: &Arc<Self>, follow_ups: FollowUps) {
        let more_proposals_expected = follow_ups.more_proposals_expected;
        let send_to = self.notify(follow_ups);
        self.send_pending(send_to, more_proposals_expected);
    }

    /// Sends to these peers; to those that cannot be reached at once not if `more_proposals_expected`, but wakes their replicators.
    ///
    /// What goes to a peer is looked up when it is the peer's turn: by then more may have come together, or another thread
    /// may have sent it.
    pub(crate) fn send_pending(self: &Arc<Self>, mut send_to: ServerSet, more_proposals_expected: bool) {
        let (mut peer, mut sent_so_far) = (ServerId(ServerSet::MAX - 1), 0);
        // In turns: answers may bring more for the peer that has given them.
        while let Some(next) = send_to.next_after(peer) {
            peer = next;
            send_to.remove(peer);
            if more_proposals_expected && !self.peers[peer.0].takes_no_time() {
                self.replicate[peer.0].notify_one();
                continue;
            }
            let Some((request, sent)) = self.next_request_to(peer) else { continue };
            sent_so_far += 1;
            let Prompt::Done(reply) = replicator::send(self, peer, &request, sent) else { continue };
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

    /// Gives the outcome of a request to the core.
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

    /// Tells those who wait for something; what is to be sent to the peers of a leader is left.
    fn notify(self: &Arc<Self>, follow_ups: FollowUps) -> ServerSet {
        let FollowUps { notify_consumer, settled_reads, vote_requests, send_to, .. } = follow_ups;
        if notify_consumer {
            let _told = self.notify_consumer();
        }
        settled_reads.into_iter().for_each(|(read, index)| read.complete(index));
        self.request_votes(vote_requests);
        send_to
    }
}
