use labstd::time::Duration;
use record::Recorder;
use tester::runner;

use super::*;
use crate::test_scenarios;

/// A record as it is read back from a file.
fn stored(record: &Recorder) -> StoredRecord {
    let mut bytes = Vec::new();
    record.write(&mut bytes).expect("a vector takes everything");
    file::read(&bytes[..]).expect("it was written just now")
}

fn run(seed: u64) -> Report {
    runner::run(&test_scenarios::scenario("example_3A", |seed| seed == 7), Clock::Simulated, seed)
}

#[test]
fn a_record_names_its_scenario_seed_and_clock() {
    let stored = stored(&run(7).record);
    let all =
        || vec![test_scenarios::scenario("other_3A", |_| false), test_scenarios::scenario("example_3A", |_| false)];
    let recorded = RecordedRun::of(&stored, all()).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!((recorded.scenario.info.name, recorded.seed, recorded.clock), ("example_3A", 7, Clock::Simulated));
    let missing = RecordedRun::of(&stored, all()[..1].to_vec()).err();
    assert_eq!(missing.as_deref(), Some("this program has no scenario 'example_3A'"));
}

#[test]
fn equal_runs_compare_equal_and_others_differ() {
    let (first, again, other) = (run(7), run(7), run(8));
    let stored = stored(&first.record);
    assert_eq!(compare(&stored, &again), Ok(stored.len()));
    let parting = compare(&stored, &other).expect_err("the seed is another");
    assert_eq!(parting.number, 1);
    assert!(
        describe_difference(&parting)
            .starts_with("NOT the run that was recorded: it differs from event 1 on, at 0.0000 s:\n")
    );
}

#[test]
fn checker_results_do_not_make_runs_differ() {
    let report = run(8);
    let record = Recorder::default();
    let mut events: Vec<Event> = report.record.events().collect();
    let found = EventKind::HistoryChecked {
        key: "0".to_string(),
        linearizable: record::Linearizable::Yes,
        orders: vec![vec![0]],
    };
    let at = events.last().expect("its end").at;
    events.insert(events.len() - 1, Event { at, server: None, kind: found });
    events.into_iter().for_each(|event| record.record(event));
    assert!(compare(&stored(&record), &report).is_ok());
}

#[test]
fn an_interrupted_record_matches_the_start_of_a_run() {
    let report = run(8);
    let record = Recorder::default();
    let begin = report.record.events().next().expect("its beginning");
    let mark = |at: Duration| {
        let label = "interrupted".to_string();
        let shape = record::AnnotationShape::Point;
        let kind = EventKind::Annotated { tag: "run".to_string(), label, details: String::new(), shape };
        Event { at: at.as_nanos() as u64, server: None, kind }
    };
    record.record(begin);
    record.record(mark(Duration::ZERO));
    assert_eq!(compare(&stored(&record), &report), Ok(2));
}

#[test]
fn results_without_failures_need_no_replay() {
    let text = r#"{"is":"results","format":1,"package":"p","version":"1","clock":"simulated","filters":[],"first_seed":1,"runs":9,"twice":false}"#;
    let saved = results::read(&format!("{text}\n")).expect("a header");
    let mut out = Vec::new();
    assert!(replay_results(&saved, Vec::new(), "p", &mut out).expect("it can be done"));
    assert_eq!(String::from_utf8_lossy(&out), "no run in it failed\n");
}

#[test]
fn failed_runs_run_again_in_their_order() {
    let mut text = r#"{"is":"results","format":1,"package":"p","version":"1","clock":"simulated","filters":[],"first_seed":1,"runs":9,"twice":false}"#.to_string();
    for (scenario, seed) in [("second_3A", 3), ("first_3A", 9), ("second_3A", 1)] {
        text += &format!(
            "\n{{\"is\":\"run\",\"scenario\":\"{scenario}\",\"seed\":{seed},\"verdict\":\"failed\",\"text\":\"\"}}"
        );
    }
    let saved = results::read(&format!("{text}\n")).expect("results");
    let (sender, ran) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let noted =
        std::sync::Arc::new(move |name: &str, seed| sender.lock().unwrap().send((name.to_string(), seed)).unwrap());
    let all = ["first_3A", "second_3A", "third_3A"].map(|name| {
        let noted = std::sync::Arc::clone(&noted);
        test_scenarios::scenario(name, move |seed| {
            noted(name, seed);
            false
        })
    });
    let mut out = Vec::new();
    assert!(replay_results(&saved, all.into(), "p", &mut out).expect("it can be done"));
    drop(noted);
    let mut ran: Vec<(String, u64)> = ran.try_iter().collect();
    ran.sort();
    let expected = [("first_3A", 9), ("second_3A", 1), ("second_3A", 3)].map(|(name, seed)| (name.to_string(), seed));
    assert_eq!(ran, expected);
    let text = String::from_utf8_lossy(&out);
    assert!(text.contains("2 scenarios, 3 runs: 3 passed, 0 failed"), "{text}");
    let missing = replay_results(&saved, Vec::new(), "p", &mut Vec::new());
    assert!(matches!(missing, Err(Error::Usage(why)) if why == "this program has no scenario 'second_3A'"));
}
