//! The file of a run's page: the data of the record that it has, and its size.

mod samples;

use std::fmt::Write as _;

use ids::{Index, ServerId, Term};
use record::{Event, EventKind, Level, Peer};
use samples::runs;
use serde_json::{Value, json};
use timeline::{RUN_BYTES_MAX, Run};

fn html(events: impl IntoIterator<Item = Event>) -> String {
    let mut html = Vec::new();
    Run::from_events(events).write(&mut html).expect("a page");
    String::from_utf8(html).expect("UTF-8")
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    assert!(html(runs::passed()) == html(runs::passed()));
}

#[test]
fn no_text_of_a_record_is_html() {
    for events in [runs::passed(), runs::failed()] {
        let page = html(events);
        assert!(!page.contains("injected"), "a text of the record is in the page unencoded");
        assert_eq!(page.matches("</script>").count(), 2, "only the data and the viewer end a script");
    }
}

fn data(events: impl IntoIterator<Item = Event>) -> Value {
    serde_json::from_str(&samples::json(&html(events))).expect("JSON")
}

#[test]
fn faults_checks_and_failures_are_in_the_page() {
    let (passed, failed) = (data(runs::passed()), data(runs::failed()));
    let ms = 1_000_000;
    // [server, kind, from, to, part]: S1 was cut off, S0 crashed.
    assert_eq!(passed["run"]["bands"], json!([[1, 1, 200 * ms, 350 * ms, 0], [0, 2, 420 * ms, 480 * ms, 0]]));
    assert_eq!(passed["run"]["windows"], json!([[550 * ms, 590 * ms, 42]]));
    assert_eq!(passed["run"]["verdict"], "passed");
    assert_eq!(passed["run"]["end"], 600 * ms);
    assert_eq!(failed["run"]["failed_checks"], json!([300 * ms]));
    assert_eq!(failed["run"]["failures"][0][0], 400 * ms);
    assert_eq!(failed["partitions"][0]["verdict"], "illegal");
    let texts = passed["texts"].to_string();
    for words in ["partition = [S1] [S0 S2]", "crash = [S0]", "agreement on 100", "append('other', 'w')"] {
        assert!(texts.contains(words), "{words} is not in the page");
    }
}

#[test]
fn the_page_says_what_is_left_out() {
    let notes = |events| data(events)["notes"].to_string();
    assert_eq!(notes(runs::passed()), r#"["Completed RPCs left out: 42."]"#);
    assert_eq!(notes(runs::failed()), "[]");
}

#[test]
fn decreasing_times_and_extreme_numbers_do_no_harm() {
    let mut events = runs::passed();
    events.reverse();
    let (call, bytes) = (u64::MAX, u64::MAX);
    let (from, to) = (None, Peer::Named("somebody".into()));
    let sent = EventKind::RpcSent { call, from, to, method: "".into(), bytes };
    events.push(Event { at: u64::MAX, server: None, kind: sent });
    events.push(Event { at: 0, server: None, kind: EventKind::RpcReplied { call, bytes: 0 } });
    let (term, first, last) = (Term(u64::MAX), Index(0), Index(u64::MAX));
    events.push(Event { at: 1, server: Some(ServerId(0)), kind: EventKind::LogAppended { term, first, last } });
    assert!(html(events).starts_with("<!DOCTYPE html>"));
}

#[test]
fn an_empty_record_gives_a_page() {
    assert!(html([]).starts_with("<!DOCTYPE html>"));
}

#[test]
fn a_record_that_begins_in_the_middle_gives_a_page() {
    let half = runs::passed().into_iter().skip(20);
    assert!(html(half).starts_with("<!DOCTYPE html>"));
}

#[test]
fn a_server_with_an_impossible_number_does_no_harm() {
    let kind = EventKind::TermChanged { term: ids::Term(1) };
    let events = [Event { at: 1, server: Some(ServerId(usize::MAX)), kind }];
    assert!(html(events).len() < 1_000_000);
}

/// The largest run of the lab has 165,000 to 450,000 RPCs, half a million entries that servers append or apply, and
/// 130,000 operations of clients.
#[test]
fn the_page_of_the_largest_run_is_at_most_5_mb() {
    let page = html(runs::large(450_000, 55_000, 130_000));
    assert!(page.len() <= RUN_BYTES_MAX, "{} bytes", page.len());
    assert!(page.len() > 1_000_000, "{} bytes cannot be all of the data", page.len());
}

#[test]
fn a_run_that_is_far_too_large_loses_rpcs_and_fits() {
    let page = html(runs::large(1_200_000, 20_000, 40_000));
    assert!(page.len() <= RUN_BYTES_MAX, "{} bytes", page.len());
    assert!(page.len() > RUN_BYTES_MAX / 2, "{} bytes: more calls would have fitted", page.len());
}

#[test]
fn endless_logging_does_not_make_the_page_too_large() {
    let line = |number: u64| {
        let mut message = String::new();
        let _ = write!(message, "line {number}: {:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let kind = EventKind::LogLine { level: Level::Debug, target: "t".into(), message };
        Event { at: number * 1_000, server: Some(ServerId(0)), kind }
    };
    assert!(html((0..400_000).map(line)).len() < RUN_BYTES_MAX / 2);
}
