//! Sending on the thread that brought the event, instead of waking the replicators.
//!
//! On a network that takes no time, a command then goes out on the thread of the client that proposed it. Everything up
//! to its commitment happens on that thread, without a hand-over
//! ([`ClientEnd::call_inline`](labrpc::ClientEnd::call_inline)). A call that takes time continues on a thread of the
//! network, and so does the work that its reply brings. The replicators keep the timer-driven sends, and take over when
//! one thread has sent enough: it may belong to a client, which has its own work to do.

use std::task::Poll;

use labstd::sync::Arc;
use raftapi::ServerId;

use super::Work;
use crate::core::{Effects, SentRequest, ServerSet};
use crate::replicator::{self, Reply, Request};
use crate::state::{Shared, State};

/// Requests that a thread sends at most for one event. An event leaves one for each peer. Their replies may leave more,
/// if other threads have proposed meanwhile.
const REQUESTS_PER_EVENT_MAX: usize = 8;

/// Notes whether the event has appended commands to a leader's log.
pub(crate) fn note_proposal(state: &mut State, effects: &Effects) {
    state.fast.work.follows_proposal = effects.persist.log.is_some() && state.core.is_leader();
}

/// Sends to these peers, one after the other, and handles the replies that take no time.
///
/// The request to a peer is chosen at the peer's turn: by then there may be more to send, or another thread may have
/// sent it.
///
/// After a proposal, other clients may propose at this same moment. The replicators then send to peers to which
/// messages take time: they run later, and send all of it in one request.
pub(crate) fn send(shared: &Arc<Shared>, mut send_to: ServerSet, follows_proposal: bool) {
    let (mut peer, mut sent_requests) = (ServerId(ServerSet::MAX - 1), 0);
    // In turns, because a reply may leave more to send to the same peer.
    while let Some(next) = send_to.next_after(peer) {
        peer = next;
        send_to.remove(peer);
        let waits_for_more = follows_proposal && !shared.peers[peer.0].may_complete_inline();
        if waits_for_more || sent_requests == REQUESTS_PER_EVENT_MAX {
            shared.replicate[peer.0].notify_one();
            continue;
        }
        let Some((request, sent)) = next_request(shared, peer) else { continue };
        sent_requests += 1;
        let Poll::Ready(reply) = call(shared, peer, &request, sent) else { continue };
        let mut work = handle_outcome(shared, peer, &sent, reply);
        send_to = send_to.union(std::mem::take(&mut work.send_to));
        shared.run(work);
    }
}

fn next_request(shared: &Shared, peer: ServerId) -> Option<(Request, SentRequest)> {
    if shared.killed() { None } else { replicator::next_request(&mut shared.state.lock(), peer) }
}

/// Calls `peer`: returns the outcome if the call takes no time. Otherwise a pooled thread hands it to the core later.
fn call(shared: &Arc<Shared>, peer: ServerId, request: &Request, sent: SentRequest) -> Poll<Option<Reply>> {
    let end = &shared.peers[peer.0];
    let this = Arc::clone(shared);
    match request {
        Request::AppendEntries(args) => end
            .call_inline("Raft.AppendEntries", args, move |reply| {
                replicator::handle_outcome(&this, peer, &sent, reply.map(Reply::AppendEntries));
            })
            .map(|reply| reply.map(Reply::AppendEntries)),
        Request::InstallSnapshot(args) => end
            .call_inline("Raft.InstallSnapshot", args, move |reply| {
                replicator::handle_outcome(&this, peer, &sent, reply.map(Reply::InstallSnapshot));
            })
            .map(|reply| reply.map(Reply::InstallSnapshot)),
    }
}

/// Hands the outcome of a call to the core; returns the work that it leaves.
fn handle_outcome(shared: &Shared, peer: ServerId, sent: &SentRequest, reply: Option<Reply>) -> Work {
    if shared.killed() {
        return Work::default();
    }
    let mut state = shared.state.lock();
    let effects = replicator::outcome(&mut state, peer, sent, reply);
    shared.carry_out(&mut state, &effects);
    std::mem::take(&mut state.fast.work)
}
