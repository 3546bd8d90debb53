//! Reports: the events that a Raft records about itself.

use record::EventKind;

/// Time after a report, in nanoseconds, within which the next report may belong to the same moment.
pub(crate) const MOMENT: u64 = 1_000_000;

/// Returns whether an event is a report of a Raft about itself.
pub(crate) fn is_report(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Restored { .. }
            | EventKind::RoleChanged { .. }
            | EventKind::TermChanged { .. }
            | EventKind::VoteGranted { .. }
            | EventKind::LogAppended { .. }
            | EventKind::LogTruncated { .. }
            | EventKind::LogCompacted { .. }
            | EventKind::Committed { .. }
            | EventKind::Persisted { .. }
    )
}
