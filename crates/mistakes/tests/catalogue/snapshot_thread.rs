//! The row of the catalogue for a mistake between a Raft and its service.

use diagnosis::Rule;

use super::catalogue::{Row, row};

/// The mistake of `mistakes::snapshot_thread`.
pub(crate) const SNAPSHOT_THREAD: &[Row<&str>] = &[row(
    "DeliversSnapshotsOnAThreadOfTheirOwn",
    "snapshot_then_entries_3D",
    Rule::DeliverSnapshot,
    &["applied index", "out of order: the last one before it was"],
)];
