//! Prints the catalogue: each mistake, the scenario that catches it, how many seeds of it do, and the rule that the
//! failures name.
//!
//! `cargo run --release -p mistakes --example catalogue` runs 200 seeds of each scenario, in a few minutes on two
//! cores. The first argument is another number of seeds; names of mistakes after it choose rows. The exit status is 1
//! if a mistake is caught less often than the floor demands.

use std::fmt::Debug;
use std::process::ExitCode;
use std::sync::Mutex;

use mistakes::{KvMistake, Mistake, Raft, snapshot_thread};
use tester::{PACE, Scenario, Subject, raft_scenarios};

#[path = "../tests/catalogue/mod.rs"]
mod catalogue;
#[path = "../tests/catalogue/kv.rs"]
mod kv_rows;
#[path = "../tests/kv_subjects/mod.rs"]
mod kv_subjects;
#[path = "../tests/catalogue/raft.rs"]
mod raft_rows;
#[path = "../tests/catalogue/snapshot_thread.rs"]
mod snapshot_thread_row;
use catalogue::{Outcome, Row};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let seeds = match arguments.next().map(|number| number.parse()) {
        None => catalogue::SEEDS,
        Some(Ok(seeds)) => seeds,
        Some(Err(_)) => {
            eprintln!("error: the first argument is a number of seeds, the others are names of mistakes");
            return ExitCode::from(2);
        }
    };
    let names: Vec<String> = arguments.collect();
    println!("{:36} {:46} {:>9}  rule told", "mistake", "scenario", "caught");
    let raft = |mistake: Mistake| raft_scenarios(&Subject::with_factory(Raft::factory(Some(mistake))));
    let kv = |mistake: KvMistake| kv_subjects::scenarios_with(mistake, PACE);
    let on_a_thread = |_| raft_scenarios(&Subject::with_factory(snapshot_thread::factory()));
    let missed = print_rows(raft_rows::RAFT, seeds, &names, raft)
        + print_rows(snapshot_thread_row::SNAPSHOT_THREAD, seeds, &names, on_a_thread)
        + print_rows(kv_rows::KV, seeds, &names, kv);
    println!("{missed} mistakes are caught by less than {} of {seeds} seeds", catalogue::floor(seeds));
    ExitCode::from(u8::from(missed > 0))
}

/// Runs and prints the chosen rows of a table, in its order. Returns how many missed the floor.
fn print_rows<M: Copy + Debug + Sync>(
    table: &[Row<M>],
    seeds: u64,
    names: &[String],
    scenarios_with: impl Fn(M) -> Vec<Scenario> + Sync,
) -> usize {
    let chosen = |row: &Row<M>| names.is_empty() || names.iter().any(|name| *name == format!("{:?}", row.mistake));
    let rows: Vec<Row<M>> = table.iter().copied().filter(chosen).collect();
    let outcomes: Mutex<Vec<Option<Outcome>>> = Mutex::new(vec![None; rows.len()]);
    catalogue::run_rows(&rows, seeds, scenarios_with, |number, outcome| {
        outcomes.lock().expect("no other thread panics")[number] = Some(outcome);
    });
    let outcomes = outcomes.into_inner().expect("no thread panics").into_iter().flatten();
    let mut missed = 0;
    for (row, outcome) in rows.iter().zip(outcomes) {
        let (mistake, caught) = (format!("{:?}", row.mistake), format!("{}/{seeds}", outcome.caught));
        println!("{mistake:36} {:46} {caught:>9}  {:?}: {}", row.scenario, row.rule, row.rule.source());
        if outcome.caught < catalogue::floor(seeds) {
            missed += 1;
            println!("  {}", catalogue::describe(row, seeds, &outcome));
        }
    }
    missed
}
