use std::path::PathBuf;
use std::{env, process};

use tester::runner;

use super::*;
use crate::test_scenarios;

/// A folder for one test, which is removed when it is dropped.
struct TempDir(PathBuf);

impl TempDir {
    fn new(test: &str) -> TempDir {
        TempDir(env::temp_dir().join(format!("raftlab-results-{}-{test}", process::id())))
    }

    fn results(&self) -> ResultsFile {
        ResultsFile::into(&self.0, header())
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn header() -> Header {
    Header::new("starter", Clock::Simulated, &["3A".to_string()], Some(1), Some(10), false)
}

/// Saves ten runs of which two do not pass, and returns the path.
fn save(mut results: ResultsFile) -> PathBuf {
    let scenario = test_scenarios::scenario("example_3A", |seed| seed % 4 == 0);
    let mut tally = Tally::new(&scenario.info);
    for seed in 1..=10 {
        let report = runner::run(&scenario, Clock::Simulated, seed);
        let record = (seed == 4).then(|| PathBuf::from("/lab/example_3A-simulated-4.record"));
        let kept = Artifacts { record, ..Artifacts::default() };
        results.run(&report, &kept);
        tally.add(report, &kept, "starter");
    }
    results.scenario(&tally);
    results.end(EndReason::Complete, tally.runs(), tally.passed());
    results.file.expect("there is something to say").0
}

fn failed(seed: u64) -> FailedRun {
    FailedRun {
        scenario: "example_3A".to_string(),
        seed,
        verdict: "failed".to_string(),
        text: "thread 'example_3A' panicked at 0.000000 s: it goes wrong".to_string(),
        record: (seed == 4).then(|| PathBuf::from("/lab/example_3A-simulated-4.record")),
        timeline: None,
    }
}

#[test]
fn written_results_are_read_back() {
    let temporary = TempDir::new("back");
    let text = fs::read_to_string(save(temporary.results())).unwrap();
    assert_eq!(read(&text), Ok(SavedResults { header: header(), failed: vec![failed(4), failed(8)] }));
    let last = text.lines().last().unwrap();
    assert_eq!(last, r#"{"is":"end","how":"complete","runs":10,"passed":8,"not_passed":2}"#);
    assert!(
        text.contains(r#"{"is":"scenario","scenario":"example_3A","runs":10,"passed":8,"not_passed":2,"#),
        "{text}"
    );
}

#[test]
fn a_results_file_replaces_no_other() {
    let temporary = TempDir::new("names");
    let paths = [save(temporary.results()), save(temporary.results())];
    assert_eq!(paths, ["run.json", "run-2.json"].map(|name| temporary.0.join(name)));
}

#[test]
fn results_of_a_killed_process_are_read_up_to_the_last_line() {
    let temporary = TempDir::new("killed");
    let text = fs::read_to_string(save(temporary.results())).unwrap();
    let second_run = text.match_indices(r#"{"is":"run""#).nth(1).unwrap().0;
    for length in [second_run, second_run + 1, second_run + 30] {
        assert_eq!(read(&text[..length]).unwrap().failed, [failed(4)]);
    }
}

#[test]
fn damaged_or_foreign_files_are_refused_in_a_sentence() {
    let temporary = TempDir::new("damaged");
    let text = fs::read_to_string(save(temporary.results())).unwrap();
    let damaged = text.replacen("\"seed\":8", "\"seed\":eight", 1);
    assert!(read(&damaged).unwrap_err().starts_with("line 3 is damaged: "), "{:?}", read(&damaged));
    let later = text.replacen("\"format\":1", "\"format\":2", 1);
    assert_eq!(read(&later).unwrap_err(), "the results have format version 2, but this program reads version 1");
    for other in ["", "no results", "{}", "{\"is\":\"end\"}\n", &text[text.find("{\"is\":\"run\"").unwrap()..]] {
        assert_eq!(read(other).unwrap_err(), "it is neither the record of a run nor saved results", "{other}");
    }
}

#[test]
fn a_run_listed_twice_is_read_once() {
    let temporary = TempDir::new("twice");
    let text = fs::read_to_string(save(temporary.results())).unwrap();
    let run = text.lines().find(|line| line.starts_with(r#"{"is":"run""#)).unwrap();
    assert_eq!(read(&format!("{text}{run}\n")).unwrap().failed.len(), 2);
}

#[test]
fn unwritten_code_leaves_no_results_file() {
    let temporary = TempDir::new("unwritten");
    let (mut results, scenario) = (temporary.results(), test_scenarios::unwritten("example_3A"));
    let report = runner::run(&scenario, Clock::Simulated, 1);
    assert!(report.run_failure().is_some_and(|broken| broken.unwritten), "{:?}", report.verdict);
    let mut tally = Tally::new(&scenario.info);
    results.run(&report, &Artifacts::default());
    tally.add(report, &Artifacts::default(), "starter");
    results.scenario(&tally);
    results.end(EndReason::Complete, 1, 0);
    assert!(!temporary.0.exists());
    assert_eq!(results.lines("starter", false), "");
}

#[test]
fn an_unwritable_results_file_is_one_line() {
    let temporary = TempDir::new("unwritable");
    fs::write(&temporary.0, "a file where a folder should be").unwrap();
    let mut results = temporary.results();
    results.end(EndReason::Interrupted, 0, 0);
    let lines = results.lines("starter", true);
    fs::remove_file(&temporary.0).unwrap();
    assert!(lines.starts_with("results: cannot be saved: ") && lines.lines().count() == 1, "{lines}");
}
