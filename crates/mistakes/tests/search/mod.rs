//! The search for seeds with which a scenario catches a mistake and explains it in the expected words.

use std::fmt::Debug;

use diagnosis::Rule;
use tester::{Clock, RunFailure, Scenario, Verdict, gate, runner};

/// Number of seeds, from 1 on, of which one has to find a mistake.
pub(crate) const SEEDS: u64 = 200;

/// A mistake, with the scenario that catches it.
pub(crate) struct Caught<M> {
    pub(crate) mistake: M,
    /// The broken rule, which the failure has to name first.
    pub(crate) rule: Rule,
    /// The scenario that is to catch it.
    pub(crate) scenario: &'static str,
    /// The words that the failure has to contain.
    pub(crate) words: &'static [&'static str],
    /// Number of the [`SEEDS`] seeds that found the mistake, with these words, when this table was written.
    pub(crate) seeds: u64,
}

/// The failures that a search found, with their seeds: those with the expected words, and others.
pub(crate) struct Found {
    run: u64,
    pub(crate) matching: Vec<(u64, RunFailure)>,
    other: Vec<(u64, RunFailure)>,
}

/// Runs one seed after the other, until at least `counted` have run and one has failed with all `words`. Stops after
/// [`SEEDS`] seeds.
pub(crate) fn search(scenario: &Scenario, words: &[&str], counted: u64) -> Found {
    let _pass = gate::admit(Clock::Simulated, &scenario.info);
    let mut found = Found { run: 0, matching: Vec::new(), other: Vec::new() };
    for seed in 1..=SEEDS {
        if seed > counted && !found.matching.is_empty() {
            break;
        }
        found.run = seed;
        let Verdict::Failed(broken) = runner::run(scenario, Clock::Simulated, seed).verdict else { continue };
        let failures =
            if words.iter().all(|part| broken.text.contains(part)) { &mut found.matching } else { &mut found.other };
        failures.push((seed, broken));
    }
    found
}

/// Returns the scenario `name`.
pub(crate) fn find_scenario(scenarios: Vec<Scenario>, name: &str) -> Scenario {
    let scenario = scenarios.into_iter().find(|scenario| scenario.info.name == name);
    scenario.unwrap_or_else(|| panic!("there is no scenario {name}"))
}

/// Asserts that every mistake of `table` is caught by its scenario with the words of the table, and that every such
/// failure names its rule first. `scenarios_with` returns the scenarios, run against servers that make a mistake. Runs
/// at least `counted` seeds of each, and prints how many found the mistake.
pub(crate) fn expect_all_caught<M: Copy + Debug>(
    table: impl IntoIterator<Item = Caught<M>>,
    counted: u64,
    scenarios_with: impl Fn(M) -> Vec<Scenario>,
) {
    const OTHERS_SHOWN: usize = 5;
    let mut missed = Vec::new();
    for Caught { mistake, rule, scenario, words, seeds } in table {
        let Found { run, matching, other } = search(&find_scenario(scenarios_with(mistake), scenario), words, counted);
        let Some((first, broken)) = matching.first() else {
            let shown = other.iter().take(OTHERS_SHOWN);
            let others: Vec<String> =
                shown.map(|(seed, broken)| format!("seed {seed}: {}", first_line(&broken.text))).collect();
            missed.push(format!(
                "{mistake:?}: none of {run} seeds of {scenario} fails with {words:?} (it was {seeds} of {SEEDS}); in \
                 other words:\n    {}",
                others.join("\n    ")
            ));
            continue;
        };
        println!(
            "{mistake:?}: {scenario}, first by seed {first}, by {} of {run} seeds (it was {seeds} of {SEEDS}), by {} more in \
             other words\n    {}",
            matching.len(),
            other.len(),
            first_line(&broken.text)
        );
        let is_named = |broken: &RunFailure| broken.diagnosis.first() == Some(rule);
        let named = matching.iter().filter(|(_, broken)| is_named(broken)).count();
        println!("    {named} of {} name the rule {rule:?} first", matching.len());
        if let Some((seed, broken)) = matching.iter().find(|(_, broken)| !is_named(broken)) {
            missed
                .push(format!("{mistake:?}: {scenario}, seed {seed}, does not name {rule:?} first:\n{}", broken.text));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
