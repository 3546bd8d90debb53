//! Scenarios for tests of the command line: stories without servers, which pass or fail as the test wants.

use tester::{About, Asked, Part, Scenario, Told};

/// A scenario of that name, which fails with the seeds for which `fails`.
pub(crate) fn scenario(name: &'static str, fails: impl Fn(u64) -> bool + Send + Sync + 'static) -> Scenario {
    let about = About { name, part: Part::P3A, title: "a story".into(), of_the_course: false, servers: 3, seconds: 1 };
    Scenario::new(about, move |_, _| {
        assert!(!fails(labstd::rng::seed()), "it goes wrong");
        Told { stages: Vec::new(), asked: Some(Asked::default()) }
    })
}

/// A scenario that comes to code that is not written yet.
pub(crate) fn unwritten(name: &'static str) -> Scenario {
    let about = scenario(name, |_| false).about;
    Scenario::new(about, |_, _| raftapi::unwritten("Raft::start: take a command", "Figure 2"))
}
