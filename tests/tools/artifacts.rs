//! Tests of the files that failing, hanging and interrupted runs leave on disk. Each test starts processes of its own,
//! because a whole process fails or is interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use labrpc::{ClientEnd, Service};
use labstd::channel::Sender;
use labstd::sync::Arc;
use labstd::thread;
use raftapi::{ApplyMsg, Index, Persister, Raft, ServerId, Started, Term};
use record::{Event, EventKind};
use tester::{Clock, Subject, harness, raft_scenarios};

use crate::target_dir::TargetDir;

/// The environment variable that tells [`child_process`] the fault of its servers.
const FAULT: &str = "RAFTLAB_FAULT";

/// A Raft that does nothing but its fault, as [`FAULT`] says.
struct FaultyRaft;

impl Raft for FaultyRaft {
    fn make(_: Vec<ClientEnd>, me: ServerId, _: Arc<Persister>, _: Sender<ApplyMsg>) -> FaultyRaft {
        let fault = std::env::var(FAULT).unwrap_or_default();
        thread::spawn(format!("{me}/fault"), move || {
            thread::sleep(Duration::from_millis(10));
            match fault.as_str() {
                "panics" => panic!("this server is broken"),
                "hangs" if me == ServerId(2) => {
                    eprintln!("it hangs");
                    // A sleep that the simulation does not see.
                    std::thread::sleep(Duration::from_secs(3600));
                }
                _ => {}
            }
        });
        FaultyRaft
    }
    fn services(&self) -> Vec<Service> {
        let methods = ["RequestVote", "AppendEntries", "InstallSnapshot"];
        vec![methods.into_iter().fold(Service::new("Raft"), |service, name| service.method(name, |(): ()| ()))]
    }
    fn start(&self, _: Bytes) -> Option<Started> {
        None
    }
    fn get_state(&self) -> (Term, bool) {
        if std::env::var(FAULT).is_ok_and(|fault| fault == "sleeps") {
            thread::sleep(Duration::from_secs(1000));
        }
        (Term::ZERO, false)
    }
    fn snapshot(&self, _: Index, _: Bytes) {}
    fn persist_bytes(&self) -> usize {
        0
    }
    fn kill(&self) {}
}

#[test]
#[ignore = "the other tests run it in processes of their own"]
fn child_process() {
    if std::env::var(FAULT).is_err() {
        return;
    }
    let clock = if std::env::var("RAFTLAB_CLOCK").is_ok() { Clock::Threads } else { Clock::Simulated };
    harness::run_test(&raft_scenarios(&Subject::of::<FaultyRaft>()), clock, "initial_election_3A", "raftlab");
}

impl TargetDir {
    /// A test process whose servers have this fault.
    fn child(&self, fault: &str, clock: Clock) -> Command {
        let this = std::env::current_exe().expect("this test is a program");
        let mut command = self.process(this.to_str().expect("its path is text"));
        command
            .args(["--exact", "artifacts::child_process", "--ignored", "--nocapture"])
            .env(FAULT, fault)
            .env("LAB_SEED", "7");
        if clock == Clock::Threads {
            command.env("RAFTLAB_CLOCK", "threads");
        }
        command
    }

    /// The `run` command of the command line.
    fn run(&self, arguments: &[&str]) -> Command {
        let mut command = self.process(env!("CARGO_BIN_EXE_raftlab"));
        command.arg("run").args(arguments);
        command
    }

    /// The events of a record.
    fn events(&self, name: &str) -> Vec<Event> {
        let file = File::open(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        record::file::read(BufReader::new(file)).unwrap_or_else(|error| panic!("{name}: {error}")).events().collect()
    }
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(String::from).into()
}

fn output(command: &mut Command) -> (Output, String) {
    let output = command.output().expect("it starts");
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    (output, text)
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is missing in:\n{text}");
    }
}

#[test]
fn a_failed_test_names_its_files_seed_and_replay_command() {
    for (clock, name) in [(Clock::Simulated, "simulated"), (Clock::Threads, "threads")] {
        let target = TargetDir::new(&format!("failed-{name}"));
        let (output, text) = output(&mut target.child("does nothing", clock));
        assert!(!output.status.success(), "{text}");
        let stem = format!("initial_election_3A-{name}-7");
        let (record, timeline) = (format!("{stem}.record"), format!("{stem}.html"));
        assert_eq!(target.names(), set([&timeline, &record]));
        let last = target.events(&record).pop().expect("an event").kind;
        assert!(matches!(last, EventKind::RunEnded { verdict: record::Verdict::Failed, .. }), "{last:?}");
        assert!(fs::metadata(target.path(&timeline)).expect("a timeline").len() > 0);
        let (record, timeline) =
            (target.path(&record).display().to_string(), target.path(&timeline).display().to_string());
        let message = format!(
            "\ntimeline: {timeline}\nlog:     cargo run --release -p raftlab -- log {record}\nseed:    7\n{}",
            if clock == Clock::Simulated {
                "replay:  LAB_SEED=7 cargo test -p raftlab -- simulated::initial_election_3A\n    or:  cargo run"
            } else {
                "again:   cargo test -p raftlab -- threads::initial_election_3A"
            }
        );
        // The paths appear at once, because a process that is interrupted or killed shows no panic message. They also
        // appear in the panic message.
        assert_says(&text, &[&format!("      timeline: {timeline}\n      record:  {record}\n"), &message]);
    }
}

