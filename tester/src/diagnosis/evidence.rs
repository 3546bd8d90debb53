//! What in a record speaks for or against the causes that a check considers.

use std::collections::BTreeMap;

use record::{Event, EventKind, Fault, Index};

use super::rule::Rule;

/// For each rule whether the record speaks for it, as the broken one, or against it.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    verdicts: BTreeMap<Rule, bool>,
    proposed: Vec<Rule>,
    server_lost: bool,
    restarts: bool,
    snapshots: bool,
    restarts_after_snapshot: bool,
}

/// They cannot have been broken before a server was started again.
const NEED_A_RESTART: [Rule; 6] = [
    Rule::SaveTerm,
    Rule::SaveVote,
    Rule::SaveLog,
    Rule::SaveBeforeReply,
    Rule::SaveSnapshot,
    Rule::RestoreSnapshotOnStart,
];

/// They cannot have been broken while nobody crashed or was cut off: there was no leader that did not know of the next.
const NEED_A_LOST_SERVER: [Rule; 3] = [Rule::ReadsNeedQuorum, Rule::ReplyToOwnEntryOnly, Rule::CommitBeforeFirstRead];

/// They cannot have been broken before there was a snapshot.
const NEED_A_SNAPSHOT: [Rule; 6] = [
    Rule::IgnoreOldSnapshot,
    Rule::RetainAfterSnapshot,
    Rule::SaveSnapshot,
    Rule::DuplicateTableInSnapshot,
    Rule::RestoreSnapshotOnStart,
    Rule::InstallResetsService,
];

impl Evidence {
    /// The record speaks for `rule`.
    pub(crate) fn supports(&mut self, rule: Rule) {
        self.verdicts.insert(rule, true);
    }

    /// The record speaks against `rule`.
    pub(crate) fn rules_out(&mut self, rule: Rule) {
        self.verdicts.insert(rule, false);
    }

    /// The record speaks for `rule`, whether the check considers it or not.
    pub(crate) fn propose(&mut self, rule: Rule) {
        self.proposed.push(rule);
    }

    /// Looks at an event.
    pub(crate) fn observe(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Fault(Fault::Crash(_) | Fault::Disconnect(_)) => self.server_lost = true,
            EventKind::Fault(Fault::Partition(parts)) => self.server_lost |= parts.len() > 1,
            EventKind::Fault(Fault::Restart(_)) => {
                self.restarts = true;
                self.restarts_after_snapshot |= self.snapshots;
            }
            EventKind::SnapshotTaken { .. } | EventKind::SnapshotInstalled { .. } | EventKind::LogCompacted { .. } => {
                self.snapshots = true;
            }
            EventKind::Restored { snapshot_index, .. } if *snapshot_index > Index::ZERO => self.snapshots = true,
            _ => {}
        }
    }

    /// The record is over.
    pub(crate) fn finish(&mut self) {
        if !self.server_lost {
            NEED_A_LOST_SERVER.into_iter().for_each(|rule| self.rules_out(rule));
        }
        if !self.restarts {
            NEED_A_RESTART.into_iter().for_each(|rule| self.rules_out(rule));
        }
        if !self.snapshots {
            NEED_A_SNAPSHOT.into_iter().for_each(|rule| self.rules_out(rule));
        }
        if !self.restarts_after_snapshot {
            self.rules_out(Rule::RestoreSnapshotOnStart);
            self.rules_out(Rule::SaveSnapshot);
        }
    }

    /// The first few of `likely`, in this order but for those that the record speaks for, which come first, and those that
    /// it speaks against, which are left out.
    pub(crate) fn choose(&self, likely: &[Rule], most: usize) -> Vec<Rule> {
        let says = |rule: &Rule| self.verdicts.get(rule).copied();
        let supported = likely.iter().filter(|rule| says(rule) == Some(true));
        let open = likely.iter().filter(|rule| says(rule).is_none());
        let unproposed = |rule: &Rule| !self.proposed.contains(rule);
        let others = supported.chain(open).copied().filter(unproposed);
        self.proposed.iter().copied().chain(others).take(most).collect()
    }
}
