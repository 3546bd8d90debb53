//! The leader's side of its peers: what is due to each of them, and when a request times out. There are no calls that
//! could fail, so a leader recognises an unreachable peer only by the ticks that pass without a reply.

use raftapi::ServerId;

use super::{Body, Message, RawNode, RequestId, SnapshotTask};
use crate::core::{AppendEntriesArgs, SentRequest};

/// A leader's timers for one peer, in ticks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct PeerTicks {
    /// Ticks since the last message to it.
    pub(super) since_sent: u32,
    /// True if a heartbeat is due.
    pub(super) heartbeat_due: bool,
    /// The entries in flight to it, and the ticks since they were sent.
    pub(super) in_flight: Option<(SentRequest, u32)>,
}

impl RawNode {
    /// Handles a tick of a leader: heartbeats become due, and replies overdue.
    pub(super) fn leader_tick(&mut self) {
        for peer in self.core.peers() {
            let ticks = &mut self.peer_ticks[peer.0];
            ticks.since_sent += 1;
            // One tick is soon enough for a new commit index that no entries have carried.
            ticks.heartbeat_due |= ticks.since_sent >= self.heartbeat_ticks || self.core.needs_commit_notice(peer);
            if let Some((_, since)) = &mut ticks.in_flight {
                *since += 1;
            }
            let reply_timeout_ticks = self.reply_timeout_ticks;
            if let Some((sent, _)) = ticks.in_flight.take_if(|(_, since)| *since >= reply_timeout_ticks) {
                self.core.request_timed_out(peer, &sent);
            }
        }
    }

    /// Handles a tick of a candidate: "servers retry RPCs if they do not receive a response in a timely manner" (5.1).
    pub(super) fn candidate_tick(&mut self) {
        self.ticks_since_vote_requests += 1;
        if self.ticks_since_vote_requests < self.heartbeat_ticks {
            return;
        }
        self.ticks_since_vote_requests = 0;
        let args = self.core.vote_request();
        for peer in self.core.peers() {
            if self.core.needs_vote_of(peer, args.term) {
                self.send(peer, Body::RequestVote(args));
            }
        }
    }

    /// Handles a message from `peer`: it may have ended the request in flight.
    pub(super) fn on_reply_from(&mut self, peer: ServerId) {
        if !self.core.progress(peer).is_some_and(|progress| progress.awaits_reply()) {
            self.peer_ticks[peer.0].in_flight = None;
        }
    }

    /// Returns whether a leader has something to send to some peer.
    pub(super) fn has_pending_sends(&self) -> bool {
        self.core.is_leader()
            && self.core.peers().any(|peer| self.peer_ticks[peer.0].heartbeat_due || self.core.has_content_for(peer))
    }

    /// Sends every peer its pending content if it may be sent now, otherwise a heartbeat if one is due. Returns the
    /// snapshots that the owner must make.
    pub(super) fn send_pending(&mut self) -> Vec<SnapshotTask> {
        let mut tasks = Vec::new();
        if !self.core.is_leader() {
            return tasks;
        }
        for peer in self.core.peers() {
            if let Some((args, sent)) = self.core.append_entries(peer) {
                self.send_append(peer, args, &sent);
                self.peer_ticks[peer.0].in_flight = Some((sent, 0));
            } else {
                if let Some((args, sent)) = self.core.install_snapshot(peer) {
                    tasks.push(SnapshotTask::new(self.core.me(), peer, &args, sent));
                }
                // The task itself sends nothing to the peer, so a heartbeat may still be due.
                if self.peer_ticks[peer.0].heartbeat_due
                    && let Some((args, sent)) = self.core.heartbeat_within_match(peer)
                {
                    self.send_append(peer, args, &sent);
                }
            }
        }
        tasks
    }

    fn send_append(&mut self, peer: ServerId, args: AppendEntriesArgs, sent: &SentRequest) {
        let ticks = &mut self.peer_ticks[peer.0];
        (ticks.since_sent, ticks.heartbeat_due) = (0, false);
        self.send(peer, Body::AppendEntries { args, request_id: RequestId::of(sent) });
    }

    /// Adds a message to the next Ready.
    pub(super) fn send(&mut self, to: ServerId, body: Body) {
        self.messages.push(Message { from: self.core.me(), to, body });
    }
}
