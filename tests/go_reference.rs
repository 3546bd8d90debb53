//! Our figures beside those of a passing Go solution. The Go outputs are not part of this repository; where they are
//! absent, the test says that it was skipped.

use std::collections::BTreeMap;
use std::io::Write;

use tester::{Clock, Figures, Scenario, Subject, Verdict, raft_scenarios, runner};

/// The output of `go test -v` of the course's 2024 edition.
const GO_OUTPUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/go-reference/raft-2024.txt");

/// What Go printed for one test.
#[derive(Debug)]
struct GoFigures {
    seconds: f64,
    rpcs: f64,
    bytes: f64,
}

/// The figures in a Go output, by title.
fn parse(output: &str) -> BTreeMap<String, GoFigures> {
    let mut title = String::new();
    let mut found = BTreeMap::new();
    for line in output.lines() {
        if let Some(rest) = line.strip_prefix("Test (") {
            title = rest.split_once("): ").expect("a part").1.trim_end_matches(" ...").to_string();
        } else if let Some(rest) = line.strip_prefix("  ... Passed --") {
            let numbers: Vec<f64> = rest.split_whitespace().map(|number| number.parse().expect("a number")).collect();
            let &[seconds, _, rpcs, bytes, _] = &numbers[..] else { panic!("five figures in '{line}'") };
            found.insert(title.clone(), GoFigures { seconds, rpcs, bytes });
        }
    }
    found
}

/// Medians over simulated runs.
fn medians(scenario: &Scenario<raft::Raft>) -> (f64, f64, f64) {
    let runs: Vec<Figures> = (1..=25)
        .map(|seed| match runner::run(scenario, &Subject::new(), Clock::Simulated, seed).verdict {
            Verdict::Passed(figures) => figures,
            verdict => panic!("{} with seed {seed}: {verdict:?}", scenario.name),
        })
        .collect();
    let median = |column: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(column).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    (
        median(|figures| figures.elapsed.as_secs_f64()),
        median(|figures| figures.rpcs as f64),
        median(|figures| figures.bytes as f64),
    )
}

#[test]
fn every_scenario_takes_fewer_bytes_than_go_and_hardly_more_rpcs() {
    let Ok(output) = std::fs::read_to_string(GO_OUTPUT) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no Go output to compare with");
        return;
    };
    let go = parse(&output);
    for scenario in raft_scenarios::<raft::Raft>().iter().filter(|scenario| scenario.of_the_course) {
        let theirs = &go[scenario.title];
        let (seconds, rpcs, bytes) = medians(scenario);
        let name = scenario.name;
        assert!(bytes < theirs.bytes, "{name}: {bytes} bytes, Go has {}", theirs.bytes);
        // Ten heartbeats a second to each follower are what the course allows, and what it may cost to be quick.
        let heartbeats = 10.0 * (scenario.servers - 1) as f64 * seconds;
        let allowed = theirs.rpcs + heartbeats;
        assert!(rpcs <= allowed, "{name}: {rpcs} RPCs; Go has {} and heartbeats are {heartbeats:.0}", theirs.rpcs);
        assert!(seconds <= 1.5 * theirs.seconds, "{name}: {seconds} s, Go has {}", theirs.seconds);
    }
}
