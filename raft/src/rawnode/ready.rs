//! The work of an owner, in batches: a [`Ready`] collects what the core has ordered since the last one. The owner does
//! the work in the paper's order: save first, then send, then apply (Figure 2, "updated on stable storage before
//! responding to RPCs").
//!
//! # Why collecting is safe
//!
//! Other nodes and clients see only a node's messages, the entries that it applies and the reads that it answers. All
//! of these are in the `Ready`, and must wait until it is saved. A crash before that takes back only events that nobody
//! has seen, so it is as if they had not happened. Thus many events cost only one save.
//!
//! # When an entry is handed out as committed
//!
//! An entry is handed out when it is committed and also saved on this server: the `Ready` that contained it for saving
//! has been acknowledged with [`advance`](super::RawNode::advance).
//!
//! A leader counts its own copy toward the majority as soon as it accepts a proposal. The paper allows this only for a
//! copy on stable storage. But no peer can confirm an entry before it was sent, and nothing is sent before it is saved.
//! So if the majority includes any peer, the leader's copy is saved. The only exception is a cluster of one server,
//! which by the rule above waits for its own disk.

use bytes::Bytes;
use raftapi::{ApplyMsg, Index, Term};

use super::{Message, RawNode, ReadState, SnapshotTask};
use crate::core::{Core, Entry, HardState, LogChange, LostEntry, NewSnapshot, Persist, SoftState};

/// The work to do. Each part is present only if something has changed. Do the work in this order:
///
/// 1. Save `hard_state`, `snapshot`, `base` and `entries`, in one atomic step, with one sync (if
///    [`needs_sync`](Ready::needs_sync)).
/// 2. Send `messages`. Start the `snapshot_tasks`.
/// 3. Apply `committed`, in order.
/// 4. Answer `reads` when they are applied.
/// 5. Call [`RawNode::advance`].
#[must_use = "the node relies on its Ready being carried out; a Ready that is dropped breaks a promise"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// The new term, role and known leader, if one of them has changed. It is not saved.
    pub soft_state: Option<SoftState>,
    /// The term and the vote to save.
    pub hard_state: Option<HardState>,
    /// A snapshot that replaces the service's state and the **whole** saved log, which now begins after it. `entries`
    /// has all entries after it.
    pub snapshot: Option<Snapshot>,
    /// The new base of the log, after a call of [`RawNode::compact`]: the entries up to it may be deleted. Never
    /// present together with `snapshot`.
    pub base: Option<(Index, Term)>,
    /// The entries to save.
    pub entries: Option<NewEntries>,
    /// Messages to send when all of the above is saved. A message may be lost, and messages may be reordered.
    pub messages: Vec<Message>,
    /// Followers that need a snapshot.
    pub snapshot_tasks: Vec<SnapshotTask>,
    /// Entries to apply to the service's state.
    pub committed: Vec<Committed>,
    /// Reads that are confirmed or lost.
    pub reads: Vec<ReadState>,
    /// Entries that other servers have lost although they had confirmed them, for the log.
    pub lost_entries: Vec<LostEntry>,
}

/// A snapshot that a leader has sent. The owner already has its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last index that it covers.
    pub index: Index,
    /// The term of that entry.
    pub term: Term,
    /// The sender's descriptor, by which the owner finds the content.
    pub descriptor: Bytes,
}

/// Entries for the end of the saved log.
///
/// Invariant: `entries` is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntries {
    /// True if there are saved entries at and above `first`. They are void: delete them in the same step.
    pub truncates: bool,
    /// The index of the first of them.
    pub first: Index,
    /// The entries, at consecutive indexes.
    pub entries: Vec<Entry>,
}

/// A committed entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its index.
    pub index: Index,
    /// The term in which it was created.
    pub term: Term,
    /// The command.
    pub command: Bytes,
}

/// The state that the owner has saved, as far as the node ordered it and `advance` acknowledged it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SaveProgress {
    hard_state: HardState,
    /// The last index of the saved log, void entries included.
    last_index: Index,
    /// The first index at which the saved log lacks the node's entry.
    first_unsaved: Index,
    /// The origin of a new base of the log that is not saved yet.
    new_base: Option<NewSnapshot>,
}

/// A [`Ready`] that the owner has not acknowledged yet: the state that it saves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PendingReady {
    hard_state: HardState,
    last_index: Index,
}

impl Ready {
    /// Returns whether the owner must sync before it sends anything. A new base alone is not a promise and needs no
    /// sync.
    pub fn needs_sync(&self) -> bool {
        self.hard_state.is_some() || self.snapshot.is_some() || self.entries.is_some()
    }
}

impl SaveProgress {
    /// Returns the state of a node that starts: everything it has is saved.
    pub(super) fn all_saved(core: &Core) -> SaveProgress {
        let last_index = core.log().last_index();
        let hard_state = core.hard_state();
        SaveProgress { hard_state, last_index, first_unsaved: last_index.next(), new_base: None }
    }

