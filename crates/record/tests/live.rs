//! The output of `LAB_LOG`. Lines of the `log` crate join their run, and printing does not change the record.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use ids::{ServerId, Term};
use record::{Event, EventKind, Fault, Level, Options, Recorder, Scope, live::Filter};

fn event(kind: EventKind) -> Event {
    Event { at: 0, server: Some(ServerId(1)), kind }
}

fn vote() -> Event {
    event(EventKind::VoteGranted { term: Term(1), to: ServerId(0) })
}

fn delivered() -> Event {
    event(EventKind::RpcDelivered { call: 1 })
}

fn crash() -> Event {
    event(EventKind::Fault(Fault::Crash(vec![ServerId(1)])))
}

fn failure() -> Event {
    event(EventKind::Failed { text: "two leaders".into() })
}

fn line(level: Level) -> Event {
    event(EventKind::LogLine { level, target: "raft::election".into(), message: "hello".into() })
}

/// Returns the topics of the events above that a filter matches.
fn passed(filter: &str) -> Vec<&'static str> {
    let filter = Filter::parse(filter).unwrap();
    let events = [vote(), delivered(), crash(), failure(), line(Level::Debug)];
    events.iter().filter(|event| filter.line(event).is_some()).map(|event| event.kind.topic().name()).collect()
}

#[test]
fn a_filter_names_a_topic_by_its_lower_case_name() {
    assert_eq!(passed("vote"), ["vote"]);
    assert_eq!(passed("vote,fault"), ["vote", "fault"]);
    assert_eq!(passed("trace,rpc=off"), ["vote", "fault", "failure", "line"]);
}

#[test]
fn a_level_in_a_filter_matches_by_severity() {
    assert_eq!(passed("error"), ["failure"]);
    assert_eq!(passed("info"), ["fault", "failure"]);
    assert_eq!(passed("debug"), ["vote", "fault", "failure", "line"]);
    assert_eq!(passed("trace"), ["vote", "rpc", "fault", "failure", "line"]);
}

#[test]
fn a_logged_line_is_matched_by_its_own_target() {
    assert_eq!(passed("raft"), ["line"]);
    assert_eq!(passed("raft::election=info"), Vec::<&str>::new());
    assert_eq!(passed("line"), Vec::<&str>::new());
}

#[test]
fn the_text_after_a_slash_is_searched_in_the_line() {
    assert_eq!(passed("trace/S1 votes"), ["vote"]);
    assert_eq!(passed("trace/S1 (votes"), Vec::<&str>::new(), "it is not a regular expression");
}

#[test]
fn an_empty_filter_matches_nothing() {
    assert_eq!(passed(""), Vec::<&str>::new());
    assert_eq!(passed(" "), Vec::<&str>::new());
    assert_eq!(passed("off"), Vec::<&str>::new());
}

#[test]
fn an_invalid_filter_is_an_error_of_one_line() {
    let error = Filter::parse("vote=loud").unwrap_err();
    assert!(error.contains("LAB_LOG=vote=loud") && error.contains("'loud'"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

/// The process that the tests below start, each with its own `LAB_LOG`. It is not a test by itself.
#[test]
#[ignore = "started by the tests below"]
fn child() {
    if let Err(error) = record::live::init_from_env() {
        eprintln!("refused: {error}");
        return;
    }
    record::install_logger();
    record::install_logger();

    let recorder = Recorder::default();
    let stream = recorder.clone();
    log::warn!(target: "outside", "of any run");
    labstd::simulate(1, move || {
        Scope::new(&stream, Some(ServerId(1))).enter("S1", || {
            record::emit(vote().kind);
            log::debug!(target: "raft::election", "counted {} votes", 2);
            labstd::thread::spawn("worker", || log::trace!(target: "raft::election", "in a thread")).join().unwrap();
            record::emit(delivered().kind);
        });
    });
    for event in recorder.events() {
        println!("recorded {event}");
    }
    println!("hash {:016x}", recorder.hash());
}

/// Returns the standard error, and the recorded events with their hash, of [`child`] with this `LAB_LOG`.
fn run_child(lab_log: Option<&str>) -> (String, Vec<String>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored", "--nocapture"]);
    match lab_log {
        Some(text) => command.env("LAB_LOG", text),
        None => command.env_remove("LAB_LOG"),
    };
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{stdout}{stderr}");
    let wanted = |line: &&str| line.starts_with("recorded ") || line.starts_with("hash ");
    (stderr, stdout.lines().filter(wanted).map(str::to_owned).collect())
}

#[test]
fn logged_lines_are_recorded_whatever_is_printed() {
    let (printed, recorded) = run_child(None);
    assert_eq!(printed, "");
    assert_eq!(
        recorded[..4],
        [
            "recorded 000000 VOTE S1 votes for S0 in term 1",
            "recorded 000000 INFO S1 DEBUG raft::election: counted 2 votes",
            "recorded 000000 INFO S1 TRACE raft::election: in a thread",
            "recorded 000000 RPCS S1 #1 reaches its handler",
        ]
    );
    for lab_log in ["trace", "off", "", "vote", "raft=debug"] {
        assert_eq!(run_child(Some(lab_log)).1, recorded, "LAB_LOG={lab_log} changed the record");
    }
}

#[test]
fn matching_events_and_lines_are_printed() {
    let (printed, _) = run_child(Some("vote,raft=debug,outside"));
    assert_eq!(
        printed,
        "000000 INFO -- WARN outside: of any run\n\
         000000 VOTE S1 votes for S0 in term 1\n\
         000000 INFO S1 DEBUG raft::election: counted 2 votes\n"
    );
}

#[test]
fn an_invalid_variable_is_reported_and_prints_nothing() {
    let (printed, recorded) = run_child(Some("vote=loud"));
    assert!(printed.starts_with("refused: LAB_LOG=vote=loud"), "{printed}");
    assert_eq!(printed.lines().count(), 1);
    assert_eq!(recorded.len(), 0);
}

#[test]
fn a_run_without_a_record_formats_its_lines_too() {
    struct Counted<'a>(&'a AtomicUsize);
    impl std::fmt::Display for Counted<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            // Formatting may run any code, so a run must not depend on whether a line is recorded.
            self.0.fetch_add(1, SeqCst);
            f.write_str("formatted")
        }
    }
    record::install_logger();
    for recorder in [Recorder::default(), Recorder::new(Options::off())] {
        let formatted = labstd::simulate(1, move || {
            let formatted = AtomicUsize::new(0);
            Scope::new(&recorder, None).enter("tester", || {
                assert!(log::log_enabled!(log::Level::Trace));
                log::trace!("{}", Counted(&formatted));
            });
            formatted.into_inner()
        });
        assert_eq!(formatted, 1);
    }
}
