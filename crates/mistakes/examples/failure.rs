//! Produces a failing run of a mistake, with its record and its timeline.
//!
//! `cargo run --release -p mistakes --example failure -- VotesTwiceInATerm one_leader_a_term_3A` runs the scenario with
//! seeds from 1 on until one fails. It prints the failure and writes both files under `target/lab`. A third argument is
//! the only seed to try. Without arguments it lists the mistakes.

use std::process::ExitCode;

use mistakes::{KvMistake, Mistake, Raft};
use tester::artifacts::ArtifactStore;
use tester::{Clock, PACE, Scenario, Subject, raft_scenarios, runner};

#[path = "../tests/kv_subjects/mod.rs"]
mod kv_subjects;

/// Number of seeds to try.
const SEEDS: u64 = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mistake, name, seeds) = match &arguments[..] {
        [mistake, name] => (mistake, name, 1..=SEEDS),
        [mistake, name, seed] => match seed.parse() {
            Ok(seed) => (mistake, name, seed..=seed),
            Err(_) => return fail(&format!("the seed '{seed}' is not a number")),
        },
        _ => return fail("give a mistake and a scenario"),
    };
    let Some(scenarios) = scenarios(mistake) else { return fail(&format!("there is no mistake '{mistake}'")) };
    let Some(scenario) = scenarios.iter().find(|scenario| scenario.info.name == name) else {
        return fail(&format!("there is no scenario '{name}' for this mistake"));
    };
    let failed =
        seeds.clone().map(|seed| runner::run(scenario, Clock::Simulated, seed)).find(|report| !report.passed());
    let Some(report) = failed else { return fail(&format!("no seed of {seeds:?} fails")) };
    print!("{}", report.lines());
    println!("{}", ArtifactStore::from_env().write(mistake, &report.record).lines(None));
    ExitCode::SUCCESS
}

/// Returns the scenarios for a mistake, run against servers that make it; `None` if there is no such mistake.
fn scenarios(mistake: &str) -> Option<Vec<Scenario>> {
    let raft = Mistake::ALL.iter().copied().find(|known| format!("{known:?}") == mistake);
    if raft.is_some() {
        return Some(raft_scenarios(&Subject::with_factory(Raft::factory(raft))));
    }
    let kv = KvMistake::ALL.iter().copied().find(|known| format!("{known:?}") == mistake);
    kv.map(|mistake| kv_subjects::scenarios_with(mistake, PACE))
}

/// Prints one error line that lists the mistakes, and returns exit status 2.
fn fail(complaint: &str) -> ExitCode {
    eprintln!("error: {complaint}; the mistakes are {:?} and {:?}", Mistake::ALL, KvMistake::ALL);
    ExitCode::from(2)
}