    /// Records a change that the core wants to have saved. Term and vote need no record, because `ready` compares them
    /// with the saved ones.
    pub(super) fn record_change(&mut self, change: &Persist, core: &Core) {
        if let Some(LogChange { first, .. }) = change.log {
            self.first_unsaved = self.first_unsaved.min(first);
        }
        match change.snapshot {
            // The whole log must be saved again.
            Some(NewSnapshot::Installed) => {
                self.first_unsaved = core.log().base_index().next();
                self.new_base = change.snapshot;
            }
            Some(NewSnapshot::Taken) => self.new_base = self.new_base.or(change.snapshot),
            None => {}
        }
    }

    /// Returns the index up to which the saved log equals the node's log.
    fn matching_index(&self) -> Index {
        self.last_index.min(self.first_unsaved.prev())
    }

    /// Returns whether there is something to save.
    fn is_behind(&self, core: &Core) -> bool {
        self.hard_state != core.hard_state() || self.first_unsaved <= core.log().last_index() || self.new_base.is_some()
    }

    /// Returns the entries to save. They then count as handed out.
    fn take_unsaved_entries(&mut self, core: &Core) -> Option<NewEntries> {
        let (first, last) = (self.first_unsaved, core.log().last_index());
        self.first_unsaved = last.next();
        (first <= last).then(|| NewEntries {
            truncates: first <= self.last_index,
            first,
            entries: core.log().entries(first, last).to_vec(),
        })
    }
}

impl RawNode {
    /// Returns whether there is work to do: whether [`ready`](RawNode::ready) would return a part that is not empty. It
    /// is false until the last Ready is acknowledged.
    pub fn has_ready(&self) -> bool {
        self.pending_ready.is_none()
            && (self.reported != self.core.soft_state()
                || self.saving.is_behind(&self.core)
                || !self.messages.is_empty()
                || !self.reads_done.is_empty()
                || !self.lost_entries.is_empty()
                || self.core.commit_index().min(self.saving.matching_index()) > self.core.last_applied()
                || self.has_pending_sends())
    }

    /// Returns the work to do; each part is returned once. Call [`advance`](RawNode::advance) before the next call.
    /// Events in the meantime are kept for the next Ready.
    ///
    /// # Panics
    ///
    /// If the previous Ready was not followed by `advance`.
    pub fn ready(&mut self) -> Ready {
        assert!(
            self.pending_ready.is_none(),
            "the last Ready is not acknowledged: call advance() before the next ready()"
        );
        // Messages are built now and not when they were ordered, so entries that arrived together are sent together.
        let snapshot_tasks = self.send_pending();
        let RawNode { core, saving, .. } = self;
        let mut ready = Ready { snapshot_tasks, ..Ready::default() };

        let soft_state = core.soft_state();
        ready.soft_state = (soft_state != self.reported).then_some(soft_state);
        self.reported = soft_state;

        ready.hard_state = (core.hard_state() != saving.hard_state).then(|| core.hard_state());
        match saving.new_base.take() {
            Some(NewSnapshot::Installed) => ready.snapshot = installed_snapshot(core, saving),
            Some(NewSnapshot::Taken) => ready.base = Some((core.log().base_index(), core.log().base_term())),
            None => {}
        }
        // Entries after a snapshot wait until it is installed.
        ready.committed = core.take_committed_up_to(saving.matching_index()).into_iter().map(Committed::from).collect();
        ready.entries = saving.take_unsaved_entries(core);
        self.pending_ready = Some(PendingReady { hard_state: core.hard_state(), last_index: core.log().last_index() });

        ready.messages = std::mem::take(&mut self.messages);
        ready.reads = std::mem::take(&mut self.reads_done);
        ready.lost_entries = std::mem::take(&mut self.lost_entries);
        ready
    }

    /// Acknowledges the last [`Ready`]: all that it ordered to save is saved, and its committed entries are applied or
    /// will be, in order.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn advance(&mut self) {
        let PendingReady { hard_state, last_index } = self.pending_ready.take().expect("advance() follows ready()");
        self.saving.hard_state = hard_state;
        self.saving.last_index = last_index;
    }
}

/// Takes the snapshot that a leader has sent. Nothing of the saved log remains.
fn installed_snapshot(core: &mut Core, saving: &mut SaveProgress) -> Option<Snapshot> {
    let base = core.log().base_index();
    saving.last_index = base;
    core.take_committed_up_to(base).into_iter().find_map(|message| match message {
        ApplyMsg::Snapshot { index, term, snapshot } => Some(Snapshot { index, term, descriptor: snapshot }),
        ApplyMsg::Command { .. } => None,
    })
}

impl From<ApplyMsg> for Committed {
    fn from(message: ApplyMsg) -> Committed {
        match message {
            ApplyMsg::Command { index, term, command } => Committed { index, term, command },
            ApplyMsg::Snapshot { index, .. } => unreachable!("the snapshot at index {index} was handed out before"),
        }
    }
}
