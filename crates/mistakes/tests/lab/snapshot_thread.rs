//! A snapshot that is delivered by a thread of its own is caught in part 3D when the simulation holds that thread. It
//! was caught by none of 3,800 runs while a simulated thread that was ready always ran before the clock moved.

use mistakes::snapshot_thread;
use tester::{Subject, raft_scenarios};

use crate::assertion;
use crate::false_alarms::seeds;
use crate::snapshot_thread_row::SNAPSHOT_THREAD;

/// Number of seeds. `LAB_RUNS` overrides it.
const PART_OF_THE_SEEDS: u64 = 20;

#[test]
fn an_overtaken_snapshot_is_caught() {
    assertion::assert_all_caught(SNAPSHOT_THREAD, seeds(PART_OF_THE_SEEDS), |_| {
        raft_scenarios(&Subject::with_factory(snapshot_thread::factory()))
    });
}
