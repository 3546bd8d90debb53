//! Log compaction. The leader proposes it as a log entry, so that every server discards the same entries after it has
//! applied them.

use raft::core::{Core, ProgressState};
use raftapi::Index;

use super::command::Command;

/// The log may grow to this multiple of the limit while other servers need its entries.
const HARD_LIMIT_FACTOR: u64 = 4;

/// A leader's decision when to compact the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compaction {
    /// The size of the log, in bytes, above which it is compacted.
    limit: u64,
    /// The index of the last proposed compaction.
    proposed: Option<Index>,
}

impl Compaction {
    /// Creates a compaction policy with this limit, in bytes.
    pub(super) fn new(limit: u64) -> Compaction {
        Compaction { limit, proposed: None }
    }

    /// Returns the same policy without the proposal of an earlier leadership.
    pub(super) fn for_new_leader(self) -> Compaction {
        Compaction::new(self.limit)
    }

    /// Returns the command to compact the log, which has `log_bytes` now, if the log is too long and no compaction is
    /// in flight. For a while, entries are kept that a responsive server still needs, and entries after
    /// `snapshot_index`, the index of a snapshot in flight.
    pub(super) fn next_command(&self, core: &Core, log_bytes: u64, snapshot_index: Option<Index>) -> Option<Command> {
        let applied = core.last_applied();
        let in_flight = self.proposed.is_some_and(|index| applied < index);
        if log_bytes <= self.limit || in_flight {
            return None;
        }
        let match_indexes = core.peers().filter_map(|peer| {
            let progress = core.progress(peer)?;
            matches!(progress.state(), ProgressState::Replicating { .. }).then(|| progress.match_index())
        });
        let retain_after = match_indexes.chain(snapshot_index).min().unwrap_or(applied);
        let up_to = if log_bytes > HARD_LIMIT_FACTOR * self.limit { applied } else { retain_after.min(applied) };
        (up_to > core.log().base_index()).then_some(Command::Compact { up_to })
    }

    /// Records that the compaction was proposed at `index`.
    pub(super) fn note_proposed(&mut self, index: Index) {
        self.proposed = Some(index);
    }
}

#[cfg(test)]
mod tests {
    use raft::rawnode::{Config, RawNode};
    use raftapi::ServerId;

    use super::*;

    /// The leader of a one-server cluster, which has applied ten entries.
    fn leader() -> RawNode {
        let mut node = RawNode::new(Config::new(ServerId(0), 1)).expect("a new node");
        node.campaign();
        node.propose_many((0..10).map(|_| Command::Noop.encode())).expect("it leads");
        while node.has_ready() {
            let _ready = node.ready();
            node.advance();
        }
        assert_eq!(node.core().last_applied(), Index(10));
        node
    }

    #[test]
    fn a_log_over_the_limit_is_compacted_once() {
        let node = leader();
        let mut compaction = Compaction::new(100);
        assert_eq!(compaction.next_command(node.core(), 100, None), None);
        assert_eq!(compaction.next_command(node.core(), 101, None), Some(Command::Compact { up_to: Index(10) }));
        compaction.note_proposed(Index(11));
        assert_eq!(compaction.next_command(node.core(), 101, None), None, "a compaction is in flight");
        assert!(
            compaction.for_new_leader().next_command(node.core(), 101, None).is_some(),
            "the proposal of an earlier leader may be lost"
        );
    }

    #[test]
    fn entries_after_a_snapshot_in_flight_are_kept_for_a_while() {
        let node = leader();
        let compaction = Compaction::new(100);
        assert_eq!(
            compaction.next_command(node.core(), 101, Some(Index(4))),
            Some(Command::Compact { up_to: Index(4) })
        );
        assert_eq!(compaction.next_command(node.core(), 101, Some(Index(0))), None, "there is nothing to discard");
        assert_eq!(
            compaction.next_command(node.core(), 401, Some(Index(4))),
            Some(Command::Compact { up_to: Index(10) })
        );
    }
}
