//! The leader's side of one peer: a thread that waits until there is something for that peer and sends all of it in one
//! AppendEntries (paper, 5.3), or a heartbeat when nothing was sent for a while (5.2).
//!
//! It never waits for an answer: a call begun while the peer is cut off may take seconds to fail. A pooled thread makes
//! the call and gives the answer to the core. Without one after a heartbeat interval the peer is taken to be away, and
//! heartbeats alone go out until it answers anything.

use labstd::sync::Arc;
use labstd::time::Instant;
use raftapi::ServerId;

use crate::core::{AppendEntriesArgs, AppendEntriesReply, Flow, SentAppend};
use crate::server::{HEARTBEAT_INTERVAL, Shared, State};

/// The life of the replicator for `peer`. While the server does not lead there is nothing to do.
pub(crate) fn run(shared: &Arc<Shared>, peer: ServerId) {
    let mut state = shared.state.lock();
    while !shared.killed() {
        if let Some((args, sent)) = next_message(&mut state, peer) {
            drop(state);
            send(shared, peer, &args, sent);
            state = shared.state.lock();
        } else if state.core.is_leader() {
            let until = next_due(&state, peer);
            shared.replicate[peer.0].wait_until(&mut state, until);
        } else {
            shared.replicate[peer.0].wait(&mut state);
        }
    }
}

/// What is to be sent to `peer` now: entries if there are some and they may be sent, else a heartbeat if it is time.
fn next_message(state: &mut State, peer: ServerId) -> Option<(AppendEntriesArgs, SentAppend)> {
    let now = Instant::now();
    let State { core, links, .. } = state;
    let link = &mut links[peer.0];
    if let Some((sent, _)) = link.under_way.take_if(|(_, overdue)| now >= *overdue) {
        core.append_timed_out(peer, &sent);
    }
    if let Some((args, sent)) = core.append_entries(peer) {
        link.under_way = Some((sent, now + HEARTBEAT_INTERVAL));
        link.heartbeat_due = now + HEARTBEAT_INTERVAL;
        return Some((args, sent));
    }
    if now < link.heartbeat_due {
        return None;
    }
    link.heartbeat_due = now + HEARTBEAT_INTERVAL;
    core.heartbeat(peer)
}

/// When there will be something to do if nothing happens before.
fn next_due(state: &State, peer: ServerId) -> Instant {
    let link = &state.links[peer.0];
    let waits_for_answer =
        state.core.progress(peer).is_some_and(|progress| matches!(progress.flow(), Flow::InFlight(_)));
    match link.under_way {
        Some((_, overdue)) if waits_for_answer => overdue.min(link.heartbeat_due),
        _ => link.heartbeat_due,
    }
}

fn send(shared: &Arc<Shared>, peer: ServerId, args: &AppendEntriesArgs, sent: SentAppend) {
    let answered = Arc::clone(shared);
    shared.peers[peer.0].call_async("Raft.AppendEntries", args, move |reply: Option<AppendEntriesReply>| {
        if answered.killed() {
            return;
        }
        answered.step(|core| {
            let effects = match reply {
                Some(reply) => core.handle_append_entries_reply(peer, &sent, reply),
                None => core.append_failed(peer, &sent),
            };
            ((), effects)
        });
    });
}
