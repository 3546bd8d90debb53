//! The leader's side of one peer: it builds the next request, and a thread sends what no other thread sends. All
//! pending entries go in one AppendEntries (paper, 5.3). Instead of entries the leader may send the snapshot (section
//! 7), or a heartbeat if nothing was sent for a while (5.2).
//!
//! The thread that brings new content sends it (`follow_ups.rs`). The replicator's thread handles timers: a heartbeat,
//! a commit notice, and the timeout of a request. It also collects single proposals and sends them together.
//!
//! It never blocks on a slow RPC: a call that begins while the peer is unreachable may take seconds to fail. A pooled
//! thread makes the call and passes the reply to the core. If there is no reply after one heartbeat interval, the
//! leader considers the peer unreachable and sends it only heartbeats until it replies.

use std::task::Poll;

use labstd::sync::Arc;
use labstd::time::Instant;
use raftapi::ServerId;

use crate::core::{
    AppendEntriesArgs, AppendEntriesReply, Core, InstallSnapshotArgs, InstallSnapshotReply, SentRequest, ServerSet,
};
use crate::follow_ups::SendPolicy;
use crate::server::{HEARTBEAT_INTERVAL, Shared, State};

/// A request to a peer.
pub(crate) enum Request {
    AppendEntries(AppendEntriesArgs),
    InstallSnapshot(InstallSnapshotArgs),
}

/// A reply from a peer.
pub(crate) enum Reply {
    AppendEntries(AppendEntriesReply),
    InstallSnapshot(InstallSnapshotReply),
}

/// Runs the replicator for `peer`. It has nothing to do while the server does not lead.
pub(crate) fn run(shared: &Arc<Shared>, peer: ServerId) {
    let mut state = shared.state.lock();
    while !shared.killed() {
        if has_work(&mut state, peer) {
            drop(state);
            shared.send_pending(ServerSet::from_iter([peer]), false);
            state = shared.state.lock();
        } else if state.core.is_leader() {
            let until = next_wakeup(&state, peer);
            state.peer_timers[peer.0].sleeps_until = Some(until);
            shared.replicate[peer.0].wait_until(&mut state, until);
            state.peer_timers[peer.0].sleeps_until = None;
        } else {
            shared.replicate[peer.0].wait(&mut state);
        }
    }
}

/// Returns whether there is something to send to `peer` now.
fn has_work(state: &mut State, peer: ServerId) -> bool {
    let now = Instant::now();
    expire_overdue_request(state, peer, now);
    state.core.has_content_for(peer) || state.core.is_leader() && now >= state.peer_timers[peer.0].heartbeat_due
}

/// Returns the next request to `peer`: pending content if it may be sent, otherwise a heartbeat if one is due. The
/// request counts as sent.
pub(crate) fn next_request(state: &mut State, peer: ServerId) -> Option<(Request, SentRequest)> {
    let now = Instant::now();
    expire_overdue_request(state, peer, now);
    let State { core, peer_timers, .. } = state;
    let timers = &mut peer_timers[peer.0];
    if let Some((request, sent)) = pending_request(core, peer) {
        timers.in_flight = Some((sent, now + HEARTBEAT_INTERVAL));
        timers.heartbeat_due = now + HEARTBEAT_INTERVAL;
        return Some((request, sent));
    }
    if now < timers.heartbeat_due {
        return None;
    }
    timers.heartbeat_due = now + HEARTBEAT_INTERVAL;
    core.heartbeat(peer).map(|(args, sent)| (Request::AppendEntries(args), sent))
}

/// Times out the request in flight to `peer` if its reply is overdue.
fn expire_overdue_request(state: &mut State, peer: ServerId, now: Instant) {
    let State { core, peer_timers, .. } = state;
    if let Some((sent, _)) = peer_timers[peer.0].in_flight.take_if(|(_, overdue)| now >= *overdue) {
        core.request_timed_out(peer, &sent);
    }
}

/// Returns the pending entries for `peer`, or the snapshot if the log no longer has them.
fn pending_request(core: &mut Core, peer: ServerId) -> Option<(Request, SentRequest)> {
    if let Some((args, sent)) = core.append_entries(peer) {
        return Some((Request::AppendEntries(args), sent));
    }
    core.install_snapshot(peer).map(|(args, sent)| (Request::InstallSnapshot(args), sent))
}

/// Returns the time at which there will be something to do if no event occurs before.
fn next_wakeup(state: &State, peer: ServerId) -> Instant {
    let timers = &state.peer_timers[peer.0];
    let awaits_reply = state.core.progress(peer).is_some_and(|progress| progress.awaits_reply());
    match timers.in_flight {
        Some((_, overdue)) if awaits_reply => overdue.min(timers.heartbeat_due),
        _ => timers.heartbeat_due,
    }
}

/// Sends a request. If the call completes inline, this function returns its outcome. Otherwise the outcome is passed to
/// the core when it arrives.
pub(crate) fn send(shared: &Arc<Shared>, peer: ServerId, request: &Request, sent: SentRequest) -> Poll<Option<Reply>> {
    let end = &shared.peers[peer.0];
    let for_reply = Arc::clone(shared);
    match request {
        Request::AppendEntries(args) => end
            .call_inline("Raft.AppendEntries", args, move |reply: Option<AppendEntriesReply>| {
                handle_reply(&for_reply, peer, &sent, reply.map(Reply::AppendEntries));
            })
            .map(|reply| reply.map(Reply::AppendEntries)),
        Request::InstallSnapshot(args) => end
            .call_inline("Raft.InstallSnapshot", args, move |reply: Option<InstallSnapshotReply>| {
                handle_reply(&for_reply, peer, &sent, reply.map(Reply::InstallSnapshot));
            })
            .map(|reply| reply.map(Reply::InstallSnapshot)),
    }
}

/// Passes the outcome of a request to the core, and does the follow-ups.
fn handle_reply(shared: &Arc<Shared>, peer: ServerId, sent: &SentRequest, reply: Option<Reply>) {
    let follow_ups = shared.handle_outcome(peer, sent, reply, SendPolicy::CallingThread);
    shared.run_follow_ups(follow_ups);
}
