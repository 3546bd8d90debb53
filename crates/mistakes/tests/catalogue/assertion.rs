//! The assertion that the rows of the catalogue hold.

use std::fmt::Debug;
use std::sync::Mutex;

use tester::Scenario;

use super::catalogue::{self, Row};

/// Asserts that `seeds` seeds catch every mistake of `table` as often as the floor demands, with the words and the rule
/// of its row.
pub(crate) fn assert_all_caught<M: Copy + Debug + Sync>(
    table: &[Row<M>],
    seeds: u64,
    scenarios_with: impl Fn(M) -> Vec<Scenario> + Sync,
) {
    let missed = Mutex::new(Vec::new());
    catalogue::run_rows(table, seeds, scenarios_with, |number, outcome| {
        if outcome.caught < catalogue::floor(seeds) {
            missed.lock().expect("no other thread panics").push(catalogue::describe(&table[number], seeds, &outcome));
        }
    });
    let missed = missed.into_inner().expect("no thread panics");
    assert!(missed.is_empty(), "{} of {} mistakes:\n{}", missed.len(), table.len(), missed.join("\n"));
}
