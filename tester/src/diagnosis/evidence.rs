//! What in a record speaks for or against the causes that a check considers.

use std::collections::BTreeMap;

use record::{Event, EventKind, Fault, Index};

use super::rule::Rule;

/// For each rule whether the record speaks for it, as the broken one, or against it.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    of: BTreeMap<Rule, bool>,
    proposed: Vec<Rule>,
    divided: bool,
    restarts: bool,
    snapshots: bool,
    restarts_with_snapshots: bool,
}

/// They cannot have been broken before a server was started again.
const OF_RESTARTS: [Rule; 6] = [
    Rule::SaveTerm,
    Rule::SaveVote,
    Rule::SaveLog,
    Rule::SaveBeforeAnswering,
    Rule::SaveSnapshot,
    Rule::ReadSnapshotBack,
];

/// They cannot have been broken while nobody crashed or was cut off: there was no leader that did not know of the next.
const OF_OLD_LEADERS: [Rule; 3] = [Rule::ReadsAskTheMajority, Rule::OwnEntryOnly, Rule::FirstReadOfALeader];

/// They cannot have been broken before there was a snapshot.
const OF_SNAPSHOTS: [Rule; 6] = [
    Rule::OldSnapshot,
    Rule::RetainBehindSnapshot,
    Rule::SaveSnapshot,
    Rule::DuplicatesInSnapshot,
    Rule::ReadSnapshotBack,
    Rule::InstallResetsService,
];

impl Evidence {
    /// The record speaks for `rule`.
    pub(crate) fn speaks_for(&mut self, rule: Rule) {
        self.of.insert(rule, true);
    }

    /// The record speaks against `rule`.
    pub(crate) fn against(&mut self, rule: Rule) {
        self.of.insert(rule, false);
    }

    /// The record speaks for `rule`, whether the check considers it or not.
    pub(crate) fn propose(&mut self, rule: Rule) {
        self.proposed.push(rule);
    }

    /// Looks at an event.
    pub(crate) fn look(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Fault(Fault::Crash(_) | Fault::Disconnect(_)) => self.divided = true,
            EventKind::Fault(Fault::Partition(parts)) => self.divided |= parts.len() > 1,
            EventKind::Fault(Fault::Restart(_)) => {
                self.restarts = true;
                self.restarts_with_snapshots |= self.snapshots;
            }
            EventKind::SnapshotTaken { .. } | EventKind::SnapshotInstalled { .. } | EventKind::LogCompacted { .. } => {
                self.snapshots = true;
            }
            EventKind::Restored { snapshot_index, .. } if *snapshot_index > Index::ZERO => self.snapshots = true,
            _ => {}
        }
    }

    /// The record is over.
    pub(crate) fn end(&mut self) {
        if !self.divided {
            OF_OLD_LEADERS.into_iter().for_each(|rule| self.against(rule));
        }
        if !self.restarts {
            OF_RESTARTS.into_iter().for_each(|rule| self.against(rule));
        }
        if !self.snapshots {
            OF_SNAPSHOTS.into_iter().for_each(|rule| self.against(rule));
        }
        if !self.restarts_with_snapshots {
            self.against(Rule::ReadSnapshotBack);
            self.against(Rule::SaveSnapshot);
        }
    }

    /// The first few of `likely`, in this order but for those that the record speaks for, which come first, and those that
    /// it speaks against, which are left out.
    pub(crate) fn choose(&self, likely: &[Rule], most: usize) -> Vec<Rule> {
        let says = |rule: &Rule| self.of.get(rule).copied();
        let supported = likely.iter().filter(|rule| says(rule) == Some(true));
        let open = likely.iter().filter(|rule| says(rule).is_none());
        let unproposed = |rule: &Rule| !self.proposed.contains(rule);
        let others = supported.chain(open).copied().filter(unproposed);
        self.proposed.iter().copied().chain(others).take(most).collect()
    }
}
