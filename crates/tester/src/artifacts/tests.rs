use std::collections::BTreeSet;
use std::process;

use record::{Event, EventKind};

use super::*;
use crate::Subject;
use crate::runner::{Verdict, run, tests::NoRaft};
use crate::scenarios::raft_scenarios;

/// A folder for one test, which is removed with it.
struct Temporary(PathBuf);

impl Temporary {
    fn new(test: &str) -> Temporary {
        let folder = env::temp_dir().join(format!("raftlab-keep-{}-{test}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        Temporary(folder)
    }

    fn store(&self, variables: &[(&str, &str)]) -> ArtifactStore {
        let find = |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| value.into());
        ArtifactStore::from(&self.0, find)
    }

    /// Returns the names of the files in a subfolder.
    fn names(&self, folder: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(self.0.join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns a record of one event that contains this text.
fn record_of(text: &str) -> Recorder {
    let record = Recorder::default();
    record.record(Event { at: 7, server: None, kind: EventKind::Failed { text: text.to_string() } });
    record
}

fn events_in(path: &Path) -> Vec<Event> {
    let file = io::BufReader::new(File::open(path).unwrap());
    record::file::read(file).unwrap_or_else(|error| panic!("{}: {error}", path.display())).events().collect()
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(String::from).into()
}

#[test]
fn a_run_writes_a_pair_of_files_that_replaces_nothing() {
    let temporary = Temporary::new("pair");
    let store = temporary.store(&[]);
    let first = store.write("backup_3B-simulated-42", &record_of("first"));
    let second = store.write("backup_3B-simulated-42", &record_of("second"));
    let expected = [
        "backup_3B-simulated-42-2.html",
        "backup_3B-simulated-42-2.record",
        "backup_3B-simulated-42.html",
        "backup_3B-simulated-42.record",
    ];
    assert_eq!(temporary.names("target/lab"), names(expected));
    for (artifacts, text) in [(first, "first"), (second, "second")] {
        assert_eq!(artifacts.errors, [""; 0]);
        assert_eq!(events_in(&artifacts.record.unwrap()), record_of(text).events().collect::<Vec<_>>());
        assert!(fs::metadata(artifacts.timeline.unwrap()).unwrap().len() > 0);
    }
}

#[test]
fn a_timeline_without_its_record_is_not_replaced() {
    let temporary = Temporary::new("widow");
    let store = temporary.store(&[]);
    let first = store.write("run", &record_of("first"));
    fs::remove_file(first.record.unwrap()).unwrap();
    store.write("run", &record_of("second"));
    assert_eq!(temporary.names("target/lab"), names(["run-2.html", "run-2.record", "run.html"]));
}

#[test]
fn concurrent_writers_each_get_their_own_pair() {
    const WRITERS: usize = 8;
    let temporary = Temporary::new("writers");
    let store = temporary.store(&[]);
    let artifacts: Vec<Artifacts> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let store = &store;
                    move || store.write("run", &record_of(&writer.to_string()))
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(temporary.names("target/lab").len(), 2 * WRITERS);
    for (writer, artifacts) in artifacts.into_iter().enumerate() {
        let (record, timeline) = (artifacts.record.unwrap(), artifacts.timeline.unwrap());
        assert_eq!(events_in(&record), record_of(&writer.to_string()).events().collect::<Vec<_>>());
        assert_eq!(record.with_extension("html"), timeline);
    }
}

#[test]
fn a_folder_that_cannot_be_created_gives_one_error_line() {
    let temporary = Temporary::new("folder");
    fs::write(temporary.0.join("target"), "a file where a folder should be").unwrap();
    let artifacts = temporary.store(&[]).write("run", &record_of("lost"));
    assert_eq!((&artifacts.record, &artifacts.timeline, artifacts.errors.len()), (&None, &None, 1));
    let lines = artifacts.lines(Some("starter"));
    assert!(lines.starts_with("cannot write the record and the timeline to ") && lines.lines().count() == 1, "{lines}");
}

#[test]
fn a_partly_written_file_is_removed_and_reported() {
    let temporary = Temporary::new("damaged");
    let file = || folder::create_new(&temporary.0, "run", "html").unwrap();
    let mut artifacts = Artifacts::default();
    let full = |out: &mut BufWriter<File>| {
        out.write_all(b"half of ")?;
        Err(io::Error::other("the disk is full"))
    };
    assert_eq!(artifacts.fill("timeline", file(), full), None);
    assert_eq!(artifacts.fill("timeline", file(), |_| panic!("a bug in a timeline")), None);
    assert_eq!(temporary.names(""), names([]));
    assert!(artifacts.errors[0].ends_with("run.html: the disk is full"), "{artifacts:?}");
    assert!(artifacts.errors[1].ends_with("run.html: the writer panicked"), "{artifacts:?}");
}

#[test]
fn vis_file_gets_the_first_timeline_and_numbered_later_ones() {
    let temporary = Temporary::new("vis-file");
    fs::write(temporary.0.join("timeline.html"), "left by an earlier process").unwrap();
    let store = temporary.store(&[("VIS_FILE", "timeline.html")]);
    let first = store.write("run", &record_of("first"));
    let second = store.write("run", &record_of("second"));
    assert_eq!(first.timeline, Some(temporary.0.join("timeline.html")));
    assert_eq!(second.timeline, Some(temporary.0.join("timeline-2.html")));
    let read = |artifacts: &Artifacts| fs::read_to_string(artifacts.timeline.as_ref().unwrap()).unwrap();
    assert!(!read(&first).contains("left by an earlier process"));
    assert!(read(&first) != read(&second));
    assert_eq!(temporary.names("target/lab"), names(["run-2.record", "run.record"]));
}

#[test]
fn an_unwritable_vis_file_loses_only_the_timeline() {
    let temporary = Temporary::new("no-vis-file");
    let store = temporary.store(&[("VIS_FILE", "no/such/folder.html")]);
    let artifacts = store.write("run", &record_of("lost"));
    assert!(artifacts.record.is_some() && artifacts.timeline.is_none());
    assert!(artifacts.errors[0].starts_with("cannot write the timeline: "), "{artifacts:?}");
    assert!(artifacts.errors[0].contains("folder.html"), "{artifacts:?}");
}

#[test]
fn files_go_into_the_target_folder_of_the_workspace() {
    let temporary = Temporary::new("workspace");
    let inside = temporary.0.join("starter/src");
    fs::create_dir_all(&inside).unwrap();
    fs::write(temporary.0.join("Cargo.lock"), "").unwrap();
    let folder = |target: Option<&str>| folder::workspace_lab_dir(&inside, target.map(OsString::from));
    assert_eq!(folder(None), temporary.0.join("target/lab"));
    assert_eq!(folder(Some("elsewhere")), temporary.0.join("elsewhere/lab"));
    let absolute = env::temp_dir().join("elsewhere");
    assert_eq!(folder(absolute.to_str()), absolute.join("lab"));
}

#[test]
fn vis_enable_selects_the_written_runs() {
    let temporary = Temporary::new("when");
    let mut report = run(&raft_scenarios(&Subject::of::<NoRaft>())[0], Clock::Simulated, 1);
    let wanted = |report: &Report| {
        [None, Some("never"), Some("always"), Some("yes")].map(|value| {
            let variables: Vec<_> = value.map(|value| ("VIS_ENABLE", value)).into_iter().collect();
            temporary.store(&variables).should_write(report)
        })
    };
    assert_eq!(wanted(&report), [true, false, true, true]);
    report.verdict = Verdict::Passed(Vec::new());
    assert_eq!(wanted(&report), [false, false, true, false]);
}

#[test]
fn the_lines_name_the_files_and_the_log_command() {
    let artifacts = |name: &str| Artifacts {
        record: Some(PathBuf::from(format!("/{name}.record"))),
        timeline: Some(PathBuf::from(format!("/{name}.html"))),
        errors: Vec::new(),
    };
    assert_eq!(
        artifacts("lab/run").lines(Some("starter")),
        "timeline: /lab/run.html\nlog:     cargo run --release -p starter -- log /lab/run.record"
    );
    assert_eq!(artifacts("lab/run").lines(None), "timeline: /lab/run.html\nrecord:  /lab/run.record");
    let spaced = artifacts("my lab/it's").lines(Some("starter"));
    assert!(spaced.ends_with(r"-- log '/my lab/it'\''s.record'"), "{spaced}");
    assert_eq!(Artifacts::default().lines(None), "");
}
