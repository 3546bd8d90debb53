//! Proof that the checks of part 4 can fail: servers that agree by sharing one map in memory, each with one mistake
//! that the named check detects.

mod fake;

use std::collections::{BTreeMap, BTreeSet};

use labstd::sync::atomic::Ordering::SeqCst;
use labstd::thread;
use labstd::time::{Duration, Instant};
use record::{EventKind, Linearizable};
use tester::{Clock, Report, kv_scenarios, runner};

use fake::{ATTEMPTS, Fake, Mistake};

fn run(name: &str, mistake: Mistake, clock: Clock) -> Report {
    let scenarios = kv_scenarios(&Fake::with(mistake));
    let scenario = scenarios.iter().find(|scenario| scenario.info.name == name).expect(name);
    runner::run(scenario, clock, 1)
}

/// Asserts that the scenario fails, with these words.
fn assert_says(name: &str, mistake: Mistake, parts: &[&str]) {
    let report = run(name, mistake, Clock::Simulated);
    let text = report.run_failure().unwrap_or_else(|| panic!("{mistake:?} passes {name}")).text.clone();
    for part in parts {
        assert!(text.contains(part), "{name}: '{part}' is missing in: {text}");
    }
}

#[test]
fn correct_servers_pass_everything() {
    for scenario in kv_scenarios(&Fake::with(Mistake::Nothing)) {
        let report = run(scenario.info.name, Mistake::Nothing, Clock::Simulated);
        assert!(report.passed(), "{}", report.lines());
    }
}

#[test]
fn operations_are_counted_as_in_the_course() {
    let expected: [(&str, &[u64]); 6] = [
        ("unreliable_one_key_4A", &[52]),
        ("one_partition_4A", &[2, 3, 3]),
        ("snapshot_rpc_4B", &[63]),
        ("snapshot_size_4B", &[800]),
        // The course does not count these.
        ("speed_4A", &[1002]),
        ("speed_4B", &[1002]),
    ];
    for (name, operations) in expected {
        let report = run(name, Mistake::Nothing, Clock::Simulated);
        let runner::Verdict::Passed(stages) = &report.verdict else { panic!("{}", report.lines()) };
        let counted: Vec<u64> = stages.iter().map(|stage| stage.metrics.commands).collect();
        assert_eq!(counted, operations, "{name}");
    }
}

#[test]
fn one_partition_has_three_titles() {
    let report = run("one_partition_4A", Mistake::Nothing, Clock::Simulated);
    let titles: Vec<String> = report.lines().lines().step_by(2).map(str::to_string).collect();
    assert_eq!(
        titles,
        [
            "Test: progress in majority (4A) ...",
            "Test: no progress in minority (4A) ...",
            "Test: completion after heal (4A) ..."
        ]
    );
}

#[test]
fn an_append_executed_twice_is_found() {
    for name in ["unreliable_4A", "unreliable_one_key_4A", "snapshot_unreliable_4B", "lost_reply_4A"] {
        assert_says(name, Mistake::ExecutesDuplicates, &["is in it twice, though client ", " appended it once"]);
    }
}

#[test]
fn a_lost_append_is_found() {
    assert_says("basic_4A", Mistake::LosesAppends, &["client 0, the only one to write key 0", "is not in it, though"]);
    assert_says("unreliable_one_key_4A", Mistake::LosesAppends, &["is not in it, though the append of client "]);
    assert_says("speed_4A", Mistake::LosesAppends, &["'x 0 18 y' is not in it"]);
}

#[test]
fn text_that_no_client_appended_is_found() {
    assert_says("speed_4A", Mistake::AddsSpace, &["continues with ' x 0 19 y", "which no client has appended"]);
    assert_says("basic_4A", Mistake::AddsSpace, &["continues with ' x 0 ", "which no client has appended"]);
}

#[test]
fn swapped_appends_of_one_client_are_found() {
    assert_says(
        "speed_4A",
        Mistake::SwapsAppends,
        &["'x 0 18 y' comes after 'x 0 19 y', which client 0 appended later"],
    );
}

#[test]
fn a_get_that_returns_an_old_value_is_found() {
    let parts = ["but a Get while it was working returned ", "is not in it, though the append of client "];
    assert_says("basic_4A", Mistake::ReadsOldValues, &parts);
    assert_says("concurrent_4A", Mistake::ReadsOldValues, &parts);
}

#[test]
fn the_history_shows_an_old_value_of_a_random_key() {
    let name = "persist_partition_unreliable_linearizable_4A";
    assert_says(name, Mistake::ReadsOldValues, &["linearizable"]);
}

#[test]
fn a_history_violation_names_its_keys_and_records_orders() {
    let report = run("persist_partition_unreliable_linearizable_4A", Mistake::ReadsOldValues, Clock::Simulated);
    let text = &report.run_failure().expect("its history is not linearizable").text;
    println!("{text}");
    let mut begun = BTreeMap::new();
    let mut keys = BTreeSet::new();
    for event in report.record.events() {
        match event.kind {
            EventKind::OperationBegun { operation, key, .. } => drop(begun.insert(operation, key)),
            EventKind::HistoryChecked { key, linearizable, orders } => {
                assert_eq!(linearizable, Linearizable::No, "{key}");
                let ordered = orders.iter().flatten();
                assert!(!orders.is_empty() && ordered.into_iter().all(|operation| begun[operation] == key), "{key}");
                assert!(text.contains(&format!("key '{key}': {} of its ", orders[0].len())), "{key}: {text}");
                keys.insert(key);
            }
            _ => {}
        }
    }
    assert!(!keys.is_empty());
    assert_eq!(text.matches("\nkey '").count(), keys.len(), "{text}");
}

