//! Tests of reading complete and damaged Go outputs, and of the printed comparison.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use tester::{ClientHistory, Metrics, ScenarioOutcome, Stage};

use super::line::Edition;
use super::*;
use crate::args::ClockName;

const GO_2024: &str = include_str!("../../tests/data/go-2024.txt");
const GO_2025: &str = include_str!("../../tests/data/go-2025.txt");

fn about(name: &'static str, part: Part, title: &str) -> ScenarioInfo {
    ScenarioInfo { name, part, title: title.to_string(), from_course: true, servers: 3, seconds: 1 }
}

/// Some scenarios of the lab.
fn abouts() -> Vec<ScenarioInfo> {
    use Part::{P3A, P3B, P3C, P3D, P4A};
    vec![
        about("initial_election_3A", P3A, "initial election"),
        about("re_election_3A", P3A, "election after network failure"),
        about("backup_3B", P3B, "leader backs up quickly over incorrect follower logs"),
        about("persist_1_3C", P3C, "basic persistence"),
        about("snapshot_basic_3D", P3D, "snapshots basic"),
        about("snapshot_install_3D", P3D, "install snapshots (disconnect)"),
        about("snapshot_install_unreliable_3D", P3D, "install snapshots (disconnect+unreliable)"),
        about("snapshot_install_crash_3D", P3D, "install snapshots (crash)"),
        about("snapshot_install_un_crash_3D", P3D, "install snapshots (unreliable+crash)"),
        about("snapshot_all_crash_3D", P3D, "crash and restart all servers"),
        about("snapshot_init_3D", P3D, "snapshot initialization after crash"),
        about("basic_4A", P4A, "one client"),
        about("unreliable_one_key_4A", P4A, "concurrent append to same key, unreliable"),
        about("one_partition_4A", P4A, "progress in majority"),
    ]
}

fn read_text(text: &str) -> Samples {
    read(text.as_bytes(), &Catalogue(abouts()))
}

/// Describes each run that was found: the scenario, its stage if there are several, the outcome, and the reason.
fn found(samples: &Samples) -> Vec<String> {
    let catalogue = Catalogue(abouts());
    let each = |(row, samples): (&StageId, &Vec<Sample>)| {
        let stage = if row.stage > 0 { format!(" {}", row.stage) } else { String::new() };
        let name = format!("{}{stage}", catalogue.0[row.scenario].name);
        let one = |sample: &Sample| {
            let reason = sample.reason.as_ref().map_or(String::new(), |(line, text)| format!(", {line}: {text}"));
            let how = sample.cost().map_or(word(&sample.outcome).to_string(), |cost| cost.seconds.to_string());
            format!("{name} {how}{reason}")
        };
        samples.iter().map(one).collect::<Vec<_>>()
    };
    samples.rows.iter().flat_map(each).collect()
}

fn others(samples: &Samples) -> Vec<(usize, &str)> {
    samples.others.iter().map(|(number, text)| (*number, text.as_str())).collect()
}

fn assert_nothing_else(samples: &Samples) {
    assert_eq!(others(samples), []);
    assert!(samples.unknown.is_empty() && samples.ambiguous.is_empty(), "{samples:?}");
}

#[test]
fn every_test_of_2024_is_found_with_its_figures() {
    let samples = read_text(GO_2024);
    assert_nothing_else(&samples);
    assert!(samples.editions.iter().eq(&[Edition::Of2024]));
    let expected = [
        "initial_election_3A 4.1",
        "re_election_3A 6.9",
        "persist_1_3C 8.4",
        "snapshot_basic_3D 5.8",
        "snapshot_init_3D 5.7",
        "unreliable_one_key_4A 1.8",
        "one_partition_4A 2",
        "one_partition_4A 1 1",
        "one_partition_4A 2 1",
    ];
    assert_eq!(found(&samples), expected);
    let first = samples.rows.values().next().and_then(|samples| samples[0].cost());
    assert_eq!(first, Some(cost::Cost { seconds: 4.1, rpcs: 50, bytes: Some(14_092), commands: Some(0) }));
    let last = samples.rows.values().last().and_then(|samples| samples[0].cost());
    assert_eq!(last, Some(cost::Cost { seconds: 1.0, rpcs: 56, bytes: None, commands: Some(3) }));
}

