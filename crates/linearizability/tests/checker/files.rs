//! The verdicts on real histories: Jepsen's logs of etcd, and histories of key/value stores. Without the files of the
//! data folder these tests print that they are skipped, and pass.

use std::{collections::BTreeMap, fs, path::PathBuf};

use linearizability::{Model, Operation, Partition, Verdict, jepsen, kv, kv::Kind};

const BUDGET: u64 = 50_000_000;

/// Those of Jepsen's logs 000 to 049, 100 and 101 that are linearizable.
const LINEARIZABLE: [&str; 12] = ["002", "005", "007", "018", "025", "031", "038", "045", "048", "049", "100", "101"];

/// Whether the verdict on this log is known here.
fn is_known(name: &str) -> bool {
    name.strip_prefix("etcd_")
        .and_then(|name| name.strip_suffix(".log"))
        .and_then(|number| number.parse::<u32>().ok())
        .is_some_and(|number| number < 50 || number == 100 || number == 101)
}

/// The names and contents of a folder's files, sorted. If the folder does not exist, there are none, and a line says
/// so.
fn files(folder: &str) -> Vec<(String, String)> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/histories")).join(folder);
    let Ok(entries) = fs::read_dir(&path) else {
        eprintln!("skipped: there is no folder {}", path.display());
        return Vec::new();
    };
    let mut files: Vec<(String, String)> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn kv_file(name: &str) -> Option<kv::History> {
    let text = files("kv").into_iter().find(|(found, _)| found == name).map(|(_, text)| text);
    if text.is_none() {
        eprintln!("skipped: there is no file {name}");
    }
    text.map(|text| kv::parse(&text).unwrap())
}

#[test]
fn jepsen_logs_have_the_known_verdicts() {
    for (name, text) in files("jepsen").into_iter().filter(|(name, _)| is_known(name)) {
        let history = jepsen::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let linearizable = LINEARIZABLE.iter().any(|number| name == format!("etcd_{number}.log"));
        let checked = history.check(BUDGET);
        let expected = if linearizable { Verdict::Ok } else { Verdict::Illegal };
        assert_eq!(checked.verdict, expected, "{name}");
        eprintln!("{name}: {}, {} steps", checked.verdict, checked.steps);

        let explained = history.explain(BUDGET);
        assert_eq!(explained.verdict, expected, "{name}, explained");
        for explanation in &explained.partitions {
            assert_legal(&name, explanation);
        }
    }
}

#[test]
fn key_value_histories_have_the_known_illegal_keys() {
    let known: [(&str, &[&str]); 6] = [
        ("c01-ok.txt", &[]),
        ("c01-bad.txt", &["7"]),
        ("c10-ok.txt", &[]),
        ("c10-bad.txt", &["0", "1", "2", "3", "5", "6", "7", "9"]),
        ("c50-ok.txt", &[]),
        ("c50-bad.txt", &[]),
    ];
    for (name, keys) in known {
        let Some(history) = kv_file(name) else { continue };
        let expected = if name.ends_with("-ok.txt") { Verdict::Ok } else { Verdict::Illegal };
        let checked = history.check(kv::BUDGET);
        assert_eq!(checked.verdict, expected, "{name}");
        eprintln!("{name}: {}, {} steps", checked.verdict, checked.steps);

        let explained = history.explain(kv::BUDGET);
        assert_eq!(explained.verdict, expected, "{name}, explained");
        let illegal: Vec<&str> = explained
            .partitions
            .iter()
            .filter(|explanation| explanation.verdict == Verdict::Illegal)
            .map(|explanation| explanation.name.as_str())
            .collect();
        eprintln!("{name}: illegal keys {illegal:?}");
        if name != "c50-bad.txt" {
            assert_eq!(illegal, keys, "{name}");
        }
        for explanation in &explained.partitions {
            assert_legal(name, explanation);
        }
    }
}

/// Asserts that every linearization is a sequence of legal operations, and complete if the history is linearizable.
fn assert_legal(name: &str, explanation: &linearizability::PartitionExplanation) {
    let operations = explanation.operations.len();
    if explanation.verdict == Verdict::Ok {
        assert_eq!(explanation.linearizations.len(), 1, "{name}");
        assert_eq!(explanation.linearizations[0].len(), operations, "{name}");
    }
    for linearization in &explanation.linearizations {
        assert_eq!(explanation.states(linearization).len(), linearization.len(), "{name}, key {}", explanation.name);
    }
}

/// The store as one object, with all its keys.
#[derive(Clone)]
struct WholeStore;

impl Model for WholeStore {
    type Action = (Kind, String, String);
    type State = BTreeMap<String, String>;

    fn initial(&self) -> Self::State {
        BTreeMap::new()
    }

    fn step(&self, state: &Self::State, (kind, key, value): &Self::Action) -> Option<Self::State> {
        let mut next = state.clone();
        match kind {
            Kind::Get => {
                let held = state.get(key).map_or("", String::as_str);
                return (held == value).then_some(next);
            }
            Kind::Put => next.insert(key.clone(), value.clone()).map(drop).unwrap_or_default(),
            Kind::Append => next.entry(key.clone()).or_default().push_str(value),
        }
        Some(next)
    }

    fn is_read(&self, (kind, ..): &Self::Action) -> bool {
        *kind == Kind::Get
    }

    fn describe_action(&self, operation: &Self::Action) -> String {
        format!("{operation:?}")
    }

    fn describe_state(&self, state: &Self::State) -> String {
        format!("{state:?}")
    }
}

#[test]
fn the_whole_store_as_one_object_has_the_same_verdicts() {
    for name in ["c01-ok.txt", "c01-bad.txt", "c10-ok.txt", "c10-bad.txt"] {
        let Some(history) = kv_file(name) else { continue };
        let operations = history.operations().map(|recorded| Operation {
            client: recorded.client,
            call: recorded.call,
            ret: recorded.ret,
            action: (recorded.kind, recorded.key.to_owned(), recorded.value().into_owned()),
        });
        let begun = std::time::Instant::now();
        let checked = linearizability::check(&WholeStore, &Partition::whole(operations.collect()), BUDGET);
        eprintln!("{name} as one object: {}, {} steps, {:?}", checked.verdict, checked.steps, begun.elapsed());
        let expected = if name.ends_with("-ok.txt") { Verdict::Ok } else { Verdict::Illegal };
        assert_eq!(checked.verdict, expected, "{name}");
    }
}
