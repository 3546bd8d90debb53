//! Our figures beside those of a passing Go solution. The Go outputs are not part of this repository; where they are
//! absent, the test says that it was skipped.

use std::collections::BTreeMap;
use std::io::Write;

use tester::{About, Clock, Figures, Scenario, Subject, Verdict, raft_scenarios, runner};

/// The output of `go test -v` of the course's 2024 edition.
const GO_OUTPUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/go-reference/raft-2024.txt");

/// What Go printed for one test, or what we have for it.
#[derive(Debug)]
struct Costs {
    seconds: f64,
    rpcs: f64,
    bytes: f64,
    commands: f64,
}

/// The figures in a Go output, by title.
fn parse(output: &str) -> BTreeMap<String, Costs> {
    let mut title = String::new();
    let mut found = BTreeMap::new();
    for line in output.lines() {
        if let Some(rest) = line.strip_prefix("Test (") {
            title = rest.split_once("): ").expect("a part").1.trim_end_matches(" ...").to_string();
        } else if let Some(rest) = line.strip_prefix("  ... Passed --") {
            let numbers: Vec<f64> = rest.split_whitespace().map(|number| number.parse().expect("a number")).collect();
            let &[seconds, _, rpcs, bytes, commands] = &numbers[..] else { panic!("five figures in '{line}'") };
            found.insert(title.clone(), Costs { seconds, rpcs, bytes, commands });
        }
    }
    found
}

/// Medians over simulated runs.
fn medians(scenario: &Scenario) -> Costs {
    let runs: Vec<Figures> = (1..=25)
        .map(|seed| match runner::run(scenario, Clock::Simulated, seed).verdict {
            Verdict::Passed(stages) => stages[0].figures,
            verdict => panic!("{} with seed {seed}: {verdict:?}", scenario.about.name),
        })
        .collect();
    let median = |column: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(column).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Costs {
        seconds: median(|figures| figures.elapsed.as_secs_f64()),
        rpcs: median(|figures| figures.rpcs as f64),
        bytes: median(|figures| figures.bytes as f64),
        commands: median(|figures| figures.commands as f64),
    }
}

#[test]
fn every_scenario_takes_fewer_bytes_than_go_and_hardly_more_rpcs() {
    let Ok(output) = std::fs::read_to_string(GO_OUTPUT) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no Go output to compare with");
        return;
    };
    let go = parse(&output);
    let scenarios = raft_scenarios(&Subject::<raft::Raft>::new());
    for scenario in scenarios.iter().filter(|scenario| scenario.about.of_the_course) {
        let About { name, servers, title, .. } = &scenario.about;
        let theirs = &go[title];
        let Costs { seconds, rpcs, bytes, commands } = medians(scenario);
        assert!(bytes < theirs.bytes, "{name}: {bytes} bytes, Go has {}", theirs.bytes);
        // Ten heartbeats a second to each follower are what the course allows, and what it may cost to be quick.
        let followers = (servers - 1) as f64;
        let heartbeats = 10.0 * followers * seconds;
        // Clients that wait for one command before they submit the next submit more to who is quicker: each command may
        // go to each follower in an RPC of its own.
        let closed_loop = name.ends_with("churn_3C");
        let allowed = heartbeats + if closed_loop { followers * commands } else { theirs.rpcs };
        assert!(rpcs <= allowed, "{name}: {rpcs} RPCs; Go has {} and heartbeats are {heartbeats:.0}", theirs.rpcs);
        assert!(seconds <= 1.5 * theirs.seconds, "{name}: {seconds} s, Go has {}", theirs.seconds);
    }
}
