//! Calm: a run whose faults end at a moment of its own clock. From then on the network loses and delays nothing, and what the
//! tester would do to servers (cut them off, crash them, partition them) is left out. What is broken already stays so until
//! the story repairs it: connecting, starting and healing work as ever.
//!
//! Up to the moment a simulated run is the one that it would be without: nothing draws other numbers. So what a failure needs
//! of the faults before it can be found by leaving out more and more of those at the end, which is what the command line's
//! `shrink` does.
//!
//! Less must not blame the innocent. That a Raft is safe, and that it gets somewhere while a majority can talk, holds all the
//! more with fewer faults. What holds only because of a fault (nobody leads, nothing is committed, a snapshot had to be sent)
//! is not checked when all is calm; and where a whole story is about certain faults, none of them can be left out: see
//! [`needs_its_faults`]. The interceptors of such stories, which hold and lose single messages, are part of them.

use labstd::time::Duration;
use record::EventKind;

use crate::scenario::About;

/// Stories of the course that are about certain faults: their clients can reach one side of a partition alone, and wait
/// until whoever leads is there.
const STORIES_OF_PARTITIONS: [&str; 2] = ["one_partition_4A", "snapshot_rpc_4B"];

/// Whether a scenario makes no sense without its faults: one that was made to bring about a certain situation, step by step,
/// as ours are.
pub fn needs_its_faults(about: &About) -> bool {
    !about.of_the_course || STORIES_OF_PARTITIONS.contains(&about.name)
}

/// What the record says of it.
pub(crate) fn event(moment: Duration) -> EventKind {
    EventKind::CalmFrom { moment: u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX) }
}

/// A moment as the command line takes it: `1.25s`.
pub fn moment(moment: Duration) -> String {
    format!("{}s", moment.as_secs_f64())
}
