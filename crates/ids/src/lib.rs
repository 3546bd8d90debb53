//! The three numbers that every part of the lab uses. They are types of their own, so that a term is never mistaken for
//! an index.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A position in the log. The first entry has index 1; 0 means "before the first entry" (Raft paper, Figure 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Index(pub u64);

/// A term: the logical time of Raft (paper, section 5.1). The first leader is elected in term 1; 0 is the term of a
/// server that has seen no election yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Term(pub u64);

/// A server of the cluster, counted from 0: its place in the list of peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerId(pub usize);

impl Index {
    /// The index before the first entry.
    pub const ZERO: Index = Index(0);

    /// Returns the next index.
    pub const fn next(self) -> Index {
        Index(self.0 + 1)
    }

    /// Returns the previous index.
    ///
    /// # Panics
    ///
    /// If this is index 0, which has no previous index.
    pub const fn prev(self) -> Index {
        Index(self.0 - 1)
    }
}

impl Term {
    /// The term before any election.
    pub const ZERO: Term = Term(0);

    /// Returns the next term.
    pub const fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S{}", self.0)
    }
}