#[test]
fn every_test_of_2025_is_found_in_every_output_format() {
    let plain = read_text(GO_2025);
    assert_nothing_else(&plain);
    assert!(plain.editions.iter().eq(&[Edition::Of2025]));
    let expected = [
        "initial_election_3A 3.5",
        "re_election_3A 6.4",
        "persist_1_3C 6.8",
        "snapshot_basic_3D 2.9",
        "snapshot_install_3D 49.1",
        "snapshot_install_unreliable_3D 59.9",
        "snapshot_install_crash_3D 37",
        "snapshot_install_un_crash_3D 48.2",
        "snapshot_all_crash_3D 17.1",
        "snapshot_init_3D 6.2",
    ];
    assert_eq!(found(&plain), expected);
    // Windows line ends; PowerShell redirection; without -v; without the kind of network; as JSON.
    let windows = GO_2025.replace('\n', "\r\n");
    let utf_16: Vec<u8> = "\u{feff}".chars().chain(windows.chars()).flat_map(|c| (c as u16).to_le_bytes()).collect();
    let without_v: String =
        GO_2025.lines().filter(|line| !line.starts_with(['-', '='])).map(|line| format!("{line}\n")).collect();
    let no_network = without_v.replace(" (reliable network)", "").replace(" (unreliable network)", "");
    let event = |line: &str| serde_json::json!({"Action": "output", "Package": "raft", "Output": line}).to_string();
    let mut json = String::from("{\"Action\":\"start\",\"Package\":\"raft\"}\n");
    for line in GO_2025.lines() {
        // A line may arrive in pieces.
        let (before, after) = line.split_at(line.len() / 2);
        json += &format!("{}\n{}\n", event(before), event(&format!("{after}\n")));
    }
    for (what, bytes) in [
        ("windows", windows.as_bytes()),
        ("utf-16", &utf_16),
        ("not verbose", without_v.as_bytes()),
        ("no network", no_network.as_bytes()),
        ("json", json.as_bytes()),
    ] {
        let samples = read(bytes, &Catalogue(abouts()));
        assert_nothing_else(&samples);
        assert_eq!(found(&samples), expected, "{what}");
    }
}

#[test]
fn a_title_shared_by_two_tests_is_left_out_if_ambiguous() {
    let one = "Test (3D): install snapshots (crash)...\n  ... Passed --  time 37.0s #peers 3 #RPCs   748 #Ops    0\n";
    for many in [1, 2, 3] {
        let samples = read_text(&one.repeat(many));
        assert!(samples.rows.is_empty());
        assert_eq!(samples.ambiguous.len(), many);
        assert_eq!((samples.ambiguous[0].0, samples.ambiguous[0].2), (1, [7, 8]));
    }
    let named = format!("=== RUN   TestSnapshotInstallUnCrash3D\n{one}");
    assert_eq!(found(&read_text(&named)), ["snapshot_install_un_crash_3D 37"]);
}

#[test]
fn a_failed_test_has_its_reason() {
    let verbose = "=== RUN   TestBackup3B\nTest (3B): leader backs up quickly over incorrect follower logs ...\n    config.go:602: \
                   one(7) failed to reach agreement\n--- FAIL: TestBackup3B (12.34s)\n=== RUN   TestPersist13C\n--- FAIL: \
                   TestPersist13C (0.01s)\nFAIL\nexit status 1\nFAIL\t6.5840/raft\t12.5s\n";
    let samples = read_text(verbose);
    assert_nothing_else(&samples);
    assert_eq!(
        found(&samples),
        ["backup_3B FAILED, 3: config.go:602: one(7) failed to reach agreement", "persist_1_3C FAILED"]
    );
    // Without -v the reason stands behind the result.
    let brief = "Test (3A): initial election ...\n  ... Passed --   4.1  3   50   14092    0\nTest (3B): leader backs up quickly over \
                 incorrect follower logs ...\n--- FAIL: TestBackup3B (12.34s)\n    config.go:602: one(7)\nTest (3C): basic \
                 persistence ...\nTest (3D): snapshots basic ...\n  ... Passed --   5.8  3  649  526475  220\nFAIL\n";
    let samples = read_text(brief);
    assert_nothing_else(&samples);
    let expected = [
        "initial_election_3A 4.1",
        "backup_3B FAILED, 5: config.go:602: one(7)",
        "persist_1_3C FAILED",
        "snapshot_basic_3D 5.8",
    ];
    assert_eq!(found(&samples), expected);
}

