//! Snapshots whose content the node never holds (section 7). The owner keeps its state on disk, in an engine that can
//! read it as of one moment. Holding all of it in memory for every follower would waste memory. So the node returns
//! tasks:
//!
//! ```text
//!   leader's owner                                    follower's owner
//!   compact(index)          the log up to there may go
//!   Ready::snapshot_tasks   a task
//!     makes a snapshot at some applied index X,
//!     beside its loop, and sends it  - - chunks - - > collects and checks the chunks
//!     SnapshotTask::message(X, ...)  - - message - -> when it has all of them: step(message)
//!                                                     Ready::snapshot: installs it in one step
//!   step(reply)           <- - - - - - - - - - - - -  the reply
//! ```
//!
//! While a task is in progress, the peer gets only heartbeats. A transfer may take long, so ticks do not time it out.
//! The owner reports when it has [failed](TransferOutcome::Failed), and the node repeats the task when the peer next
//! replies to something. When the transfer has [arrived](TransferOutcome::Arrived), the reply is awaited like any
//! other. If the reply is lost, heartbeats discover that as well.

use bytes::Bytes;
use raftapi::{Index, ServerId, Term};
use serde::{Deserialize, Serialize};

use super::{Body, Message, RawNode, RequestId};
use crate::core::{InstallSnapshotArgs, InstallSnapshotReply, SentRequest};

/// A task for the owner: send a follower a snapshot, because the log no longer begins early enough for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotTask {
    /// The leader, which is this node.
    from: ServerId,
    /// The follower.
    to: ServerId,
    /// The last index that the log does not have.
    min_index: Index,
    /// The record of the request, to match the reply.
    sent: SentRequest,
}

/// The outcome of the transfer of a snapshot, for [`RawNode::report_snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferOutcome {
    /// The follower has all of it, and the message.
    Arrived,
    /// It will not arrive.
    Failed,
}

impl SnapshotTask {
    pub(super) fn new(from: ServerId, to: ServerId, args: &InstallSnapshotArgs, sent: SentRequest) -> SnapshotTask {
        SnapshotTask { from, to, min_index: args.last_included_index, sent }
    }

    /// Returns the follower that needs the snapshot.
    pub fn to(&self) -> ServerId {
        self.to
    }

    /// Returns the smallest sufficient last index of the snapshot. With a smaller one, the follower would still lack
    /// entries that the log does not have.
    pub fn min_index(&self) -> Index {
        self.min_index
    }

    /// Returns the message for the follower's [`RawNode::step`], to be given to it when the follower has the content,
    /// complete and checked. The snapshot is the service's state after the entry at `index`, which has `term`. The
    /// follower's owner finds the content by the `descriptor`, which is small. This function needs no node and may be
    /// called on any thread.
    ///
    /// Returns `None` if `term` is above the term in which the task was given. Then this node has applied an entry of a
    /// later leader, so it does not lead the task's term any more, and nobody may get such a message. Report the
    /// transfer as [`Failed`](TransferOutcome::Failed).
    ///
    /// # Panics
    ///
    /// If `index` is before [`min_index`](SnapshotTask::min_index).
    pub fn message(&self, index: Index, term: Term, descriptor: Bytes) -> Option<Message> {
        assert!(
            self.min_index <= index,
            "a snapshot up to index {index} is too old: {} needs one up to index {} at least",
            self.to,
            self.min_index
        );
        if term > self.sent.term {
            return None;
        }
        let args = InstallSnapshotArgs {
            term: self.sent.term,
            leader_id: self.from,
            last_included_index: index,
            last_included_term: term,
            data: descriptor,
        };
        let body = Body::InstallSnapshot { args, request_id: RequestId::of(&self.sent) };
        Some(Message { from: self.from, to: self.to, body })
    }
}

impl RawNode {
    /// Discards the log up to `index`: the owner's own state durably contains everything up to there. Does nothing if
    /// these entries are discarded already. The entries that remain determine which followers can still be served from
    /// the log. Keep some for followers that are slightly behind, and all entries after a snapshot that is being
    /// transferred.
    ///
    /// # Panics
    ///
    /// If the entry at `index` was not yet handed out to be applied: the owner's state cannot contain it.
    pub fn compact(&mut self, index: Index) {
        // The owner's state itself is the snapshot.
        let effects = self.core.snapshot_taken(index, Bytes::new());
        self.collect(effects);
    }

    /// Reports the outcome of the transfer for `task`. The report names the task and not only the peer, so a late
    /// report is not mistaken for one of the next transfer.
    pub fn report_snapshot(&mut self, task: &SnapshotTask, transfer: TransferOutcome) {
        let SnapshotTask { to, sent, .. } = task;
        let of_this_term = sent.term == self.core.current_term();
        let in_flight = of_this_term && self.core.progress(*to).is_some_and(|progress| progress.is_in_flight(sent));
        match transfer {
            TransferOutcome::Arrived if in_flight => self.peer_ticks[to.0].in_flight = Some((*sent, 0)),
            // An immediate retry would be useless. The reply to the next heartbeat shows whether the peer can be
            // reached.
            TransferOutcome::Failed if in_flight => self.core.request_timed_out(*to, sent),
            TransferOutcome::Arrived | TransferOutcome::Failed => {}
        }
    }

    /// Handles a leader's snapshot. Its content is complete, because the owner passes on this message only then.
    pub(super) fn receive_snapshot(&mut self, leader: ServerId, args: InstallSnapshotArgs, request_id: RequestId) {
        let sent = request_id.sent(args.term, args.last_included_index, args.last_included_index);
        let (reply, effects) = self.core.handle_install_snapshot(args);
        self.collect(effects);
        let committed = self.core.commit_index();
        self.send(leader, Body::InstallSnapshotReply { sent, reply, committed });
    }

    /// Handles a follower's reply to a snapshot. If the snapshot came too late, the follower had already committed
    /// more. Its committed entries are the same in the log of every leader of its term (5.4, Leader Completeness).
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