#[test]
fn a_panic_leaves_record_and_timeline_under_both_clocks() {
    for clock in [Clock::Simulated, Clock::Threads] {
        let target = TargetDir::new(&format!("panic-{clock:?}"));
        let (_, text) = output(&mut target.child("panics", clock));
        assert_says(&text, &["this server is broken", "timeline: ", "seed:    7"]);
        assert_eq!(target.names().len(), 2, "{text}");
    }
}

#[test]
fn a_run_over_its_time_limit_leaves_record_and_timeline() {
    let target = TargetDir::new("time");
    let (_, text) = output(&mut target.child("sleeps", Clock::Simulated));
    assert_says(&text, &["not finished after 120 s", "timeline: ", "seed:    7"]);
    let record = target.events("initial_election_3A-simulated-7.record");
    let said = |event: &Event| matches!(&event.kind, EventKind::Failed { text } if text.contains("120 s"));
    assert!(record.iter().any(said), "{record:?}");
}

#[test]
fn processes_that_fail_together_keep_each_others_files() {
    const PROCESSES: usize = 5;
    let target = TargetDir::new("processes");
    let start = |_| target.child("does nothing", Clock::Simulated).spawn().expect("it starts");
    let children: Vec<_> = (0..PROCESSES).map(start).collect();
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        assert!(!output.status.success());
    }
    let names = target.names();
    assert_eq!(names.len(), 2 * PROCESSES, "{names:?}");
    let records: Vec<_> = names.iter().filter(|name| name.ends_with(".record")).collect();
    assert!(records.windows(2).all(|pair| target.events(pair[0]) == target.events(pair[1])), "the seed is the same");
}

#[test]
fn an_unwritable_folder_is_one_line_and_hides_no_failure() {
    let target = TargetDir::new("unwritable");
    fs::write(target.0.join("lab"), "a file where a folder should be").expect("it is there");
    let (output, text) = output(&mut target.child("does nothing", Clock::Simulated));
    assert!(!output.status.success());
    let fault = format!("\ncannot write the record and the timeline to {}: ", target.0.join("lab").display());
    assert_says(
        &text,
        &["initial_election_3A failed: no leader after 10 looks", &fault, "seed:    7", "replay:  LAB_"],
    );
}

#[test]
fn vis_enable_never_writes_no_file() {
    let target = TargetDir::new("never");
    let (output, text) = output(target.child("does nothing", Clock::Simulated).env("VIS_ENABLE", "never"));
    assert!(!output.status.success() && !text.contains("timeline"), "{text}");
    assert_says(&text, &["seed:    7", "replay:  LAB_SEED=7"]);
    assert_eq!(target.names(), set([]));
}

#[test]
fn vis_enable_always_keeps_passing_runs_and_checker_results() {
    let target = TargetDir::new("always");
    let (output, text) = output(target.run(&["basic_4A", "re_election_3A"]).env("VIS_ENABLE", "always"));
    assert!(output.status.success(), "{text}");
    assert_says(&text, &[&format!("      timeline: {}\n", target.path("basic_4A-simulated-1.html").display())]);
    let expected = ["basic_4A-simulated-1", "re_election_3A-simulated-1"];
    assert_eq!(
        target.names(),
        expected.iter().flat_map(|name| [format!("{name}.html"), format!("{name}.record")]).collect()
    );
    let record = target.events("basic_4A-simulated-1.record");
    let (mut begun, mut ended) = (BTreeMap::new(), BTreeMap::new());
    for event in &record {
        match event.kind {
            EventKind::OperationBegun { operation, .. } => drop(begun.insert(operation, event.at)),
            EventKind::OperationEnded { operation, .. } => drop(ended.insert(operation, event.at)),
            _ => {}
        }
    }
    let order = record.iter().find_map(|event| match &event.kind {
        EventKind::HistoryChecked { key, linearizable: record::Linearizable::Yes, orders } if key == "0" => {
            Some(&orders[0])
        }
        _ => None,
    });
    let order = order.expect("an order of the operations on key 0");
    // There is one client at a time, and one key. So all operations are on that key, and no operation stands before one
    // that had ended when it began.
    assert!(order.iter().copied().collect::<BTreeSet<_>>().iter().eq(ended.keys()));
    assert_eq!(order.len(), ended.len());
    let mut latest = 0;
    for operation in order {
        latest = latest.max(begun[operation]);
        assert!(ended[operation] >= latest, "operation {operation} comes too late");
    }
}

#[test]
fn passing_runs_leave_only_the_results_of_many() {
    let target = TargetDir::new("passed");
    let (output, text) = output(&mut target.run(&["3A"]));
    assert!(output.status.success(), "{text}");
    assert_eq!(target.names(), set([]));
    let (output, text) = self::output(&mut target.run(&["3A", "-n", "5"]));
    assert!(output.status.success(), "{text}");
    assert_eq!(target.names(), set(["run.json"]));
}

