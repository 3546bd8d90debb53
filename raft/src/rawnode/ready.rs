//! What is to be done, all at once: a [`Ready`] collects what the core has ordered since the last one. The order in which
//! it is carried out is the paper's: first save, then send, then apply (Figure 2, "updated on stable storage before
//! responding to RPCs").
//!
//! # Why to collect is safe
//!
//! Nobody sees anything of a node but its messages, what it applies and what it answers, and all of that is in the `Ready`,
//! behind what has to be saved first. A crash before that is saved takes back events of which nobody has heard; so it is as
//! if they had not happened. Many events then cost one save.
//!
//! # When an entry is handed out as committed
//!
//! When it is committed, and saved here: the `Ready` that had it to be saved has come back with
//! [`advance`](super::RawNode::advance). A leader's own copy counts for the majority from the moment it takes a proposal,
//! which the paper allows only to a copy on stable storage; but no peer can answer before it was sent the entry, and nothing
//! is sent that is not saved, so with any peer at all in the majority the leader's copy is saved. There remains the only
//! server of a cluster, which waits for itself by this rule.

use bytes::Bytes;
use raftapi::{ApplyMsg, Index, Term};

use super::{Message, RawNode, ReadState, SnapshotTask};
use crate::core::{Core, Entry, HardState, LogChange, NewSnapshot, Persist, SoftState};

/// What is to be done. Each part is there only if something has changed. Do it in this task:
///
/// 1. Save `hard_state`, `snapshot`, `base` and `entries`, in one atomic step, with one sync (if
///    [`needs_sync`](Ready::needs_sync)).
/// 2. Send `messages`. See to `snapshot_tasks`.
/// 3. Apply `committed`, in task.
/// 4. Answer `reads`, each as soon as its index is applied.
/// 5. Call [`RawNode::advance`].
#[must_use = "a Ready is orders; one that is not carried out breaks a promise that the node has made"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// The node stands elsewhere than before: another term, another role, or a leader it did not know. Not to be saved.
    pub soft_state: Option<SoftState>,
    /// Save this term and this vote.
    pub hard_state: Option<HardState>,
    /// Put this snapshot in place of the service's state and of the **whole** saved log, which now begins after it.
    /// `entries` has everything that follows it.
    pub snapshot: Option<Snapshot>,
    /// The log begins after this entry now, because of [`RawNode::compact`]: what comes before may be deleted. Never
    /// together with `snapshot`.
    pub base: Option<(Index, Term)>,
    /// Save these entries.
    pub entries: Option<NewEntries>,
    /// Send these, when all of the above is saved. Each may be lost, and they need not keep their task.
    pub messages: Vec<Message>,
    /// These followers need a snapshot.
    pub snapshot_tasks: Vec<SnapshotTask>,
    /// Apply these to the service's state.
    pub committed: Vec<Committed>,
    /// Reads that are confirmed, or never will be.
    pub reads: Vec<ReadState>,
}

/// A snapshot that a leader has sent: the owner has its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last index that it covers.
    pub index: Index,
    /// The term of that entry.
    pub term: Term,
    /// What its sender said of it, to find it by.
    pub descriptor: Bytes,
}

/// Entries for the end of the saved log.
///
/// Invariant: `entries` is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntries {
    /// Whether there are saved entries at and above `first`. They are void: delete them in the same step.
    pub truncates: bool,
    /// The index of the first of them.
    pub first: Index,
    /// The entries, one behind the other.
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

/// What the owner has saved, as far as the node has reported it to and has heard back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SaveProgress {
    hard_state: HardState,
    /// The last index of the saved log, void entries included.
    last_index: Index,
    /// The first index of which the saved log does not have the entry that the node has.
    first_unsaved: Index,
    /// The log has another beginning than the saved one.
    new_base: Option<NewSnapshot>,
}

/// A [`Ready`] that the owner is about to carry out: what will be saved then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PendingReady {
    hard_state: HardState,
    last_index: Index,
}

impl Ready {
    /// Whether what is to be saved must be on disk before anything is sent. Where a log begins is no promise.
    pub fn needs_sync(&self) -> bool {
        self.hard_state.is_some() || self.snapshot.is_some() || self.entries.is_some()
    }
}

impl SaveProgress {
    /// A node that begins has saved all that it has.
    pub(super) fn all_of(core: &Core) -> SaveProgress {
        let last_index = core.log().last_index();
        let hard_state = core.hard_state();
        SaveProgress { hard_state, last_index, first_unsaved: last_index.next(), new_base: None }
    }

    /// The core wants a change saved. The term and the vote are compared when the time comes.
    pub(super) fn record_change(&mut self, change: &Persist, core: &Core) {
        if let Some(LogChange { first, .. }) = change.log {
            self.first_unsaved = self.first_unsaved.min(first);
        }
        match change.snapshot {
            // The whole log is saved anew.
            Some(NewSnapshot::Installed) => {
                self.first_unsaved = core.log().base_index().next();
                self.new_base = change.snapshot;
            }
            Some(NewSnapshot::Taken) => self.new_base = self.new_base.or(change.snapshot),
            None => {}
        }
    }

    /// Up to where the saved log is the node's.
    fn matching_index(&self) -> Index {
        self.last_index.min(self.first_unsaved.prev())
    }

    /// Whether something is to be saved.
    fn is_behind(&self, core: &Core) -> bool {
        self.hard_state != core.hard_state() || self.first_unsaved <= core.log().last_index() || self.new_base.is_some()
    }

    /// The entries that are to be saved, which then count as given.
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
    /// Whether there is anything to be done: whether [`ready`](RawNode::ready) would have something in it. Never while one
    /// is being carried out.
    pub fn has_ready(&self) -> bool {
        self.pending_ready.is_none()
            && (self.reported != self.core.soft_state()
                || self.saving.is_behind(&self.core)
                || !self.messages.is_empty()
                || !self.reads_done.is_empty()
                || self.core.commit_index().min(self.saving.matching_index()) > self.core.last_applied()
                || self.has_pending_sends())
    }

    /// What is to be done, once. The next one comes after [`advance`](RawNode::advance); what happens in the meantime is
    /// left for it.
    ///
    /// # Panics
    ///
    /// If the one before was not followed by `advance`.
    pub fn ready(&mut self) -> Ready {
        assert!(
            self.pending_ready.is_none(),
            "the last Ready is not carried out: advance() comes before the next ready()"
        );
        // Here and not when it was ordered: so what came together goes together.
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
        // What follows a snapshot waits until that is installed.
        ready.committed = core.take_committed_up_to(saving.matching_index()).into_iter().map(Committed::from).collect();
        ready.entries = saving.take_unsaved_entries(core);
        self.pending_ready = Some(PendingReady { hard_state: core.hard_state(), last_index: core.log().last_index() });

        ready.messages = std::mem::take(&mut self.messages);
        ready.reads = std::mem::take(&mut self.reads_done);
        ready
    }

    /// The last [`Ready`] was carried out: all that it wanted saved is saved, and what it wanted applied is applied or
    /// will be, in task.
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

/// The snapshot that a leader has sent, handed out. Nothing of the saved log remains.
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
            ApplyMsg::Snapshot { index, .. } => unreachable!("the snapshot at {index} was handed out before"),
        }
    }
}
