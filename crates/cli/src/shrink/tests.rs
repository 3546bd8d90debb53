use std::num::NonZeroU64;
use std::path::PathBuf;

use record::{Event, EventKind, Options, Recorder};
use tester::{Part, ScenarioInfo, ScenarioOutcome};

use super::*;

fn scenario(name: &'static str, from_course: bool) -> Scenario {
    let info =
        ScenarioInfo { name, part: Part::P3A, title: "a scenario".to_string(), from_course, servers: 3, seconds: 1 };
    Scenario::new(info, |_, _: &_| ScenarioOutcome { stages: Vec::new(), history: None, gave_up: None })
}

fn scenarios() -> Vec<Scenario> {
    vec![scenario("example_3A", true), scenario("other_3A", false)]
}

/// The record of a run, in a file that is removed when it is dropped.
struct File(PathBuf);

impl File {
    fn of(name: &str, kinds: impl IntoIterator<Item = EventKind>) -> File {
        let recorder = Recorder::new(Options::default());
        kinds.into_iter().for_each(|kind| recorder.record(Event { at: 0, server: None, kind }));
        let path = std::env::temp_dir().join(format!("raftlab-shrink-{}-{name}.record", std::process::id()));
        recorder.write(&mut std::fs::File::create(&path).expect("a new file")).expect("writing a record");
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn begun(simulated: bool) -> EventKind {
    EventKind::RunBegun { scenario: "example_3A".to_string(), seed: 42, servers: 3, simulated }
}

fn args(run: impl Into<PathBuf>, seed: Option<u64>) -> ShrinkArgs {
    ShrinkArgs { run: run.into(), seed, tries: NonZeroU64::MIN, jobs: None }
}

fn refusal(args: &ShrinkArgs) -> String {
    match GivenRun::of(args, scenarios()) {
        Err(Error::Usage(why)) => why,
        Err(Error::Output(error)) => panic!("{error}"),
        Ok(given) => panic!("{:?} was accepted", given.run),
    }
}

#[test]
fn a_run_is_given_by_scenario_and_seed_or_by_record() {
    let given = GivenRun::of(&args("example_3A", Some(7)), scenarios()).expect("it is there");
    assert_eq!((given.run, given.is_recorded), (Candidate { seed: 7, calm_from: None }, false));

    let file = File::of("given", [begun(true), EventKind::FaultCutoff { at: 1_250_000_000 }]);
    let given = GivenRun::of(&args(&file.0, None), scenarios()).expect("it can be read");
    let calm_from = Some(Duration::from_millis(1250));
    assert_eq!((given.run, given.is_recorded), (Candidate { seed: 42, calm_from }, true));
    assert_eq!(given.scenario.fault_cutoff(), None, "each candidate has a fault cutoff of its own");
}

#[test]
fn a_run_that_cannot_be_replayed_is_refused() {
    let file = File::of("threads", [begun(false)]);
    assert!(
        refusal(&args(&file.0, None))
            .ends_with("runs on threads cannot be replayed; run example_3A -n 1000 looks for a failing seed")
    );
    let file = File::of("seed", [begun(true)]);
    assert!(refusal(&args(&file.0, Some(1))).ends_with("has its own seed; use --seed only with a scenario name"));
    assert!(refusal(&args("example_3A", None)).starts_with("example_3A needs a seed: "));
    assert_eq!(refusal(&args("example", Some(1))), "'example' is neither a file nor the whole name of a scenario");
}

#[test]
fn two_runs_are_shown_side_by_side() {
    let given = Candidate { seed: 42, calm_from: None };
    let best = Candidate { seed: 107, calm_from: Some(Duration::from_millis(1250)) };
    let size = |faults, lost, ms, events| Size { faults, lost, at: Duration::from_millis(ms), events };
    let text = table((given, size(48, 95, 35_435, 21_670)), (best, size(1, 0, 1041, 281)));
    let expected = "
                           given  shortest
seed                          42       107
calm from                      -     1.25s
faults                        48         1
messages lost                 95         0
seconds until it fails    35.435     1.041
events                     21670       281
";
    assert_eq!(text, &expected[1..]);
}

#[test]
fn the_text_names_a_scenario_that_needs_its_faults() {
    let counts = TryCounts { seeds: 10, seeds_failing: 3, cutoffs: 0, cutoffs_failing: 0 };
    let all = scenarios();
    assert!(
        tried_text(&counts, false, &all[1])
            .ends_with("none with fewer faults, because other_3A needs all of its faults\n")
    );
}
