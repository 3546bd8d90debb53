//! Looks for a seed with which a scenario catches a mistake, saying what it has to say.

use std::fmt::Debug;

use tester::{Broken, Clock, Rule, Scenario, Verdict, gate, runner};

/// A mistake has to be found by one of the seeds from 1 to this.
pub(crate) const SEEDS: u64 = 200;

/// A mistake, and what finds it.
pub(crate) struct Caught<M> {
    pub(crate) mistake: M,
    /// The rule that it breaks, which the failure has to name first.
    pub(crate) rule: Rule,
    /// The scenario that is to catch it.
    pub(crate) by: &'static str,
    /// What its failure has to say.
    pub(crate) saying: &'static [&'static str],
    /// How many of [`SEEDS`] seeds found it, saying so, when this was written.
    pub(crate) seeds: u64,
}

/// The seeds that found something, with what was said of it.
pub(crate) struct Found {
    run: u64,
    pub(crate) so: Vec<(u64, Broken)>,
    in_other_words: Vec<(u64, Broken)>,
}

/// Runs one seed after the other until `counted` were run and one has failed with all these words, or all are used up.
pub(crate) fn search(scenario: &Scenario, saying: &[&str], counted: u64) -> Found {
    let _pass = gate::admit(Clock::Simulated, &scenario.about);
    let mut found = Found { run: 0, so: Vec::new(), in_other_words: Vec::new() };
    for seed in 1..=SEEDS {
        if seed > counted && !found.so.is_empty() {
            break;
        }
        found.run = seed;
        let Verdict::Failed(broken) = runner::run(scenario, Clock::Simulated, seed).verdict else { continue };
        let words = if saying.iter().all(|words| broken.text.contains(words)) {
            &mut found.so
        } else {
            &mut found.in_other_words
        };
        words.push((seed, broken));
    }
    found
}

/// The scenario `name` of those.
pub(crate) fn named(scenarios: Vec<Scenario>, name: &str) -> Scenario {
    let scenario = scenarios.into_iter().find(|scenario| scenario.about.name == name);
    scenario.unwrap_or_else(|| panic!("there is no scenario {name}"))
}

/// Every mistake of `table` is caught by its scenario, told of servers that make it (`told_of`), in the words of the table,
/// and every failure in these words names its rule first. At least `counted` seeds of each are run, and how many found it is printed.
pub(crate) fn expect_all_caught<M: Copy + Debug>(
    table: impl IntoIterator<Item = Caught<M>>,
    counted: u64,
    told_of: impl Fn(M) -> Vec<Scenario>,
) {
    const OTHERS_SHOWN: usize = 5;
    let mut missed = Vec::new();
    for Caught { mistake, rule, by, saying, seeds } in table {
        let Found { run, so, in_other_words } = search(&named(told_of(mistake), by), saying, counted);
        let Some((first, broken)) = so.first() else {
            let shown = in_other_words.iter().take(OTHERS_SHOWN);
            let others: Vec<String> =
                shown.map(|(seed, broken)| format!("seed {seed}: {}", first_line(&broken.text))).collect();
            missed.push(format!(
                "{mistake:?}: none of {run} seeds of {by} fails with {saying:?} (it was {seeds} of {SEEDS}); in other \
                 words:\n    {}",
                others.join("\n    ")
            ));
            continue;
        };
        println!(
            "{mistake:?}: {by}, first by seed {first}, by {} of {run} seeds (it was {seeds} of {SEEDS}), by {} more in \
             other words\n    {}",
            so.len(),
            in_other_words.len(),
            first_line(&broken.text)
        );
        let blamed = |broken: &Broken| broken.diagnosis.first() == Some(rule);
        let named = so.iter().filter(|(_, broken)| blamed(broken)).count();
        println!("    {named} of {} name the rule {rule:?} first", so.len());
        if let Some((seed, broken)) = so.iter().find(|(_, broken)| !blamed(broken)) {
            missed.push(format!("{mistake:?}: {by}, seed {seed}, does not name {rule:?} first:\n{}", broken.text));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
