//! The decision when the server makes a snapshot.

/// Decides when the server makes a snapshot.
pub(crate) struct SnapshotPolicy {
    /// Size of Raft's saved state, in bytes, at which a snapshot is wanted.
    max_raft_state: usize,
    /// Total size of the commands that were applied since the last snapshot, in bytes.
    applied_bytes: usize,
}

impl SnapshotPolicy {
    pub(crate) fn new(max_raft_state: usize) -> SnapshotPolicy {
        SnapshotPolicy { max_raft_state, applied_bytes: 0 }
    }

    /// Records that a command of this size was applied.
    pub(crate) fn record_applied(&mut self, bytes: usize) {
        self.applied_bytes += bytes;
    }

    /// Records that a snapshot was made.
    pub(crate) fn record_snapshot(&mut self) {
        self.applied_bytes = 0;
    }

    /// Reports whether a snapshot is due. The size of the log alone does not decide this, because a snapshot removes
    /// only applied entries. The log of a leader that is or was cut off may be long and hold few of them. With the size
    /// alone such a server would make a snapshot for every entry.
    pub(crate) fn is_due(&self, raft_state_size: impl Fn() -> usize) -> bool {
        self.applied_bytes >= self.max_raft_state / 2 && raft_state_size() >= self.max_raft_state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_needs_a_large_state_and_new_applied_entries() {
        let mut policy = SnapshotPolicy::new(1000);
        assert!(!policy.is_due(|| 5000), "no entry was applied, so a snapshot could not shorten the log");
        policy.record_applied(499);
        assert!(!policy.is_due(|| 5000));
        policy.record_applied(1);
        assert!(policy.is_due(|| 1000));
        assert!(!policy.is_due(|| 999), "the state is still small");
        policy.record_snapshot();
        assert!(!policy.is_due(|| 5000), "the last snapshot is as new as the last applied entry");
    }
}
