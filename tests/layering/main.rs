//! Test that the crates of the workspace import in one direction, and so do the files of each crate. It compares the
//! output of `cargo metadata` with the order below, and reads the source files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

mod circles;

/// The crates in import order. Each crate may import only crates before it.
const ORDER: [&str; 18] = [
    "ids",
    "labstd",
    "labgob",
    "record",
    "labrpc",
    "raftapi",
    "raft",
    "kvraft",
    "linearizability",
    "timeline",
    "diagnosis",
    "tester",
    "cli",
    "kvnode",
    "starter",
    "mistakes",
    "bench",
    "raftlab",
];

/// Imports that are forbidden although the order allows them: the tester and the code under test do not know each
/// other.
const FORBIDDEN: [(&str, &[&str]); 3] =
    [("tester", &["raft", "kvraft"]), ("cli", &["raft", "kvraft"]), ("starter", &["raft", "kvraft"])];

/// Libraries that only the named crates may import.
const RESTRICTED: [(&str, &[&str]); 5] = [
    ("bincode", &["labgob"]),
    ("corosensei", &["labstd"]),
    ("crossbeam-channel", &["labstd"]),
    ("redb", &["kvnode"]),
    ("snow", &["kvnode"]),
];

/// The dependencies of each package of the workspace; `true` for a dependency of its tests alone.
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

fn position_of(krate: &str) -> Option<usize> {
    ORDER.iter().position(|name| *name == krate)
}

#[test]
fn every_crate_imports_only_crates_before_it() {
    let dependencies = dependencies();
    assert!(dependencies.len() > 5, "the workspace has more crates than {:?}", dependencies.keys());
    for (krate, imports) in &dependencies {
        let here = position_of(krate).unwrap_or_else(|| panic!("crate {krate} is not in the order"));
        for (import, in_tests) in imports {
            let Some(there) = position_of(import) else { continue };
            assert!(there < here, "{krate} imports {import}, which comes after it in the order");
            let forbidden =
                FORBIDDEN.iter().any(|(importer, forbidden)| importer == krate && forbidden.contains(&import.as_str()));
            assert!(!forbidden || *in_tests, "{krate} must not import {import}");
        }
    }
}

#[test]
fn restricted_libraries_stay_in_their_crates() {
    for (krate, imports) in dependencies() {
        for (library, crates) in RESTRICTED {
            let imported = imports.iter().any(|(import, _)| import == library);
            assert!(
                !imported || crates.contains(&krate.as_str()),
                "{krate} imports {library}, which only {crates:?} may import"
            );
        }
    }
}

#[test]
fn all_lab_crates_have_the_same_guard_rails() {
    let read = |krate: &str| std::fs::read_to_string(format!("{}/{}/clippy.toml", env!("CARGO_MANIFEST_DIR"), krate));
    let first = read("labrpc").expect("labrpc has guard rails");
    for krate in ["raftapi", "raft", "kvraft", "crates/tester", "starter"] {
        assert_eq!(read(krate).expect("every lab crate has guard rails"), first, "{krate}/clippy.toml");
    }
}

/// The folders of all crates: those of the workspace and the benchmarks.
fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let in_crates = std::fs::read_dir(root.join("crates")).expect("there is a folder of crates");
    let mut folders: Vec<PathBuf> = in_crates.map(|entry| entry.expect("it can be listed").path()).collect();
    folders.extend(["labgob", "labrpc", "raftapi", "raft", "kvraft", "starter"].map(|name| root.join(name)));
    folders
}

#[test]
fn the_files_of_a_crate_import_each_other_as_a_tree() {
    let mut found = Vec::new();
    for folder in folders() {
        for circle in circles::circles(&folder.join("src")) {
            found.push(format!("{}: {}", folder.display(), circle.join(", ")));
        }
    }
    assert!(found.is_empty(), "these files import each other in circles:\n{}", found.join("\n"));
}

#[test]
fn a_circle_of_imports_is_found() {
    let src = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("circles/src");
    std::fs::create_dir_all(src.join("inner")).expect("a folder");
    let write = |file: &str, text: &str| std::fs::write(src.join(file), text).expect("a file");
    write("lib.rs", "mod a;\nmod b;\nmod c;\nmod inner;\n");
    write("a.rs", "use crate::b::B;\n");
    write("b.rs", "fn f() { super::c::g() }\n");
    write("c.rs", "use crate::{a, inner::Leaf};\n#[cfg(test)] mod tests { use crate::a::A; }\n");
    write("inner/mod.rs", "mod leaf;\npub use leaf::Leaf;\n");
    write("inner/leaf.rs", "use super::Other;\n");
    assert_eq!(circles::circles(&src), [["a", "b", "c"]], "a parent and its child are no circle");
}