#[test]
fn an_answer_of_a_disconnected_leader_is_found() {
    let name = "one_partition_4A";
    assert_says(
        name,
        Mistake::ReadsWhileCutOff,
        &["a Get was answered by a leader that is disconnected from the majority"],
    );
    assert_says(
        name,
        Mistake::WritesWhileCutOff,
        &["a Put was answered by a leader that is disconnected from the majority"],
    );
    assert_says(
        "cut_off_get_4A",
        Mistake::ReadsWhileCutOff,
        &["though 'new' had been put by a majority and acknowledged"],
    );
}

#[test]
fn a_minority_operation_lost_after_the_heal_is_found() {
    assert_says("one_partition_4A", Mistake::DropsWaitingPuts, &["a Get of key '1' returned '16' instead of '15'"]);
    assert_says("one_partition_4A", Mistake::NeverRecovers, &["to the minority had no answer after 3.0 s"]);
}

#[test]
fn an_operation_that_is_never_answered_is_named() {
    assert_says(
        "basic_4A",
        Mistake::NeverAnswers,
        &["client 0 has waited for 1", " s for the answer to its ", " of key '0'"],
    );
    assert_says("snapshot_size_4B", Mistake::NeverAnswers, &["client 0 has waited for 1"]);
    assert_says("duplicate_after_snapshot_4B", Mistake::NeverAnswers, &[" has waited for 20 s for the answer to its "]);
}

#[test]
fn an_unanswered_operation_lists_what_each_thread_does() {
    let parts = ["\n  threads:\n    ", "client-0: in ", "watch-operations: running"];
    assert_says("basic_4A", Mistake::NeverAnswers, &parts);
}

#[test]
fn a_failed_stage_follows_the_lines_of_passed_stages() {
    let lines = run("one_partition_4A", Mistake::WritesWhileCutOff, Clock::Simulated).lines();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[0], "Test: progress in majority (4A) ...");
    assert!(lines[1].starts_with("  ... Passed -- "), "{lines:?}");
    assert_eq!(lines[2], "Test: no progress in minority (4A) ...");
    assert!(lines[3].starts_with("  ... FAILED after "), "{lines:?}");
}

#[test]
fn slow_operations_are_found() {
    assert_says("speed_4A", Mistake::ExecutesSlowly, &["an operation took 3", " ms on average, more than 33.3 ms"]);
}

#[test]
fn saved_state_and_snapshots_have_limits() {
    let log = ["a server has 8001 bytes of Raft state saved, more than 8000: logs were not trimmed"];
    for name in ["snapshot_rpc_4B", "snapshot_size_4B", "snapshot_unreliable_4B", "duplicate_after_snapshot_4B"] {
        assert_says(name, Mistake::SavesTooMuch, &log);
    }
    assert_says("basic_4A", Mistake::SavesUnrequestedSnapshot, &["a server has a snapshot of 1 bytes saved, though"]);
    assert_says("snapshot_size_4B", Mistake::SavesLargeSnapshot, &["a snapshot of 501 bytes saved, more than 500"]);
}

#[test]
fn a_cluster_without_a_leader_is_found() {
    assert_says("one_partition_4A", Mistake::NeverLeads, &["none of the 5 servers has reported for 5 s that it leads"]);
}

#[test]
fn a_client_that_finds_a_mistake_ends_the_run_immediately() {
    for clock in [Clock::Simulated, Clock::Threads] {
        let report = run("concurrent_4A", Mistake::LosesAppends, clock);
        let run_failure = report.run_failure().expect("an append was lost");
        assert!(run_failure.text.contains("while it was working"), "{}", run_failure.text);
        assert!(run_failure.at < Duration::from_secs(4), "after {:?}", run_failure.at);
    }
}

#[test]
fn a_server_that_outlives_kill_is_found() {
    assert_says("snapshot_rpc_4B", Mistake::OutlivesKill, &["#1 was killed, but 2 s later", "survivor"]);
}

#[test]
fn clients_of_a_failed_run_end() {
    const STILL: Duration = Duration::from_millis(500);
    const LONG: Duration = Duration::from_secs(60);
    let report = run("lost_reply_4A", Mistake::IgnoresRetries, Clock::Threads);
    let text = &report.run_failure().expect("an append has no answer").text;
    assert!(text.contains("an Append of client 0 had no answer after 2.0 s: its reply was lost"), "{text}");
    let begun = Instant::now();
    let mut last = (ATTEMPTS.load(SeqCst), Instant::now());
    while last.1.elapsed() < STILL {
        assert!(begun.elapsed() < LONG, "its clients still send requests");
        thread::sleep(Duration::from_millis(20));
        let now = ATTEMPTS.load(SeqCst);
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
}
