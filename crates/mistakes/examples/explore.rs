//! Shows which scenarios catch a mistake.
//!
//! `cargo run --release -p mistakes --example explore -- 20 VotesTwiceInATerm` runs every scenario with 20 seeds. It
//! prints one line for each scenario that fails, with the number of seeds that fail, the rules told, and the first
//! failure. Without names it runs all mistakes.

use std::collections::BTreeMap;
use std::process::ExitCode;

use mistakes::{KvMistake, Mistake, Raft};
use tester::{Clock, PACE, Scenario, Subject, Verdict, raft_scenarios, runner};

#[path = "../tests/kv_subjects/mod.rs"]
mod kv_subjects;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(seeds) = arguments.next().and_then(|number| number.parse().ok()) else {
        eprintln!("error: give the number of seeds, and mistakes");
        return ExitCode::from(2);
    };
    let names: Vec<String> = arguments.collect();
    let chosen = |name: &str| names.is_empty() || names.iter().any(|given| given == name);
    for mistake in Mistake::ALL.iter().copied().filter(|mistake| chosen(&format!("{mistake:?}"))) {
        println!("{mistake:?}");
        explore(raft_scenarios(&Subject::with_factory(Raft::factory(Some(mistake)))), seeds);
    }
    for mistake in KvMistake::ALL.iter().copied().filter(|mistake| chosen(&format!("{mistake:?}"))) {
        println!("{mistake:?}");
        explore(kv_subjects::scenarios_with(mistake, PACE), seeds);
    }
    ExitCode::SUCCESS
}

fn explore(scenarios: Vec<Scenario>, seeds: u64) {
    for scenario in scenarios {
        let mut rules: BTreeMap<String, u64> = BTreeMap::new();
        let (mut failed, mut first) = (0, None);
        for seed in 1..=seeds {
            let Verdict::Failed(failure) = runner::run(&scenario, Clock::Simulated, seed).verdict else { continue };
            failed += 1;
            let proof = if failure.diagnosis.found.is_some() { "" } else { "?" };
            let rule = failure.diagnosis.first().map_or("none".to_string(), |rule| format!("{rule:?}{proof}"));
            *rules.entry(rule).or_default() += 1;
            let line = failure.text.lines().next().unwrap_or_default();
            first.get_or_insert_with(|| format!("seed {seed}: {}", line.chars().take(160).collect::<String>()));
        }
        if let Some(first) = first {
            println!("  {:32} {failed:3} {rules:?} {first}", scenario.info.name);
        }
    }
}
