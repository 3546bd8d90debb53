//! The rooms of the workspace import in one direction. This reads `cargo metadata` and knows the order.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// The rooms, from the ground up: each may import those before it.
const ORDER: [&str; 16] = [
    "labstd",
    "labgob",
    "record",
    "labrpc",
    "raftapi",
    "raft",
    "kvraft",
    "linearizability",
    "picture",
    "tester",
    "cli",
    "kvnode",
    "starter",
    "wrong",
    "bench",
    "raftlab",
];

/// What may not be imported although it stands above: what is under test and what tests it do not know each other.
const STRANGERS: [(&str, &[&str]); 3] =
    [("tester", &["raft", "kvraft"]), ("cli", &["raft", "kvraft"]), ("starter", &["raft", "kvraft"])];

/// Libraries that one room hides from the others.
const HIDDEN: [(&str, &[&str]); 5] = [
    ("bincode", &["labgob"]),
    ("corosensei", &["labstd"]),
    ("crossbeam-channel", &["labstd"]),
    ("redb", &["kvnode"]),
    ("snow", &["kvnode"]),
];

/// For each package of the workspace, what it depends on; `true` for its tests alone.
fn dependencies() -> BTreeMap<String, Vec<(String, bool)>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let text = |value: &Value| value.as_str().expect("a name").to_string();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let edges = dependencies.iter().map(|edge| (text(&edge["name"]), edge["kind"] == "dev")).collect();
            (text(&package["name"]), edges)
        })
        .collect()
}

fn place(room: &str) -> Option<usize> {
    ORDER.iter().position(|name| *name == room)
}

#[test]
fn every_room_imports_only_rooms_above_it() {
    let dependencies = dependencies();
    assert!(dependencies.len() > 5, "the workspace has rooms: {:?}", dependencies.keys());
    for (room, imports) in &dependencies {
        let here = place(room).unwrap_or_else(|| panic!("room {room} has no place in the order"));
        for (import, in_tests) in imports {
            let Some(there) = place(import) else { continue };
            assert!(there < here, "{room} imports {import}, which stands below it");
            let strange = STRANGERS.iter().any(|(who, whom)| who == room && whom.contains(&import.as_str()));
            assert!(!strange || *in_tests, "{room} must not know {import}");
        }
    }
}

#[test]
fn hidden_libraries_stay_hidden() {
    for (room, imports) in dependencies() {
        for (library, rooms) in HIDDEN {
            let imported = imports.iter().any(|(import, _)| import == library);
            assert!(!imported || rooms.contains(&room.as_str()), "{room} names {library}: that is for {rooms:?} alone");
        }
    }
}

#[test]
fn the_guard_rails_of_the_lab_rooms_are_the_same() {
    let read = |room: &str| std::fs::read_to_string(format!("{}/{room}/clippy.toml", env!("CARGO_MANIFEST_DIR")));
    let first = read("labrpc").expect("labrpc has guard rails");
    for room in ["raftapi", "raft", "kvraft", "tester", "starter"] {
        assert_eq!(read(room).expect("every lab room has guard rails"), first, "{room}/clippy.toml");
    }
}
