//! Scenarios for tests of the command line. They have no servers, and pass or fail as the test wants.

use tester::{About, Asked, Part, Scenario, Told};

/// A scenario with this name, which fails with the seeds for which `fails` returns true.
pub(crate) fn scenario(name: &'static str, fails: impl Fn(u64) -> bool + Send + Sync + 'static) -> Scenario {
    let about =
        About { name, part: Part::P3A, title: "a scenario".into(), of_the_course: false, servers: 3, seconds: 1 };
    Scenario::new(about, move |_, _| {
        assert!(!fails(labstd::rng::seed()), "it goes wrong");
        Told { stages: Vec::new(), asked: Some(Asked::default()) }
    })
}

/// A scenario that reaches code that is not written yet.
pub(crate) fn unwritten(name: &'static str) -> Scenario {
    let about = scenario(name, |_| false).about;
    Scenario::new(about, |_, _| raftapi::unwritten("Raft::start: take a command", "Figure 2"))
}
