//! A leader's side of its peers: what is due to each of them, and when it is given up. There are no calls that could fail,
//! so all that a leader learns of a silent peer is that time goes by, in ticks.

use raftapi::ServerId;

use super::{Body, Message, RawNode, SnapshotOrder, Ticket};
use crate::core::{AppendEntriesArgs, Sent};

/// The timers of a leader for one peer, in ticks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Link {
    /// How long ago something was sent to it.
    pub(super) since_sent: u32,
    /// A heartbeat is due.
    pub(super) heartbeat_due: bool,
    /// The entries that are under way to it, and for how long.
    pub(super) under_way: Option<(Sent, u32)>,
}

impl RawNode {
    /// A tick of a leader: heartbeats become due, and answers overdue.
    pub(super) fn leader_tick(&mut self) {
        for peer in self.core.peers() {
            let link = &mut self.links[peer.0];
            link.since_sent += 1;
            // A tick is soon enough for a new commit index that no entries have carried.
            link.heartbeat_due |= link.since_sent >= self.heartbeat_ticks || self.core.needs_commit_notice(peer);
            if let Some((_, since)) = &mut link.under_way {
                *since += 1;
            }
            let answer_ticks = self.answer_ticks;
            if let Some((sent, _)) = link.under_way.take_if(|(_, since)| *since >= answer_ticks) {
                self.core.request_timed_out(peer, &sent);
            }
        }
    }

    /// A tick of a candidate: "servers retry RPCs if they do not receive a response in a timely manner" (5.1).
    pub(super) fn candidate_tick(&mut self) {
        self.since_asked += 1;
        if self.since_asked < self.heartbeat_ticks {
            return;
        }
        self.since_asked = 0;
        let args = self.core.vote_request();
        for peer in self.core.peers() {
            if self.core.wants_vote_of(peer, args.term) {
                self.send(peer, Body::RequestVote(args));
            }
        }
    }

    /// Something came from `peer`: what was under way to it may not be any more.
    pub(super) fn answered(&mut self, peer: ServerId) {
        if !self.core.progress(peer).is_some_and(|progress| progress.waits_for_answer()) {
            self.links[peer.0].under_way = None;
        }
    }

    /// Whether a leader has something for some peer.
    pub(super) fn some_peer_is_to_be_served(&self) -> bool {
        self.core.is_leader()
            && self.core.peers().any(|peer| self.links[peer.0].heartbeat_due || self.core.has_content_for(peer))
    }

    /// Sends every peer what it lacks, if that may be sent now; else a heartbeat, if one is due. Returns the snapshots that
    /// are to be made.
    pub(super) fn serve_peers(&mut self) -> Vec<SnapshotOrder> {
        let mut orders = Vec::new();
        if !self.core.is_leader() {
            return orders;
        }
        for peer in self.core.peers() {
            if let Some((args, sent)) = self.core.append_entries(peer) {
                self.send_append(peer, args, &sent);
                self.links[peer.0].under_way = Some((sent, 0));
            } else {
                if let Some((args, sent)) = self.core.install_snapshot(peer) {
                    orders.push(SnapshotOrder::new(self.core.me(), peer, &args, sent));
                }
                // An order is no sign of life.
                if self.links[peer.0].heartbeat_due
                    && let Some((args, sent)) = self.core.heartbeat_within_match(peer)
                {
                    self.send_append(peer, args, &sent);
                }
            }
        }
        orders
    }

    fn send_append(&mut self, peer: ServerId, args: AppendEntriesArgs, sent: &Sent) {
        let link = &mut self.links[peer.0];
        (link.since_sent, link.heartbeat_due) = (0, false);
        self.send(peer, Body::AppendEntries { args, ticket: Ticket::of(sent) });
    }

    /// Leaves a message for the next Ready.
    pub(super) fn send(&mut self, to: ServerId, body: Body) {
        self.messages.push(Message { from: self.core.me(), to, body });
    }
}
