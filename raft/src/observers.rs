//! What others are reported when something has changed: the record of the run, in full ([`raftapi::report`]), and the services
//! that have subscribed, of what concerns them ([`raftapi::StateChange`]). Nothing here changes what the server does.
//!
//! All of this is called under the server's lock, in the order of the events, so the record's order is that of the changes.
//! No subscriber is waited for.

use labstd::channel::{self, Receiver, Sender};
use raftapi::{Index, Role, StateChange, Term, report};

use crate::core::{Core, Effects, HardState, LogChange, NewSnapshot, Persist, RoleName, SoftState};

/// How many changes a subscriber may leave unread before it is given up. Elections take a good part of a second each, so
/// one that reads at all is far from it.
const UNREAD_MAX: usize = 64;

/// What others have been reported, and who wants to be.
pub(crate) struct Observers {
    /// The role and the term that are known.
    reported: (RoleName, Term),
    /// The last index of the log, as it is known.
    reported_last_index: Index,
    /// Services that want to be reported.
    subscribers: Vec<Sender<StateChange>>,
}

impl Observers {
    /// A server starts with what it had saved.
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

    /// Tells what an event has changed; `core` is as it is after it, and `saved_bytes` were written.
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

    /// A channel of what happens from now on.
    pub(crate) fn subscribe(&mut self) -> Receiver<StateChange> {
        let (sender, receiver) = channel::bounded(UNREAD_MAX);
        self.subscribers.push(sender);
        receiver
    }

    /// Nothing will happen any more.
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

    /// The log has another beginning.
    fn report_snapshot(&mut self, new: NewSnapshot, core: &Core) {
        let log = core.log();
        let (index, term) = (log.base_index(), log.base_term());
        // It may have taken the place of the whole log, and not of the beginning alone.
        if log.last_index() < self.reported_last_index {
            report::truncated(log.last_index());
        }
        self.reported_last_index = log.last_index();
        report::compacted(index, term);
        if new == NewSnapshot::Installed {
            self.publish(StateChange::SnapshotInstalled { index, term });
        }
    }

    /// Sends a change to all that want to know. Who does not read, or is gone, is forgotten.
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