#[test]
fn a_failure_before_a_title_is_not_given_to_the_last_test() {
    let passed = "Test (3A): initial election ...\n  ... Passed --   4.1  3   50   14092    0\n";
    let next = read_text(&format!("{passed}--- FAIL: TestReElection3A (0.00s)\n"));
    assert_eq!(found(&next), ["initial_election_3A 4.1", "re_election_3A FAILED"]);
    let same = read_text(&format!("{passed}--- FAIL: TestInitialElection3A (130.00s)\n"));
    assert_eq!(found(&same), ["initial_election_3A FAILED"]);
}

#[test]
fn a_hanging_test_has_no_end_and_one_line_of_goroutines() {
    let passed = &GO_2024[..GO_2024.find("=== RUN   TestReElection3A").expect("it is there")];
    let hangs = "=== RUN   TestReElection3A\nTest (3A): election after network failure ...\n";
    let dump = "panic: test timed out after 10m0s\n\trunning tests:\n\t\tTestReElection3A (9m55s)\n\ngoroutine 1 [chan \
                receive]:\ntesting.(*T).Run(0xc000)\n\t/usr/go/testing.go:1 +0x1\nexit status 2\nFAIL\t6.5840/raft\t600.1s\n";
    let samples = read_text(&format!("{passed}{hangs}{dump}"));
    let reason = "re_election_3A no end, 7: panic: test timed out after 10m0s";
    assert_eq!(found(&samples), ["initial_election_3A 4.1", reason]);
    assert_eq!(others(&samples), [(8, "[goroutines of a process that ended] (until line 13)")]);
    // An output that was cut off.
    assert_eq!(found(&read_text(&format!("{passed}{hangs}"))), ["initial_election_3A 4.1", "re_election_3A no end"]);
    // Any other panic is a failure.
    let samples = read_text(&format!(
        "{hangs}panic: runtime error: index out of range\n\ngoroutine 7 [running]:\nexit status 2\n"
    ));
    assert_eq!(found(&samples), ["re_election_3A FAILED, 3: panic: runtime error: index out of range"]);
}

#[test]
fn a_staged_test_names_the_stage_that_failed() {
    let text = "=== RUN   TestOnePartition4A\nTest: progress in majority (4A) ...\n  ... Passed --   2.0  5   274    2\nTest: no progress \
                in minority (4A) ...\n    test_test.go:1: Put completed\n--- FAIL: TestOnePartition4A (4.00s)\n";
    assert_eq!(
        found(&read_text(text)),
        ["one_partition_4A 2", "one_partition_4A 1 FAILED, 5: test_test.go:1: Put completed"]
    );
}

#[test]
fn all_runs_of_a_test_are_counted() {
    let text = GO_2024.replace("PASS\n", "").repeat(3);
    let samples = read_text(&text);
    assert_nothing_else(&samples);
    assert!(samples.rows.values().all(|samples| samples.len() == 3));
    let run = |rpcs: u64| cost::Cost { seconds: 1.0, rpcs, bytes: None, commands: Some(rpcs) };
    assert_eq!(cost::medians(&[run(9), run(1), run(3)]), Some(run(3)));
    assert_eq!(cost::medians(&[run(9), run(1), run(3), run(2)]), Some(run(3)));
    assert_eq!(cost::medians(&[]), None);
}

#[test]
fn unreadable_lines_are_kept_with_their_numbers() {
    let text = "warning: term changed even though there were no failures  ... Passed --   4.1  3   50   14092    0\n\
                === RUN   TestInitialElection3A\nTest (3A): initial election ...\nwarning: term changed even though there were no \
                failures  ... Passed --   4.1  3   50   14092    0\n--- PASS: TestInitialElection3A (4.15s)\ninfo: wrote visualization \
                to /tmp/x.html\n==================\nWARNING: DATA RACE\nWrite at 0x00c by goroutine 8:\n==================\n  ... \
                Passed --   4.1  3   fifty   14092    0\nPASS\nok  \t6.5840/raft1\t421.3s\n?   \t6.5840/mr\t[no test files]\n";
    let samples = read_text(text);
    assert_eq!(found(&samples), ["initial_election_3A 4.1"]);
    let expected = [
        (1, "warning: term changed even though there were no failures"),
        (1, "  ... Passed --   4.1  3   50   14092    0"),
        (4, "warning: term changed even though there were no failures"),
        (6, "info: wrote visualization to /tmp/x.html"),
        (8, "[WARNING: DATA RACE, and what the race detector says of it] (until line 10)"),
        (11, "  ... Passed --   4.1  3   fifty   14092    0"),
    ];
    assert_eq!(others(&samples), expected);
}

