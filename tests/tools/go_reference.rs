//! Comparison of our figures with those of a passing Go solution.

use std::collections::BTreeMap;

use tester::{
    Clock, KvSubject, Metrics, Scenario, ScenarioInfo, Stage, Subject, Verdict, kv_scenarios, lines, raft_scenarios,
    runner,
};

/// The folder of `go test -v` outputs of the course's 2024 edition.
const GO_OUTPUTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/go");

/// The figures of one test, printed by Go or measured here.
#[derive(Debug)]
struct Costs {
    seconds: f64,
    rpcs: f64,
    /// Not printed for the key/value service.
    bytes: f64,
    /// Commands, or operations of clients.
    commands: f64,
}

/// Returns the figures in a Go output, by title and part.
fn go_figures(file: &str) -> BTreeMap<String, Costs> {
    let output = std::fs::read_to_string(format!("{GO_OUTPUTS}/{file}")).expect("a Go output of this repository");
    let mut title = String::new();
    let mut found = BTreeMap::new();
    for line in output.lines() {
        if line.starts_with("Test") {
            title = line.to_string();
        } else if let Some(rest) = line.strip_prefix("  ... Passed --") {
            let numbers: Vec<f64> = rest.split_whitespace().map(|number| number.parse().expect("a number")).collect();
            let (seconds, rpcs, bytes, commands) = match numbers[..] {
                [seconds, _, rpcs, bytes, commands] => (seconds, rpcs, bytes, commands),
                [seconds, _, rpcs, commands] => (seconds, rpcs, f64::NAN, commands),
                _ => panic!("four or five figures in '{line}'"),
            };
            found.insert(title.clone(), Costs { seconds, rpcs, bytes, commands });
        }
    }
    found
}

/// Returns medians over simulated runs with seeds from 1 on, for each stage of a scenario, by title.
fn medians(scenario: &Scenario, runs: u64) -> Vec<(String, Costs)> {
    let runs: Vec<Vec<Stage>> = (1..=runs)
        .map(|seed| match runner::run(scenario, Clock::Simulated, seed).verdict {
            Verdict::Passed(stages) => stages,
            verdict => panic!("{} with seed {seed}: {verdict:?}", scenario.info.name),
        })
        .collect();
    let of_stage = |place: usize| {
        let median = |column: fn(&Metrics) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(|stages| column(&stages[place].metrics)).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let costs = Costs {
            seconds: median(|figures| figures.elapsed.as_secs_f64()),
            rpcs: median(|figures| figures.rpcs as f64),
            bytes: median(|figures| figures.bytes as f64),
            commands: median(|figures| figures.commands as f64),
        };
        (lines::title(scenario.info.part, &runs[0][place].title), costs)
    };
    (0..runs[0].len()).map(of_stage).collect()
}

#[test]
fn raft_scenarios_take_fewer_bytes_and_few_more_rpcs_than_go() {
    let go = go_figures("raft-2024.txt");
    let scenarios = raft_scenarios(&Subject::of::<raft::Raft>());
    for scenario in scenarios.iter().filter(|scenario| scenario.info.from_course) {
        let ScenarioInfo { name, servers, .. } = &scenario.info;
        let [(title, ours)] = &medians(scenario, 25)[..] else { panic!("{name} has one stage") };
        let theirs = &go[title];
        let Costs { seconds, rpcs, bytes, commands } = ours;
        assert!(*bytes < theirs.bytes, "{name}: {bytes} bytes, Go has {}", theirs.bytes);
        // The course allows ten heartbeats per second to each follower. That is the permitted price of a fast failover.
        let followers = (servers - 1) as f64;
        let heartbeats = 10.0 * followers * seconds;
        // A client that waits for one command before it submits the next submits more commands to a faster service.
        // Each command may go to each follower in an RPC of its own.
        let closed_loop = name.ends_with("churn_3C");
        let allowed = heartbeats + if closed_loop { followers * commands } else { theirs.rpcs };
        assert!(*rpcs <= allowed, "{name}: {rpcs} RPCs; Go has {} and heartbeats are {heartbeats:.0}", theirs.rpcs);
        assert!(*seconds <= 1.5 * theirs.seconds, "{name}: {seconds} s, Go has {}", theirs.seconds);
    }
}

#[test]
fn kv_scenarios_take_few_more_rpcs_an_operation_than_go() {
    let go = go_figures("kv-2024.txt");
    let scenarios = kv_scenarios(&KvSubject::of::<kvraft::KvServer<raft::Raft>>());
    for scenario in scenarios.iter().filter(|scenario| scenario.info.from_course) {
        let name = scenario.info.name;
        for (title, Costs { seconds, rpcs, commands, .. }) in medians(scenario, 1) {
            let theirs = &go[&title];
            // The course does not count the operations of its speed test.
            let operations = if theirs.commands == 0.0 { 1000.0 } else { theirs.commands };
            let (each, of_go) = (rpcs / commands, theirs.rpcs / operations);
            // In short scenarios heartbeats and chance weigh more.
            let allowed = 1.25 * of_go + 40.0 * seconds / commands;
            assert!(each <= allowed, "{name}, {title}: {each:.1} RPCs an operation, Go has {of_go:.1}");
            assert!(seconds <= 1.5 * theirs.seconds + 1.0, "{name}, {title}: {seconds} s, Go has {}", theirs.seconds);
        }
    }
}
