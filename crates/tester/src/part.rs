//! The parts of the lab.

use std::fmt;

/// A part of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Leader election.
    P3A,
    /// The log.
    P3B,
    /// Persistence.
    P3C,
    /// Log compaction.
    P3D,
    /// The key/value service.
    P4A,
    /// The key/value service with snapshots.
    P4B,
}

/// System under test of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Raft servers.
    Raft,
    /// Key/value servers with clients, over Raft.
    Kv,
}

impl Part {
    /// All parts, in the order of the lab.
    pub const ALL: [Part; 6] = [Part::P3A, Part::P3B, Part::P3C, Part::P3D, Part::P4A, Part::P4B];

    /// Returns the number of the part, such as `3A`.
    pub fn number(self) -> &'static str {
        match self {
            Part::P3A => "3A",
            Part::P3B => "3B",
            Part::P3C => "3C",
            Part::P3D => "3D",
            Part::P4A => "4A",
            Part::P4B => "4B",
        }
    }

    /// Returns the system under test of the part.
    pub fn layer(self) -> Layer {
        match self {
            Part::P3A | Part::P3B | Part::P3C | Part::P3D => Layer::Raft,
            Part::P4A | Part::P4B => Layer::Kv,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}
