use std::collections::BTreeSet;
use std::process;

use record::{Event, EventKind};

use super::*;
use crate::Subject;
use crate::runner::{Verdict, run, tests::NoRaft};
use crate::scenarios::raft_scenarios;

/// A folder of a test's own, which goes away with it.
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

    /// The names of the files in a folder of it.
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

/// A record of one event, a text by which to know it.
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
fn a_run_leaves_a_pair_that_replaces_nothing() {
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
fn a_picture_whose_record_is_gone_stays() {
    let temporary = Temporary::new("widow");
    let store = temporary.store(&[]);
    let first = store.write("run", &record_of("first"));
    fs::remove_file(first.record.unwrap()).unwrap();
    store.write("run", &record_of("second"));
    assert_eq!(temporary.names("target/lab"), names(["run-2.html", "run-2.record", "run.html"]));
}

#[test]
fn writers_at_the_same_time_each_get_a_pair() {
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
fn a_folder_that_cannot_be_made_is_one_line() {
    let temporary = Temporary::new("folder");
    fs::write(temporary.0.join("target"), "a file where a folder should be").unwrap();
    let artifacts = temporary.store(&[]).write("run", &record_of("lost"));
    assert_eq!((&artifacts.record, &artifacts.timeline, artifacts.errors.len()), (&None, &None, 1));
    let lines = artifacts.lines(Some("starter"));
    assert!(lines.starts_with("cannot write the record and the picture to ") && lines.lines().count() == 1, "{lines}");
}

#[test]
fn what_cannot_be_written_to_its_end_is_removed_and_named() {
    let temporary = Temporary::new("damaged");
    let file = || folder::create_new(&temporary.0, "run", "html").unwrap();
    let mut artifacts = Artifacts::default();
    let full = |out: &mut BufWriter<File>| {
        out.write_all(b"half of ")?;
        Err(io::Error::other("the disk is full"))
    };
    assert_eq!(artifacts.fill("picture", file(), full), None);
    assert_eq!(artifacts.fill("picture", file(), |_| panic!("a mistake in a picture")), None);
    assert_eq!(temporary.names(""), names([]));
    assert!(artifacts.errors[0].ends_with("run.html: the disk is full"), "{artifacts:?}");
    assert!(artifacts.errors[1].ends_with("run.html: a panic on the way"), "{artifacts:?}");
}

#[test]
fn the_picture_goes_to_vis_file_and_a_second_one_of_the_process_beside_it() {
    let temporary = Temporary::new("vis-file");
    fs::write(temporary.0.join("picture.html"), "what an earlier process left").unwrap();
    let store = temporary.store(&[("VIS_FILE", "picture.html")]);
    let first = store.write("run", &record_of("first"));
    let second = store.write("run", &record_of("second"));
    assert_eq!(first.timeline, Some(temporary.0.join("picture.html")));
    assert_eq!(second.timeline, Some(temporary.0.join("picture-2.html")));
    let read = |artifacts: &Artifacts| fs::read_to_string(artifacts.timeline.as_ref().unwrap()).unwrap();
    assert!(!read(&first).contains("what an earlier process left"));
    assert!(read(&first) != read(&second));
    assert_eq!(temporary.names("target/lab"), names(["run-2.record", "run.record"]));
}

#[test]
fn a_vis_file_that_cannot_be_written_costs_the_picture_alone() {
    let temporary = Temporary::new("no-vis-file");
    let store = temporary.store(&[("VIS_FILE", "no/such/folder.html")]);
    let artifacts = store.write("run", &record_of("lost"));
    assert!(artifacts.record.is_some() && artifacts.timeline.is_none());
    assert!(artifacts.errors[0].starts_with("cannot write the picture: "), "{artifacts:?}");
    assert!(artifacts.errors[0].contains("folder.html"), "{artifacts:?}");
}

#[test]
fn files_go_below_the_target_folder_of_the_workspace() {
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
fn vis_enable_says_which_runs_are_written() {
    let temporary = Temporary::new("when");
    let mut report = run(&raft_scenarios(&Subject::<NoRaft>::new())[0], Clock::Simulated, 1);
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
fn the_lines_name_the_files_and_the_command_that_prints_the_log() {
    let artifacts = |name: &str| Artifacts {
        record: Some(PathBuf::from(format!("/{name}.record"))),
        timeline: Some(PathBuf::from(format!("/{name}.html"))),
        errors: Vec::new(),
    };
    assert_eq!(
        artifacts("lab/run").lines(Some("starter")),
        "picture: /lab/run.html\nlog:     cargo run --release -p starter -- log /lab/run.record"
    );
    assert_eq!(artifacts("lab/run").lines(None), "picture: /lab/run.html\nrecord:  /lab/run.record");
    let spaced = artifacts("my lab/it's").lines(Some("starter"));
    assert!(spaced.ends_with(r"-- log '/my lab/it'\''s.record'"), "{spaced}");
    assert_eq!(Artifacts::default().lines(None), "");
}
