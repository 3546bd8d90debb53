//! Scenarios for tests of the command line. They have no servers, and pass or fail as the test wants.

use tester::{ClientHistory, Part, Scenario, ScenarioInfo, ScenarioOutcome};

/// A scenario with this name, which fails with the seeds for which `fails` returns true.
pub(crate) fn scenario(name: &'static str, fails: impl Fn(u64) -> bool + Send + Sync + 'static) -> Scenario {
    let about =
        ScenarioInfo { name, part: Part::P3A, title: "a scenario".into(), from_course: false, servers: 3, seconds: 1 };
    Scenario::new(about, move |_, _| {
        assert!(!fails(labstd::rng::seed()), "it goes wrong");
        ScenarioOutcome { stages: Vec::new(), history: Some(ClientHistory::default()), gave_up: None }
    })
}

/// A scenario that reaches code that is not written yet.
pub(crate) fn unwritten(name: &'static str) -> Scenario {
    let about = scenario(name, |_| false).info;
    Scenario::new(about, |_, _| raftapi::unwritten("Raft::start: take a command", "Figure 2"))
}
