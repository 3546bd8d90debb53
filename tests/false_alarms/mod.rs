//! The diagnosis of records of passing runs. It must find no broken rule.

use tester::{Clock, Scenario, gate, runner};

/// Number of seeds of each scenario: `default`, unless `LAB_RUNS` is set.
pub(crate) fn seeds(default: u64) -> u64 {
    std::env::var("LAB_RUNS").map_or(default, |text| text.parse().expect("LAB_RUNS is a number"))
}

/// Returns one line for each passing run in whose record the diagnosis finds a broken rule.
pub(crate) fn false_alarms(scenarios: Vec<Scenario>, seeds: u64) -> Vec<String> {
    let mut false_alarms = Vec::new();
    for scenario in scenarios {
        let _pass = gate::admit(Clock::Simulated, &scenario.info);
        for seed in 1..=seeds {
            let report = runner::run(&scenario, Clock::Simulated, seed);
            assert!(report.passed(), "{}", report.lines());
            let found = diagnosis::diagnose_record(report.record.events(), &[]).found;
            false_alarms.extend(found.map(|found| format!("{}, seed {seed}: {found:?}", scenario.info.name)));
        }
    }
    false_alarms
}
