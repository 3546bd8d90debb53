//! The leader's side of one peer: a thread that waits on a condition variable and sends everything pending in one
//! AppendEntries (paper, 5.3), a snapshot (section 7), or a heartbeat if nothing was sent for a while (5.2).
//!
//! The thread never waits for a reply: a call to a peer that is cut off may take seconds to fail. A pooled thread makes
//! the call and hands the reply to the core. If no reply comes within a heartbeat interval, the leader takes the peer
//! to be away, and sends heartbeats alone until the peer replies to anything.

use labstd::sync::Arc;
use labstd::time::Instant;
use raftapi::ServerId;

use crate::core::{
    AppendEntriesArgs, AppendEntriesReply, Core, Effects, InstallSnapshotArgs, InstallSnapshotReply, SentRequest,
};
use crate::state::{HEARTBEAT_INTERVAL, Shared, State};

/// A request to a peer.
pub(crate) enum Request {
    AppendEntries(AppendEntriesArgs),
    InstallSnapshot(InstallSnapshotArgs),
}

/// A reply of a peer.
pub(crate) enum Reply {
    AppendEntries(AppendEntriesReply),
    InstallSnapshot(InstallSnapshotReply),
}

/// Runs the replicator of `peer` until the server is killed. It has nothing to do while the server does not lead.
pub(crate) fn run(shared: &Arc<Shared>, peer: ServerId) {
    let mut state = shared.state.lock();
    while !shared.killed() {
        if let Some((request, sent)) = next_request(&mut state, peer) {
            drop(state);
            send(shared, peer, &request, sent);
            state = shared.state.lock();
        } else if state.core.is_leader() {
            let until = next_due(&state, peer);
            state.peer_timers[peer.0].sleeps_until = Some(until);
            shared.replicate[peer.0].wait_until(&mut state, until);
            state.peer_timers[peer.0].sleeps_until = None;
        } else {
            shared.replicate[peer.0].wait(&mut state);
        }
    }
}

/// Returns the request to send to `peer` now: the missing entries or the snapshot if they may be sent, or a heartbeat
/// if one is due. The request counts as sent.
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

/// Gives up the in-flight request to `peer` if its reply is overdue.
fn expire_overdue_request(state: &mut State, peer: ServerId, now: Instant) {
    let State { core, peer_timers, .. } = state;
    if let Some((sent, _)) = peer_timers[peer.0].in_flight.take_if(|(_, overdue)| now >= *overdue) {
        core.request_timed_out(peer, &sent);
    }
}

/// Returns the entries that `peer` is missing, or the snapshot if the log no longer has those entries.
fn pending_request(core: &mut Core, peer: ServerId) -> Option<(Request, SentRequest)> {
    if let Some((args, sent)) = core.append_entries(peer) {
        return Some((Request::AppendEntries(args), sent));
    }
    core.install_snapshot(peer).map(|(args, sent)| (Request::InstallSnapshot(args), sent))
}

/// Returns the moment at which there will be something to send if nothing else happens.
fn next_due(state: &State, peer: ServerId) -> Instant {
    let timers = &state.peer_timers[peer.0];
    let awaits_reply = state.core.progress(peer).is_some_and(|progress| progress.awaits_reply());
    match timers.in_flight {
        Some((_, overdue)) if awaits_reply => overdue.min(timers.heartbeat_due),
        _ => timers.heartbeat_due,
    }
}

/// Sends a request, without the lock. A pooled thread waits for the reply and hands it to the core.
fn send(shared: &Arc<Shared>, peer: ServerId, request: &Request, sent: SentRequest) {
    let end = &shared.peers[peer.0];
    let this = Arc::clone(shared);
    match request {
        Request::AppendEntries(args) => end.call_async("Raft.AppendEntries", args, move |reply| {
            handle_outcome(&this, peer, &sent, reply.map(Reply::AppendEntries));
        }),
        Request::InstallSnapshot(args) => end.call_async("Raft.InstallSnapshot", args, move |reply| {
            handle_outcome(&this, peer, &sent, reply.map(Reply::InstallSnapshot));
        }),
    }
}

/// Hands the reply to a request to the core, or the news that the call failed (`None`).
pub(crate) fn handle_outcome(shared: &Arc<Shared>, peer: ServerId, sent: &SentRequest, reply: Option<Reply>) {
    if !shared.killed() {
        shared.step_with_timers(|state| ((), outcome(state, peer, sent, reply)));
    }
}

/// As [`handle_outcome`], under the lock.
pub(crate) fn outcome(state: &mut State, peer: ServerId, sent: &SentRequest, reply: Option<Reply>) -> Effects {
    #[cfg(feature = "fast")] // fast: reads
    crate::fast::reads::count_reply(state, peer, reply.is_some()); // fast: reads
    match reply {
        Some(Reply::AppendEntries(reply)) => state.core.handle_append_entries_reply(peer, sent, reply),
        Some(Reply::InstallSnapshot(reply)) => state.core.handle_install_snapshot_reply(peer, sent, reply),
        None => state.core.request_failed(peer, sent),
    }
}
