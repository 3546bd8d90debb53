//! The leader's side of one peer: what is to be sent to it, and a thread for what nobody else sends. All that is pending goes
//! in one AppendEntries (paper, 5.3), or the snapshot goes (section 7), or a heartbeat when nothing was sent for a while (5.2).
//!
//! Whoever brings something new sends it (`follow_ups.rs`). The thread here waits for moments: for a heartbeat, for telling a new
//! commit index, or for giving up an answer; and for what comes in single commands, to send them together.
//!
//! It never waits for an answer that takes time: a call begun while the peer is cut off may take seconds to fail. A pooled
//! thread makes the call and gives the answer to the core. Without one after a heartbeat interval the peer is taken to be
//! away, and heartbeats alone go out until it answers anything.

use labrpc::Prompt;
use labstd::sync::Arc;
use labstd::time::Instant;
use raftapi::ServerId;

use crate::core::{
    AppendEntriesArgs, AppendEntriesReply, Core, InstallSnapshotArgs, InstallSnapshotReply, SentRequest, ServerSet,
};
use crate::follow_ups::SendPolicy;
use crate::server::{HEARTBEAT_INTERVAL, Shared, State};

/// What goes out to a peer.
pub(crate) enum Request {
    AppendEntries(AppendEntriesArgs),
    InstallSnapshot(InstallSnapshotArgs),
}

/// What comes back.
pub(crate) enum Reply {
    AppendEntries(AppendEntriesReply),
    InstallSnapshot(InstallSnapshotReply),
}

/// The body of the replicator for `peer`. While the server does not lead there is nothing to do.
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

/// Whether there is something to be sent to `peer` now.
fn has_work(state: &mut State, peer: ServerId) -> bool {
    let now = Instant::now();
    expire_overdue_request(state, peer, now);
    state.core.has_content_for(peer) || state.core.is_leader() && now >= state.peer_timers[peer.0].heartbeat_due
}

/// What is to be sent to `peer` now: what it lacks if that may be sent, else a heartbeat if it is time. It counts as sent.
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

/// What is under way to `peer` and not answered by now is not waited for any longer.
fn expire_overdue_request(state: &mut State, peer: ServerId, now: Instant) {
    let State { core, peer_timers, .. } = state;
    if let Some((sent, _)) = peer_timers[peer.0].in_flight.take_if(|(_, overdue)| now >= *overdue) {
        core.request_timed_out(peer, &sent);
    }
}

/// The entries that `peer` lacks, or the snapshot if the log does not have them any more.
fn pending_request(core: &mut Core, peer: ServerId) -> Option<(Request, SentRequest)> {
    if let Some((args, sent)) = core.append_entries(peer) {
        return Some((Request::AppendEntries(args), sent));
    }
    core.install_snapshot(peer).map(|(args, sent)| (Request::InstallSnapshot(args), sent))
}

/// When there will be something to do if nothing happens before.
fn next_wakeup(state: &State, peer: ServerId) -> Instant {
    let timers = &state.peer_timers[peer.0];
    let awaits_reply = state.core.progress(peer).is_some_and(|progress| progress.awaits_reply());
    match timers.in_flight {
        Some((_, overdue)) if awaits_reply => overdue.min(timers.heartbeat_due),
        _ => timers.heartbeat_due,
    }
}

/// Sends a request. Its outcome is told here if that takes no time; else it is given to the core when it comes.
pub(crate) fn send(shared: &Arc<Shared>, peer: ServerId, request: &Request, sent: SentRequest) -> Prompt<Reply> {
    let end = &shared.peers[peer.0];
    let for_reply = Arc::clone(shared);
    match request {
        Request::AppendEntries(args) => end
            .call_promptly("Raft.AppendEntries", args, move |reply: Option<AppendEntriesReply>| {
                handle_reply(&for_reply, peer, &sent, reply.map(Reply::AppendEntries));
            })
            .map(Reply::AppendEntries),
        Request::InstallSnapshot(args) => end
            .call_promptly("Raft.InstallSnapshot", args, move |reply: Option<InstallSnapshotReply>| {
                handle_reply(&for_reply, peer, &sent, reply.map(Reply::InstallSnapshot));
            })
            .map(Reply::InstallSnapshot),
    }
}

/// Gives the outcome of a request to the core, and does what comes of it.
fn handle_reply(shared: &Arc<Shared>, peer: ServerId, sent: &SentRequest, reply: Option<Reply>) {
    let follow_ups = shared.handle_outcome(peer, sent, reply, SendPolicy::CallingThread);
    shared.run_follow_ups(follow_ups);
}
