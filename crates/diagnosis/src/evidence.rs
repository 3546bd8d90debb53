//! Evidence in a record for or against the causes that a check considers.

use std::collections::BTreeMap;

use ids::Index;
use record::{Event, EventKind, Fault};

use super::rule::Rule;

/// For each rule, whether the record supports it as the broken rule (`true`) or rules it out (`false`).
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    verdicts: BTreeMap<Rule, bool>,
    proposed: Vec<Rule>,
    server_lost: bool,
    restarts: bool,
    snapshots: bool,
    restarts_after_snapshot: bool,
}

/// Rules that cannot be broken before a server restarts.
const NEED_A_RESTART: [Rule; 6] = [
    Rule::SaveTerm,
    Rule::SaveVote,
    Rule::SaveLog,
    Rule::SaveBeforeReply,
    Rule::SaveSnapshot,
    Rule::RestoreSnapshotOnStart,
];

/// Rules that cannot be broken while no server has crashed or been disconnected, because every leader then knows of its
/// successor.
const NEED_A_LOST_SERVER: [Rule; 3] = [Rule::ReadsNeedQuorum, Rule::ReplyToOwnEntryOnly, Rule::CommitBeforeFirstRead];

/// Rules that cannot be broken before there is a snapshot.
const NEED_A_SNAPSHOT: [Rule; 6] = [
    Rule::IgnoreOldSnapshot,
    Rule::RetainAfterSnapshot,
    Rule::SaveSnapshot,
    Rule::DuplicateTableInSnapshot,
    Rule::RestoreSnapshotOnStart,
    Rule::InstallResetsService,
];

impl Evidence {
    /// Notes that the record supports `rule` as the broken one.
    pub(crate) fn supports(&mut self, rule: Rule) {
        self.verdicts.insert(rule, true);
    }

    /// Notes that the record rules out `rule`.
    pub(crate) fn rules_out(&mut self, rule: Rule) {
        self.verdicts.insert(rule, false);
    }

    /// Notes that the record supports `rule`, even if the check does not consider it.
    pub(crate) fn propose(&mut self, rule: Rule) {
        self.proposed.push(rule);
    }

    /// Examines an event.
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

    /// Evaluates the whole record at its end.
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

    /// Returns at most `most` rules of `likely`. Rules that the record supports come first; rules that it rules out are
    /// removed; otherwise the order stays.
    pub(crate) fn choose(&self, likely: &[Rule], most: usize) -> Vec<Rule> {
        let says = |rule: &Rule| self.verdicts.get(rule).copied();
        let supported = likely.iter().filter(|rule| says(rule) == Some(true));
        let open = likely.iter().filter(|rule| says(rule).is_none());
        let unproposed = |rule: &Rule| !self.proposed.contains(rule);
        let others = supported.chain(open).copied().filter(unproposed);
        self.proposed.iter().copied().chain(others).take(most).collect()
    }
}
