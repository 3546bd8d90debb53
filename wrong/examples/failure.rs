//! A failing run of a mistake: its record and its picture, for looking at.
//!
//! `cargo run --release -p wrong --example failure -- VotesTwiceInATerm one_leader_a_term_3A` runs the scenario with seeds from 1
//! on until one fails, says how, and writes both files under `target/lab`. Without arguments it lists the mistakes.

use std::process::ExitCode;

use tester::keep::Keeping;
use tester::{Clock, Scenario, Subject, raft_scenarios, runner};
use wrong::{KvMistake, Mistake, Raft};

#[path = "../tests/told/mod.rs"]
mod told;

/// How many seeds are tried.
const SEEDS: u64 = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mistake, name] = &arguments[..] else { return refuse("give a mistake and a scenario") };
    let Some(scenarios) = scenarios(mistake) else { return refuse(&format!("there is no mistake '{mistake}'")) };
    let Some(scenario) = scenarios.iter().find(|scenario| scenario.about.name == name) else {
        return refuse(&format!("there is no scenario '{name}' for this mistake"));
    };
    let failed = (1..=SEEDS).map(|seed| runner::run(scenario, Clock::Simulated, seed)).find(|report| !report.passed());
    let Some(report) = failed else { return refuse(&format!("none of {SEEDS} seeds fails")) };
    print!("{}", report.lines());
    println!("{}", Keeping::of_this_process().write(mistake, &report.record).lines(None));
    ExitCode::SUCCESS
}

/// The scenarios of a mistake's layer, told of servers that make it.
fn scenarios(mistake: &str) -> Option<Vec<Scenario>> {
    let raft = Mistake::ALL.into_iter().find(|known| format!("{known:?}") == mistake);
    if raft.is_some() {
        return Some(raft_scenarios(&Subject::made_by(Raft::making(raft))));
    }
    KvMistake::ALL.into_iter().find(|known| format!("{known:?}") == mistake).map(told::of)
}

/// One line, and what there is.
fn refuse(complaint: &str) -> ExitCode {
    eprintln!("error: {complaint}; the mistakes are {:?} and {:?}", Mistake::ALL, KvMistake::ALL);
    ExitCode::from(2)
}
