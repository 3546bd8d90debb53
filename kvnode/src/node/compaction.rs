//! When the log is cut. The leader says so in the log itself, so that all servers cut at the same place, after they have
//! applied what goes.

use raft::core::{Core, Flow};
use raftapi::Index;

use super::command::Command;

/// How many times as long as the limit a log may become for the sake of servers that need its entries.
const PATIENCE: u64 = 4;

/// Decides for a leader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compaction {
    /// How many bytes of log are enough.
    limit: u64,
    /// Where the last order to cut was proposed.
    proposed: Option<Index>,
}

impl Compaction {
    /// With this limit, in bytes.
    pub(super) fn new(limit: u64) -> Compaction {
        Compaction { limit, proposed: None }
    }

    /// The same, without what an earlier leadership has proposed.
    pub(super) fn of_new_leader(self) -> Compaction {
        Compaction::new(self.limit)
    }

    /// The order to cut the log, of `log_bytes` now, if it is time and none is under way. Entries that a server still needs which
    /// answers, and those from `kept_for` on, which follow a snapshot under way, are kept for a while.
    pub(super) fn due(&self, core: &Core, log_bytes: u64, kept_for: Option<Index>) -> Option<Command> {
        let applied = core.last_applied();
        let under_way = self.proposed.is_some_and(|index| applied < index);
        if log_bytes <= self.limit || under_way {
            return None;
        }
        let in_need = core.peers().filter_map(|peer| {
            let progress = core.progress(peer)?;
            matches!(progress.flow(), Flow::Replicating { .. }).then(|| progress.match_index())
        });
        let wanted = in_need.chain(kept_for).min().unwrap_or(applied);
        let up_to = if log_bytes > PATIENCE * self.limit { applied } else { wanted.min(applied) };
        (up_to > core.log().base_index()).then_some(Command::Compact { up_to })
    }

    /// The order was proposed.
    pub(super) fn proposed(&mut self, index: Index) {
        self.proposed = Some(index);
    }
}

#[cfg(test)]
mod tests {
    use raft::rawnode::{Config, RawNode};
    use raftapi::ServerId;

    use super::*;

    /// A leader that is alone, and has applied ten entries.
    fn leader() -> RawNode {
        let mut node = RawNode::new(Config::new(ServerId(0), 1)).expect("a new node");
        node.campaign();
        node.propose_many((0..10).map(|_| Command::Nothing.encode())).expect("it leads");
        while node.has_ready() {
            let _carried_out = node.ready();
            node.advance();
        }
        assert_eq!(node.core().last_applied(), Index(10));
        node
    }

    #[test]
    fn a_log_that_is_too_long_is_cut_once() {
        let node = leader();
        let mut compaction = Compaction::new(100);
        assert_eq!(compaction.due(node.core(), 100, None), None);
        assert_eq!(compaction.due(node.core(), 101, None), Some(Command::Compact { up_to: Index(10) }));
        compaction.proposed(Index(11));
        assert_eq!(compaction.due(node.core(), 101, None), None, "that is under way");
        assert!(
            compaction.of_new_leader().due(node.core(), 101, None).is_some(),
            "what another has proposed may be lost"
        );
    }

    #[test]
    fn entries_behind_a_snapshot_under_way_are_kept_for_a_while() {
        let node = leader();
        let compaction = Compaction::new(100);
        assert_eq!(compaction.due(node.core(), 101, Some(Index(4))), Some(Command::Compact { up_to: Index(4) }));
        assert_eq!(compaction.due(node.core(), 101, Some(Index(0))), None, "there is nothing to cut");
        assert_eq!(compaction.due(node.core(), 401, Some(Index(4))), Some(Command::Compact { up_to: Index(10) }));
    }
}