#[test]
fn key_value_tests_of_2025_are_unknown() {
    let text = "=== RUN   TestBasic4A\nTest RSM basic (reliable network)...\n  ... Passed --  time  4.2s #peers 3 #RPCs    54 #Ops    \
                0\n--- PASS: TestBasic4A (4.20s)\n";
    let samples = read_text(text);
    assert!(samples.rows.is_empty());
    assert!(samples.unknown.keys().eq(["TestBasic4A: Test RSM basic (reliable network)..."]));
    assert!(
        nothing_to_compare("x", &samples)
            .starts_with("'x' has 1 tests, but none that this lab has, such as 'TestBasic4A")
    );
}

#[test]
fn foreign_text_cannot_change_the_terminal() {
    assert_eq!(sanitized("a\u{1b}[31mb\tc\u{202e}d \"quoted\"", 80), "a\\u{1b}[31mb c\\u{202e}d \"quoted\"");
    assert_eq!(sanitized(&"x".repeat(200), 10), "xxxxxxx...");
    assert_eq!(sanitized("0123456789", 10), "0123456789");
    let samples = read(&[b'\xff', 0, 7, b'\n', b'x'], &Catalogue(abouts()));
    assert_eq!(
        nothing_to_compare("f", &samples),
        "'f' has no test of the lab; use the output of go test -v; line 1 is '\u{fffd}\\0\\u{7}'"
    );
}

/// A scenario with the given cost, which fails with every seed from `fails_from` on.
fn scenario(about: &ScenarioInfo, millis: u64, rpcs: u64, fails_from: u64) -> Scenario {
    let titles = Catalogue(vec![about.clone()]).stages(0).iter().map(|title| title.to_string()).collect::<Vec<_>>();
    let seen = std::sync::atomic::AtomicU64::new(0);
    Scenario::new(about.clone(), move |_, _: &_| {
        // With one job, the simulated runs of a scenario run one after another.
        let seed = 1 + seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert!(seed < fails_from, "it goes wrong");
        let (elapsed, rpcs) = (Duration::from_millis(millis * seed), rpcs * seed);
        let figures = Metrics { elapsed, servers: 3, rpcs, bytes: 100 * rpcs, commands: 4 };
        let stage = |title: &String| Stage { title: title.clone(), metrics: figures };
        ScenarioOutcome {
            stages: titles.iter().map(stage).collect(),
            history: Some(ClientHistory::default()),
            gave_up: None,
        }
    })
}

fn printed(file: &str, scenarios: Vec<Scenario>) -> (bool, String) {
    let file = PathBuf::from(format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR")));
    let name = sanitized(&file.display().to_string(), WIDTH - 40);
    let runs = NonZeroU64::new(3).expect("not zero");
    let args = CompareArgs { file, runs, clock: ClockName::Simulated, jobs: std::num::NonZeroU16::new(1) };
    let mut out = Vec::new();
    let all_passed = compare(&args, scenarios, "raftlab", &mut out).expect("there is something to compare");
    let text = String::from_utf8(out).expect("it is text").replace(&name, "GO");
    // The number of processors depends on the machine.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (all_passed, text.replace(&format!("{cores} cores"), "N cores"))
}

#[test]
fn the_table_has_both_sides_with_ratios_and_sums() {
    let scenarios = abouts().iter().map(|about| scenario(about, 1000, 25, u64::MAX)).collect();
    let (all_passed, text) = printed("go-2024.txt", scenarios);
    assert!(all_passed);
    let expected = include_str!("../../tests/data/table-2024.txt");
    assert_eq!(text, expected, "printed:\n{text}");
}

#[test]
fn absent_go_columns_show_ours_and_failures_show_a_command() {
    let fails_from = |about: &ScenarioInfo| if about.name == "re_election_3A" { 2 } else { u64::MAX };
    let scenarios = abouts().iter().map(|about| scenario(about, 1000, 25, fails_from(about))).collect();
    let (all_passed, text) = printed("go-2025.txt", scenarios);
    assert!(!all_passed);
    // The paths of a failed run's files depend on the machine.
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("picture:") && !line.starts_with("timeline:") && !line.starts_with("log: "))
        .collect();
    let text = lines.join("\n") + "\n";
    let expected = include_str!("../../tests/data/table-2025.txt");
    assert_eq!(text, expected, "printed:\n{text}");
}
