//! Observers of a server: the record of the run, which receives every change ([`raftapi::report`]), and services that
//! have subscribed to leadership changes and installed snapshots ([`raftapi::StateChange`]). Nothing here changes the
//! server's behaviour.
//!
//! All of it is called under the server's lock, in the order of the events, so the record has the order of the changes.
//! The server never waits for a subscriber.

use labstd::channel::{self, Receiver, Sender};
use raftapi::{Index, Role, StateChange, Term, report};

use crate::core::{Core, Effects, HardState, LogChange, NewSnapshot, Persist, RoleName, SoftState};

/// Number of changes that a subscriber may leave unread before it is dropped. An election takes a large fraction of a
/// second, so a subscriber that reads at all stays far below this limit.
const UNREAD_MAX: usize = 64;

/// The state that was last reported, and the subscribers.
pub(crate) struct Observers {
    /// The role and the term that were last reported.
    reported: (RoleName, Term),
    /// The last index of the log, as last reported.
    reported_last_index: Index,
    /// Services that have subscribed.
    subscribers: Vec<Sender<StateChange>>,
}

impl Observers {
    /// Reports the saved state with which a server starts.
    pub(crate) fn at_start(core: &Core) -> Observers {
        let log = core.log();
        report::restored(core.current_term(), core.voted_for(), (log.base_index(), log.base_term()));
        report_appended(core, log.base_index().next(), log.last_index());
        Observers {
            reported: (RoleName::Follower, core.current_term()),
            reported_last_index: log.last_index(),
            subscribers: Vec::new(),
        }
    }

    /// Reports the changes of an event. `core` is the state after the event, and `saved_bytes` is the number of bytes
    /// written.
    pub(crate) fn report_changes(&mut self, effects: &Effects, core: &Core, saved_bytes: usize) {
        let Effects { persist: Persist { hard_state, log, snapshot }, commit_advanced, soft_state, .. } = effects;
        if let Some(standing) = *soft_state {
            self.report_soft_state(standing);
        }
        if let Some(HardState { term, voted_for: Some(to) }) = *hard_state {
            report::vote(term, to);
        }
        if let Some(LogChange { truncates, first, last }) = *log {
            if truncates {
                report::truncated(first.prev());
            }
            report_appended(core, first, last);
            self.reported_last_index = last;
        }
        if let Some(new) = *snapshot {
            self.report_snapshot(new, core);
        }
        if saved_bytes > 0 {
            report::persisted(saved_bytes);
        }
        if let Some(index) = *commit_advanced {
            report::committed(index);
        }
    }

    /// Returns a channel of future changes.
    pub(crate) fn subscribe(&mut self) -> Receiver<StateChange> {
        let (sender, receiver) = channel::bounded(UNREAD_MAX);
        self.subscribers.push(sender);
        receiver
    }

    /// Closes all subscriptions, because no further change will happen.
    pub(crate) fn end_subscriptions(&mut self) {
        self.subscribers.clear();
    }

    fn report_soft_state(&mut self, SoftState { term, role, .. }: SoftState) {
        let (reported_role, reported_term) = std::mem::replace(&mut self.reported, (role, term));
        if role != reported_role || role == RoleName::Candidate && term != reported_term {
            report::role(role.into(), term);
        } else if term != reported_term {
            report::term(term);
        }
        match (reported_role, role) {
            (RoleName::Leader, RoleName::Follower | RoleName::Candidate) => {
                self.publish(StateChange::SteppedDown { term });
            }
            (RoleName::Follower | RoleName::Candidate, RoleName::Leader) => {
                self.publish(StateChange::BecameLeader { term });
            }
            _ => {}
        }
    }

    /// Reports a new snapshot, which gave the log a new base.
    fn report_snapshot(&mut self, new: NewSnapshot, core: &Core) {
        let log = core.log();
        let (index, term) = (log.base_index(), log.base_term());
        // The snapshot may have replaced the whole log, and not only its beginning.
        if log.last_index() < self.reported_last_index {
            report::truncated(log.last_index());
        }
        self.reported_last_index = log.last_index();
        report::compacted(index, term);
        if new == NewSnapshot::Installed {
            self.publish(StateChange::SnapshotInstalled { index, term });
        }
    }

    /// Sends a change to all subscribers. Drops those that do not read or are gone.
    fn publish(&mut self, change: StateChange) {
        self.subscribers.retain(|subscriber| subscriber.try_send(change).is_ok());
    }
}

/// Reports the entries from `first` to `last` of the log as new.
fn report_appended(core: &Core, first: Index, last: Index) {
    report::appended(first, core.log().entries(first, last).iter().map(|entry| entry.term));
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Role {
        match role {
            RoleName::Follower => Role::Follower,
            RoleName::Candidate => Role::Candidate,
            RoleName::Leader => Role::Leader,
        }
    }
}
