//! A snapshot that is delivered by a thread of its own is caught in part 3D when the simulation holds that thread. It
//! was caught by none of 3,800 runs while a simulated thread that was ready always ran before the clock moved.

use diagnosis::Rule;
use mistakes::snapshot_thread;
use tester::{Subject, raft_scenarios};

mod search;
use search::{Caught, SEEDS};

#[test]
fn an_overtaken_snapshot_is_caught() {
    let row = Caught {
        mistake: "DeliversSnapshotsOnAThreadOfTheirOwn",
        rule: Rule::ApplyInOrder,
        scenario: "snapshot_then_entries_3D",
        words: &["applied index", "out of order: the last one before it was"],
        seeds: 198,
    };
    search::expect_all_caught([row], SEEDS, |_| raft_scenarios(&Subject::with_factory(snapshot_thread::factory())));
}
