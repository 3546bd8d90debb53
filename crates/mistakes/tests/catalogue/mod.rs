//! The catalogue: each mistake, the scenario that catches it, the rule that the failure names, and the floor, which is
//! the number of seeds that must catch it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use diagnosis::Rule;
use tester::{Clock, Scenario, Verdict, gate, runner};

/// Number of seeds, from 1 on, for which the catalogue is made.
pub(crate) const SEEDS: u64 = 200;

/// Number of these seeds that must catch each mistake and name its rule.
pub(crate) const FLOOR: u64 = 190;

/// Returns the floor for another number of seeds, in proportion.
pub(crate) fn floor(seeds: u64) -> u64 {
    seeds * FLOOR / SEEDS
}

/// A row of the catalogue.
#[derive(Clone, Copy)]
pub(crate) struct Row<M> {
    pub(crate) mistake: M,
    /// The scenario that catches it.
    pub(crate) scenario: &'static str,
    /// The broken rule, which the failure names first.
    pub(crate) rule: Rule,
    /// The words that the failure contains.
    pub(crate) words: &'static [&'static str],
}

/// Creates a row of the catalogue.
pub(crate) const fn row<M>(mistake: M, scenario: &'static str, rule: Rule, words: &'static [&'static str]) -> Row<M> {
    Row { mistake, scenario, rule, words }
}

/// The outcome of the seeds of one row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Seeds that failed in the words of the row and named its rule first.
    pub(crate) caught: u64,
    /// Number of seeds that failed otherwise: by the rule that they named first, or the first line of the failure if
    /// its words differ; with one of the seeds.
    pub(crate) other: BTreeMap<String, (u64, u64)>,
}

/// Runs the scenario of each row with the seeds from 1 to `seeds`, on all processors. `scenarios_with` returns the
/// scenarios, run against servers that make a mistake. Calls `done` for each row, in no particular order.
pub(crate) fn run_rows<M: Copy + Debug + Sync>(
    table: &[Row<M>],
    seeds: u64,
    scenarios_with: impl Fn(M) -> Vec<Scenario> + Sync,
    done: impl Fn(usize, Outcome) + Sync,
) {
    let next = AtomicUsize::new(0);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        while let Some((number, row)) = take(table, &next) {
            let scenario = find_scenario(scenarios_with(row.mistake), row.scenario);
            done(number, run_row(row, &scenario, seeds));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().expect("a failed run is a report, not a panic"));
    });
}

fn take<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let number = next.fetch_add(1, Relaxed);
    Some((number, items.get(number)?))
}

fn run_row<M>(row: &Row<M>, scenario: &Scenario, seeds: u64) -> Outcome {
    let _pass = gate::admit(Clock::Simulated, &scenario.info);
    let mut outcome = Outcome::default();
    for seed in 1..=seeds {
        // Nearly all of these runs fail, and a failed run needs its record: each is recorded from the start.
        let Verdict::Failed(failure) = runner::run(scenario, Clock::Simulated, seed).verdict else { continue };
        let told = failure.diagnosis.first();
        let in_words = row.words.iter().all(|part| failure.text.contains(part));
        if in_words && told == Some(row.rule) {
            outcome.caught += 1;
            continue;
        }
        let what = match told {
            Some(rule) if in_words => format!("{rule:?}"),
            _ => failure.text.lines().next().unwrap_or_default().to_string(),
        };
        outcome.other.entry(what).or_insert((0, seed)).0 += 1;
    }
    outcome
}

/// Returns the scenario `name`.
///
/// # Panics
///
/// If there is none.
pub(crate) fn find_scenario(scenarios: Vec<Scenario>, name: &str) -> Scenario {
    let scenario = scenarios.into_iter().find(|scenario| scenario.info.name == name);
    scenario.unwrap_or_else(|| panic!("there is no scenario {name}"))
}

/// Describes a row that missed its floor.
pub(crate) fn describe<M: Debug>(row: &Row<M>, seeds: u64, outcome: &Outcome) -> String {
    const OTHERS_SHOWN: usize = 4;
    let others = outcome.other.iter().take(OTHERS_SHOWN);
    let others: Vec<String> =
        others.map(|(what, (times, seed))| format!("\n    {times} times, as in seed {seed}: {what}")).collect();
    format!(
        "{:?}: {} of {seeds} seeds of {} fail with {:?} and {:?}, and {} must; in other ways:{}",
        row.mistake,
        outcome.caught,
        row.scenario,
        row.rule,
        row.words,
        floor(seeds),
        others.concat()
    )
}
