use std::num::NonZeroU64;
use std::path::PathBuf;

use record::{Event, EventKind, Options, Recorder};
use tester::{About, Part, Told};

use super::*;

fn scenario(name: &'static str, of_the_course: bool) -> Scenario {
    let about = About { name, part: Part::P3A, title: "a story".to_string(), of_the_course, servers: 3, seconds: 1 };
    Scenario::new(about, |_, _: &_| Told { stages: Vec::new(), asked: None })
}

fn scenarios() -> Vec<Scenario> {
    vec![scenario("story_3A", true), scenario("other_3A", false)]
}

/// The record of a run, in a file that goes away with it.
struct File(PathBuf);

impl File {
    fn of(name: &str, kinds: impl IntoIterator<Item = EventKind>) -> File {
        let recorder = Recorder::new(Options::default());
        kinds.into_iter().for_each(|kind| recorder.record(Event { at: 0, server: None, kind }));
        let path = std::env::temp_dir().join(format!("raftlab-shrink-{}-{name}.record", std::process::id()));
        recorder.write(&mut std::fs::File::create(&path).expect("a new file")).expect("room for a record");
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn begun(simulated: bool) -> EventKind {
    EventKind::RunBegun { scenario: "story_3A".to_string(), seed: 42, servers: 3, simulated }
}

fn args(run: impl Into<PathBuf>, seed: Option<u64>) -> ShrinkArgs {
    ShrinkArgs { run: run.into(), seed, tries: NonZeroU64::MIN, jobs: None }
}

fn refusal(args: &ShrinkArgs) -> String {
    match Given::of(args, scenarios()) {
        Err(Error::Usage(why)) => why,
        Err(Error::Output(error)) => panic!("{error}"),
        Ok(given) => panic!("{:?} was accepted", given.run),
    }
}

#[test]
fn a_run_is_given_by_its_scenario_and_its_seed_or_by_its_record() {
    let given = Given::of(&args("story_3A", Some(7)), scenarios()).expect("it is there");
    assert_eq!((given.run, given.is_recorded), (Candidate { seed: 7, calm_from: None }, false));

    let file = File::of("given", [begun(true), EventKind::CalmFrom { moment: 1_250_000_000 }]);
    let given = Given::of(&args(&file.0, None), scenarios()).expect("it can be read");
    let calm_from = Some(Duration::from_millis(1250));
    assert_eq!((given.run, given.is_recorded), (Candidate { seed: 42, calm_from }, true));
    assert_eq!(given.scenario.is_calm_from(), None, "each candidate has its own");
}

#[test]
fn what_is_no_run_that_can_be_made_again_is_refused() {
    let file = File::of("threads", [begun(false)]);
    assert!(
        refusal(&args(&file.0, None))
            .ends_with("it is of threads, which cannot be replayed; run story_3A -n 1000 looks for a seed that fails")
    );
    let file = File::of("seed", [begun(true)]);
    assert!(refusal(&args(&file.0, Some(1))).ends_with("has its own seed: --seed is for scenarios"));
    assert!(refusal(&args("story_3A", None)).starts_with("which run of story_3A?"));
    assert_eq!(refusal(&args("story", Some(1))), "'story' is neither a file nor the whole name of a scenario");
}

#[test]
fn two_runs_are_shown_beside_each_other() {
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
fn it_is_said_why_a_story_of_certain_faults_was_tried_with_all_of_them() {
    let counts = Counts { seeds: 10, seeds_failing: 3, calm: 0, calm_failing: 0 };
    let all = scenarios();
    assert!(tried(&counts, false, &all[1]).ends_with("none with fewer faults: other_3A is a story of certain ones\n"));
}
