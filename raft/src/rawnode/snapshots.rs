//! Snapshots of which the node never holds the content (section 7). The owner has its state on disk, in an engine that can
//! show it as it was at one moment; to have all of it in memory for every follower would be of no use. So the node deals
//! in orders:
//!
//! ```text
//!   leader's owner                                    follower's owner
//!   compact(index)          the log before it may go
//!   Ready::snapshot_tasks an order
//!     makes a snapshot at some applied index X,
//!     beside its loop, and sends it  - - chunks - - > collects and checks the chunks
//!     SnapshotTask::message(X, ...) - - message - -> when all is there: step(message)
//!                                                     Ready::snapshot: installs it in one step
//!   step(answer)          <- - - - - - - - - - - - -  the answer
//! ```
//!
//! While an order is under way the peer gets nothing but heartbeats. A transfer may take long, so no tick ends it: the owner
//! says when it has [failed](TransferOutcome::Failed), and the order is given anew when the peer next answers something. When it
//! has [arrived](TransferOutcome::Arrived) the answer is awaited like any other. Should one be lost, heartbeats find out as well.

use bytes::Bytes;
use raftapi::{Index, ServerId, Term};
use serde::{Deserialize, Serialize};

use super::{Body, Message, RawNode, RequestId};
use crate::core::{InstallSnapshotArgs, InstallSnapshotReply, SentRequest};

/// A follower needs a snapshot: the log does not begin early enough for it any more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotTask {
    /// The leader, which is this node.
    from: ServerId,
    /// The follower.
    to: ServerId,
    /// The last index that the log does not have.
    at_least: Index,
    /// What to match the answer by.
    sent: SentRequest,
}

/// What has become of the transfer of a snapshot, for [`RawNode::report_snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferOutcome {
    /// The follower has all of it, and the message.
    Arrived,
    /// It will not arrive.
    Failed,
}

impl SnapshotTask {
    pub(super) fn new(from: ServerId, to: ServerId, args: &InstallSnapshotArgs, sent: SentRequest) -> SnapshotTask {
        SnapshotTask { from, to, at_least: args.last_included_index, sent }
    }

    /// The follower that needs the snapshot.
    pub fn to(&self) -> ServerId {
        self.to
    }

    /// The first index that will do for a snapshot's last: with an earlier one the follower would still lack entries
    /// that the log does not have.
    pub fn min_index(&self) -> Index {
        self.at_least
    }

    /// The message to be given to the follower's [`RawNode::step`] when it has the content, complete and checked. The
    /// snapshot is the service's state after the entry at `index`, which has `term`; `descriptor` is what the follower's
    /// owner finds the content by, and is small. This needs no node, and may be called on any thread.
    ///
    /// # Panics
    ///
    /// If `index` is before [`at_least`](SnapshotTask::at_least).
    pub fn message(&self, index: Index, term: Term, descriptor: Bytes) -> Message {
        assert!(self.at_least <= index, "a snapshot at {index} is too old: {} needs {}", self.to, self.at_least);
        let args = InstallSnapshotArgs {
            term: self.sent.term,
            leader_id: self.from,
            last_included_index: index,
            last_included_term: term,
            data: descriptor,
        };
        Message {
            from: self.from,
            to: self.to,
            body: Body::InstallSnapshot { args, request_id: RequestId::of(&self.sent) },
        }
    }
}

impl RawNode {
    /// The owner's own state has everything up to `index`, durably, so the log up to there may go. Nothing happens if it
    /// is gone already. The entries that it keeps decide who can still be served from the log: leave some for followers
    /// that are a little behind, and all after a snapshot that is under way to one.
    ///
    /// # Panics
    ///
    /// If the entry at `index` was not yet handed out to be applied: the owner's state cannot have it.
    pub fn compact(&mut self, index: Index) {
        // The snapshot is the owner's state itself.
        let effects = self.core.snapshot_taken(index, Bytes::new());
        self.collect(effects);
    }

    /// What has become of the transfer for `order`. To name the order and not the peer alone keeps a late report from
    /// being taken for one of the next transfer.
    pub fn report_snapshot(&mut self, task: &SnapshotTask, transfer: TransferOutcome) {
        let SnapshotTask { to, sent, .. } = task;
        let of_this_term = sent.term == self.core.current_term();
        let in_flight = of_this_term && self.core.progress(*to).is_some_and(|progress| progress.is_in_flight(sent));
        match transfer {
            TransferOutcome::Arrived if in_flight => self.peer_ticks[to.0].in_flight = Some((*sent, 0)),
            // At once again would be of no use: the next answer to a heartbeat shows whether the peer is there.
            TransferOutcome::Failed if in_flight => self.core.request_timed_out(*to, sent),
            TransferOutcome::Arrived | TransferOutcome::Failed => {}
        }
    }

    /// A leader's snapshot is here. Its content is complete, or this message would not have been stepped.
    pub(super) fn receive_snapshot(&mut self, leader: ServerId, args: InstallSnapshotArgs, request_id: RequestId) {
        let sent = request_id.sent(args.term, args.last_included_index, args.last_included_index);
        let (reply, effects) = self.core.handle_install_snapshot(args);
        self.collect(effects);
        let committed = self.core.commit_index();
        self.send(leader, Body::InstallSnapshotReply { sent, reply, committed });
    }

    /// A follower has answered. If the snapshot came too late for it, it had committed more without it; and what it has
    /// committed is the same in the log of every leader of its term (5.4, Leader Completeness).
    pub(super) fn receive_snapshot_reply(
        &mut self,
        from: ServerId,
        sent: SentRequest,
        reply: InstallSnapshotReply,
        committed: Index,
    ) {
        let has = if reply.term == sent.term { sent.last_index.max(committed) } else { sent.last_index };
        let sent = SentRequest { last_index: has.min(self.core.log().last_index()), ..sent };
        let effects = self.core.handle_install_snapshot_reply(from, &sent, reply);
        self.collect(effects);
        self.on_reply_from(from);
    }
}
