use std::path::PathBuf;
use std::{env, process};

use tester::runner;

use super::*;
use crate::stories;

/// A folder of a test's own, which goes away with it.
struct Temporary(PathBuf);

impl Temporary {
    fn new(test: &str) -> Temporary {
        Temporary(env::temp_dir().join(format!("raftlab-results-{}-{test}", process::id())))
    }

    fn results(&self) -> Results {
        Results::into(&self.0, head())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn head() -> Head {
    Head::new("starter", Clock::Simulated, &["3A".to_string()], Some(1), Some(10), false)
}

/// Saves ten runs of which two do not pass, and returns where.
fn save(mut results: Results) -> PathBuf {
    let scenario = stories::scenario("story_3A", |seed| seed % 4 == 0);
    let mut tally = Tally::new(&scenario.about);
    for seed in 1..=10 {
        let report = runner::run(&scenario, Clock::Simulated, seed);
        let record = (seed == 4).then(|| PathBuf::from("/lab/story_3A-simulated-4.record"));
        let kept = Kept { record, ..Kept::default() };
        results.run(&report, &kept);
        tally.add(report, &kept, "starter");
    }
    results.scenario(&tally);
    results.end(HowWord::Complete, tally.runs(), tally.passed());
    results.file.expect("there is something to say").0
}

fn failed(seed: u64) -> FailedRun {
    FailedRun {
        scenario: "story_3A".to_string(),
        seed,
        verdict: "failed".to_string(),
        text: "thread 'story_3A' panicked at 0.000000 s: it goes wrong".to_string(),
        record: (seed == 4).then(|| PathBuf::from("/lab/story_3A-simulated-4.record")),
        picture: None,
    }
}

#[test]
fn what_is_written_is_read_back() {
    let temporary = Temporary::new("back");
    let text = fs::read_to_string(save(temporary.results())).unwrap();
    assert_eq!(read(&text), Ok(Saved { head: head(), failed: vec![failed(4), failed(8)] }));
    let last = text.lines().last().unwrap();
    assert_eq!(last, r#"{"is":"end","how":"complete","runs":10,"passed":8,"not_passed":2}"#);
    assert!(text.contains(r#"{"is":"scenario","scenario":"story_3A","runs":10,"passed":8,"not_passed":2,"#), "{text}");
}

#[test]
fn no_file_replaces_another() {
    let temporary = Temporary::new("names");
    let paths = [save(temporary.results()), save(temporary.results())];
    assert_eq!(paths, ["run.json", "run-2.json"].map(|name| temporary.0.join(name)));
}

#[test]
fn of_a_process_that_was_killed_everything_before_the_last_line_is_read() {
    let temporary = Temporary::new("killed");
    let text = fs::read_to_string(save(temporary.results())).unwrap();
    let second_run = text.match_indices(r#"{"is":"run""#).nth(1).unwrap().0;
    for length in [second_run, second_run + 1, second_run + 30] {
        assert_eq!(read(&text[..length]).unwrap().failed, [failed(4)]);
    }
}

#[test]
fn what_is_damaged_or_something_else_is_refused_in_a_sentence() {
    let temporary = Temporary::new("damaged");
    let text = fs::read_to_string(save(temporary.results())).unwrap();
    let damaged = text.replacen("\"seed\":8", "\"seed\":eight", 1);
    assert!(read(&damaged).unwrap_err().starts_with("line 3 is damaged: "), "{:?}", read(&damaged));
    let later = text.replacen("\"format\":1", "\"format\":2", 1);
    assert_eq!(read(&later).unwrap_err(), "the results are of version 2, and this program reads version 1");
    for other in ["", "no results", "{}", "{\"is\":\"end\"}\n", &text[text.find("{\"is\":\"run\"").unwrap()..]] {
        assert_eq!(read(other).unwrap_err(), "it is neither the record of a run nor saved results", "{other}");
    }
}

#[test]
fn a_run_that_is_listed_twice_is_one() {
    let temporary = Temporary::new("twice");
    let text = fs::read_to_string(save(temporary.results())).unwrap();
    let run = text.lines().find(|line| line.starts_with(r#"{"is":"run""#)).unwrap();
    assert_eq!(read(&format!("{text}{run}\n")).unwrap().failed.len(), 2);
}

#[test]
fn code_that_is_not_written_yet_leaves_no_file() {
    let temporary = Temporary::new("unwritten");
    let (mut results, scenario) = (temporary.results(), stories::unwritten("story_3A"));
    let report = runner::run(&scenario, Clock::Simulated, 1);
    assert!(report.broken().is_some_and(|broken| broken.unwritten), "{:?}", report.verdict);
    let mut tally = Tally::new(&scenario.about);
    results.run(&report, &Kept::default());
    tally.add(report, &Kept::default(), "starter");
    results.scenario(&tally);
    results.end(HowWord::Complete, 1, 0);
    assert!(!temporary.0.exists());
    assert_eq!(results.lines("starter", false), "");
}

#[test]
fn results_that_cannot_be_saved_are_one_line() {
    let temporary = Temporary::new("unwritable");
    fs::write(&temporary.0, "a file where a folder should be").unwrap();
    let mut results = temporary.results();
    results.end(HowWord::Interrupted, 0, 0);
    let lines = results.lines("starter", true);
    fs::remove_file(&temporary.0).unwrap();
    assert!(lines.starts_with("results: cannot be saved: ") && lines.lines().count() == 1, "{lines}");
}
