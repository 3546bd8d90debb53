//! The leader's side of one peer: a thread that waits until there is something for that peer and sends all of it in one
//! AppendEntries (paper, 5.3), or the snapshot (section 7), or a heartbeat when nothing was sent for a while (5.2).
//!
//! It never waits for an answer: a call begun while the peer is cut off may take seconds to fail. A pooled thread makes
//! the call and gives the answer to the core. Without one after a heartbeat interval the peer is taken to be away, and
//! heartbeats alone go out until it answers anything.

use labstd::sync::Arc;
use labstd::time::Instant;
use raftapi::ServerId;

use crate::core::{
    AppendEntriesArgs, AppendEntriesReply, Core, Effects, InstallSnapshotArgs, InstallSnapshotReply, Sent,
};
use crate::server::{HEARTBEAT_INTERVAL, Shared, State};

/// What goes out to a peer.
enum Request {
    AppendEntries(AppendEntriesArgs),
    InstallSnapshot(InstallSnapshotArgs),
}

/// The life of the replicator for `peer`. While the server does not lead there is nothing to do.
pub(crate) fn run(shared: &Arc<Shared>, peer: ServerId) {
    let mut state = shared.state.lock();
    while !shared.killed() {
        if let Some((request, sent)) = next_request(&mut state, peer) {
            drop(state);
            send(shared, peer, &request, sent);
            state = shared.state.lock();
        } else if state.core.is_leader() {
            let until = next_due(&state, peer);
            shared.replicate[peer.0].wait_until(&mut state, until);
        } else {
            shared.replicate[peer.0].wait(&mut state);
        }
    }
}

/// What is to be sent to `peer` now: what it lacks if that may be sent, else a heartbeat if it is time.
fn next_request(state: &mut State, peer: ServerId) -> Option<(Request, Sent)> {
    let now = Instant::now();
    let State { core, links, .. } = state;
    let link = &mut links[peer.0];
    if let Some((sent, _)) = link.under_way.take_if(|(_, overdue)| now >= *overdue) {
        core.request_timed_out(peer, &sent);
    }
    if let Some((request, sent)) = what_it_lacks(core, peer) {
        link.under_way = Some((sent, now + HEARTBEAT_INTERVAL));
        link.heartbeat_due = now + HEARTBEAT_INTERVAL;
        return Some((request, sent));
    }
    if now < link.heartbeat_due {
        return None;
    }
    link.heartbeat_due = now + HEARTBEAT_INTERVAL;
    core.heartbeat(peer).map(|(args, sent)| (Request::AppendEntries(args), sent))
}

/// The entries that `peer` lacks, or the snapshot if the log does not have them any more.
fn what_it_lacks(core: &mut Core, peer: ServerId) -> Option<(Request, Sent)> {
    if let Some((args, sent)) = core.append_entries(peer) {
        return Some((Request::AppendEntries(args), sent));
    }
    core.install_snapshot(peer).map(|(args, sent)| (Request::InstallSnapshot(args), sent))
}

/// When there will be something to do if nothing happens before.
fn next_due(state: &State, peer: ServerId) -> Instant {
    let link = &state.links[peer.0];
    let waits_for_answer = state.core.progress(peer).is_some_and(|progress| progress.waits_for_answer());
    match link.under_way {
        Some((_, overdue)) if waits_for_answer => overdue.min(link.heartbeat_due),
        _ => link.heartbeat_due,
    }
}

fn send(shared: &Arc<Shared>, peer: ServerId, request: &Request, sent: Sent) {
    let end = &shared.peers[peer.0];
    let answered = Arc::clone(shared);
    match request {
        Request::AppendEntries(args) => {
            end.call_async("Raft.AppendEntries", args, move |reply: Option<AppendEntriesReply>| {
                handle(&answered, peer, sent, reply, |core, reply| {
                    core.handle_append_entries_reply(peer, &sent, reply)
                });
            });
        }
        Request::InstallSnapshot(args) => {
            end.call_async("Raft.InstallSnapshot", args, move |reply: Option<InstallSnapshotReply>| {
                handle(&answered, peer, sent, reply, |core, reply| {
                    core.handle_install_snapshot_reply(peer, &sent, reply)
                });
            });
        }
    }
}

/// Gives the outcome of a call to the core.
fn handle<Reply>(
    shared: &Arc<Shared>,
    peer: ServerId,
    sent: Sent,
    reply: Option<Reply>,
    on_reply: impl FnOnce(&mut Core, Reply) -> Effects,
) {
    if shared.killed() {
        return;
    }
    shared.step(|core| {
        let effects = match reply {
            Some(reply) => on_reply(core, reply),
            None => core.request_failed(peer, &sent),
        };
        ((), effects)
    });
}
