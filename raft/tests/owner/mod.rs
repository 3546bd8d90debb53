//! The disk of a `RawNode`'s owner: the state that survives a crash, and nothing else. It saves each `Ready`, checks
//! that the `Ready` is valid, and returns the configuration with which a node starts.

use raft::core::{Entry, HardState, Log};
use raft::rawnode::{Config, Ready};
use raftapi::{Index, ServerId, Term};

/// The saved state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    pub(crate) hard_state: HardState,
    base: (Index, Term),
    entries: Vec<Entry>,
    /// The index up to which the service's saved state goes.
    pub(crate) applied: Index,
    /// The index that a replaced server must store before it votes.
    pub(crate) catch_up_to: Option<Index>,
}

impl Disk {
    /// Saves the state in `ready`, in one step.
    pub(crate) fn save(&mut self, ready: &Ready) {
        if let Some(hard_state) = ready.hard_state {
            assert_ne!(hard_state, self.hard_state, "an unchanged term and vote are not saved again");
            assert!(hard_state.term >= self.hard_state.term, "a term never decreases");
            self.hard_state = hard_state;
        }
        if let Some(snapshot) = &ready.snapshot {
            assert!(snapshot.index > self.applied, "a snapshot never sets the service back");
            self.base = (snapshot.index, snapshot.term);
            self.entries.clear();
            self.applied = snapshot.index;
        }
        if let Some((index, term)) = ready.base {
            assert!(ready.snapshot.is_none(), "a log has one base");
            assert!(self.base.0 < index && index <= self.applied, "only entries that the service has may be discarded");
            self.entries.drain(..(index.0 - self.base.0.0) as usize);
            self.base = (index, term);
        }
        if let Some(new) = &ready.entries {
            assert!(!new.entries.is_empty(), "`entries` is present only if it is not empty");
            assert!(self.base.0 < new.first && new.first <= self.last_index().next(), "a log has no gaps");
            assert_eq!(
                new.truncates,
                new.first <= self.last_index(),
                "`truncates` is set exactly if saved entries are replaced"
            );
            assert!(new.first > self.applied, "an applied entry is never replaced");
            self.entries.truncate((new.first.0 - self.base.0.0 - 1) as usize);
            self.entries.extend_from_slice(&new.entries);
        }
    }

    /// Returns the configuration with which a node starts.
    pub(crate) fn config(&self, me: ServerId, servers: usize) -> Config {
        let (base_index, base_term) = self.base;
        Config {
            hard_state: self.hard_state,
            log: Log::after(base_index, base_term, self.entries.clone()),
            applied: self.applied,
            catch_up_to: self.catch_up_to,
            ..Config::new(me, servers)
        }
    }

    /// Loses the last entry after the base, if there is one.
    #[allow(dead_code, reason = "only the exhaustive search breaks a disk")]
    pub(crate) fn lose_last_entry(&mut self) {
        self.entries.pop();
        self.applied = self.applied.min(self.last_index());
    }

    /// Returns the last index of the saved log.
    pub(crate) fn last_index(&self) -> Index {
        Index(self.base.0.0 + self.entries.len() as u64)
    }

    /// Returns the term of a saved entry, or of the base.
    pub(crate) fn term(&self, index: Index) -> Option<Term> {
        if index == self.base.0 {
            return Some(self.base.1);
        }
        let place = index.0.checked_sub(self.base.0.0 + 1)?;
        self.entries.get(place as usize).map(|entry| entry.term)
    }
}