/// Tests of Ctrl-C.
#[cfg(unix)]
mod interrupted {
    use std::io::BufRead;
    use std::process::Child;

    use super::*;

    /// Starts a process, and presses Ctrl-C once each of `markers` was in a line of its standard error. Waits for its
    /// end, and returns its exit status and the rest of its standard error.
    fn interrupt(command: &mut Command, markers: &[&str]) -> (Option<i32>, String) {
        let mut child = command.stdout(Stdio::null()).spawn().expect("it starts");
        let mut errors = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut missing: BTreeSet<&str> = markers.iter().copied().collect();
        while !missing.is_empty() {
            let mut line = String::new();
            let length = errors.read_line(&mut line).expect("text");
            assert!(length > 0, "it ended before it said {missing:?}");
            missing.retain(|marker| !line.contains(marker));
        }
        press_ctrl_c(&child);
        let mut rest = String::new();
        errors.read_to_string(&mut rest).expect("text");
        (child.wait().expect("it ends").code(), rest)
    }

    fn press_ctrl_c(child: &Child) {
        // The shell's own `kill` exists everywhere; a program of that name does not.
        let killed = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status();
        assert!(killed.expect("there is a shell").success());
    }

    #[test]
    fn a_hanging_test_leaves_record_and_timeline_on_ctrl_c() {
        for (clock, name) in [(Clock::Simulated, "simulated"), (Clock::Threads, "threads")] {
            let target = TargetDir::new(&format!("hangs-{name}"));
            let (status, text) = interrupt(&mut target.child("hangs", clock), &["it hangs"]);
            assert_eq!(status, Some(130), "{text}");
            let stem = format!("initial_election_3A-{name}-7");
            let (record, timeline) = (format!("{stem}.record"), format!("{stem}.html"));
            assert_eq!(target.names(), set([&timeline, &record]));
            let paths = [&timeline, &record].map(|name| target.path(name).display().to_string());
            let expected = format!("{stem}\n      timeline: {}\n      record:  {}\n", paths[0], paths[1]);
            assert_says(&text, &["interrupted: 1 run was active\n", &expected]);
            let events = target.events(&record);
            let noted =
                |event: &Event| matches!(&event.kind, EventKind::Annotated { label, .. } if label == "interrupted");
            assert!(events.iter().any(noted), "{events:?}");
            assert!(!events.iter().any(|event| matches!(event.kind, EventKind::RunEnded { .. })), "{events:?}");
        }
    }

    #[test]
    fn ctrl_c_records_a_hanging_run_that_was_not_recorded() {
        // Of many runs only failures are recorded, but one run alone is recorded from its start.
        let [of_many, alone] = ["many", "one"].map(|name| {
            let target = TargetDir::new(&format!("hangs-of-{name}"));
            let mut command = target.child("hangs", Clock::Simulated);
            match name {
                "many" => command.env_remove("LAB_SEED").env("LAB_RUNS", "100"),
                _ => command.env("LAB_SEED", "1"),
            };
            let (status, text) = interrupt(&mut command, &["it hangs"]);
            assert_eq!(status, Some(130), "{text}");
            assert_says(&text, &["interrupted: 1 run was active\n", "initial_election_3A-simulated-1\n"]);
            target.events("initial_election_3A-simulated-1.record")
        });
        assert!(alone.len() > 5, "{alone:?}");
        assert_eq!(of_many, alone);
    }

    #[test]
    fn ctrl_c_writes_all_running_runs() {
        let target = TargetDir::new("command-line");
        let mut command = target.run(&["figure_8_3C", "persist_2_3C", "--clock", "threads", "--seed", "5"]);
        let markers = ["figure_8_3C begins", "persist_2_3C begins"];
        let (status, text) = interrupt(command.env("LAB_LOG", "info"), &markers);
        assert_eq!(status, Some(130), "{text}");
        assert_says(&text, &["interrupted: 2 runs were active\n", "figure_8_3C-threads-5\n      timeline: "]);
        let expected = ["figure_8_3C-threads-5", "persist_2_3C-threads-5"];
        let expected = expected.iter().flat_map(|name| [format!("{name}.html"), format!("{name}.record")]).collect();
        assert_eq!(target.names(), expected);
        let events = target.events("figure_8_3C-threads-5.record");
        assert!(matches!(events[0].kind, EventKind::RunBegun { seed: 5, .. }), "{:?}", events[0]);
    }

    #[test]
    fn with_vis_enable_never_ctrl_c_writes_no_file() {
        let target = TargetDir::new("interrupted-never");
        let (status, text) =
            interrupt(target.child("hangs", Clock::Simulated).env("VIS_ENABLE", "never"), &["it hangs"]);
        assert_eq!(status, Some(130), "{text}");
        assert_says(&text, &["interrupted: 1 run was active; VIS_ENABLE=never, so nothing is written"]);
        assert_eq!(target.names(), set([]));
    }
}
