//! Runs that pass, and what the diagnosis of their records says: it must accuse nobody.

use tester::{Clock, Scenario, diagnosis, gate, runner};

/// How many seeds of each scenario: `usually` so many; `LAB_RUNS` says otherwise.
pub(crate) fn seeds(usually: u64) -> u64 {
    std::env::var("LAB_RUNS").map_or(usually, |text| text.parse().expect("LAB_RUNS is a number"))
}

/// The runs that pass and in whose records a rule is found to be broken all the same, a line each.
pub(crate) fn accused(scenarios: Vec<Scenario>, seeds: u64) -> Vec<String> {
    let mut accused = Vec::new();
    for scenario in scenarios {
        let _pass = gate::admit(Clock::Simulated, &scenario.about);
        for seed in 1..=seeds {
            let report = runner::run(&scenario, Clock::Simulated, seed);
            assert!(report.passed(), "{}", report.lines());
            let found = diagnosis::of_record(report.record.events(), &[]).found;
            accused.extend(found.map(|found| format!("{}, seed {seed}: {found:?}", scenario.about.name)));
        }
    }
    accused
}
