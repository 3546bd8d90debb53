//! A leader's side of its peers: what is due to each of them, and when it is given up. There are no calls that could fail,
//! so all that a leader learns of a silent peer is that time goes by, in ticks.

use raftapi::ServerId;

use super::{Body, Message, RawNode, RequestId, SnapshotTask};
use crate::core::{AppendEntriesArgs, SentRequest};

/// The timers of a leader for one peer, in ticks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct PeerTicks {
    /// How long ago something was sent to it.
    pub(super) since_sent: u32,
    /// A heartbeat is due.
    pub(super) heartbeat_due: bool,
    /// The entries that are under way to it, and for how long.
    pub(super) in_flight: Option<(SentRequest, u32)>,
}

impl RawNode {
    /// A tick of a leader: heartbeats become due, and answers overdue.
    pub(super) fn leader_tick(&mut self) {
        for peer in self.core.peers() {
            let ticks = &mut self.peer_ticks[peer.0];
            ticks.since_sent += 1;
            // A tick is soon enough for a new commit index that no entries have carried.
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

    /// A tick of a candidate: "servers retry RPCs if they do not receive a response in a timely manner" (5.1).
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

    /// Something came from `peer`: what was under way to it may not be any more.
    pub(super) fn on_reply_from(&mut self, peer: ServerId) {
        if !self.core.progress(peer).is_some_and(|progress| progress.awaits_reply()) {
            self.peer_ticks[peer.0].in_flight = None;
        }
    }

    /// Whether a leader has something for some peer.
    pub(super) fn has_pending_sends(&self) -> bool {
        self.core.is_leader()
            && self.core.peers().any(|peer| self.peer_ticks[peer.0].heartbeat_due || self.core.has_content_for(peer))
    }

    /// Sends every peer what it lacks, if that may be sent now; else a heartbeat, if one is due. Returns the snapshots that
    /// are to be made.
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
                // An order is no sign of life.
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

    /// Leaves a message for the next Ready.
    pub(super) fn send(&mut self, to: ServerId, body: Body) {
        self.messages.push(Message { from: self.core.me(), to, body });
    }
}
