//! A target folder of a test's own, and processes that write below it: for tests of whole processes.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};

/// A target folder of a test's own, which goes away with it.
pub(crate) struct Target(pub(crate) PathBuf);

impl Target {
    /// An empty one; no two tests of a program have the same name.
    pub(crate) fn new(test: &str) -> Target {
        let folder = std::env::temp_dir().join(format!("raftlab-target-{}-{test}", process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        Target(folder)
    }

    /// A process that writes below this target folder, and is told nothing else by the environment.
    pub(crate) fn process(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("CARGO_TARGET_DIR", &self.0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for variable in ["VIS_ENABLE", "VIS_FILE", "LAB_SEED", "LAB_RUNS", "LAB_LOG", "RUST_BACKTRACE"] {
            command.env_remove(variable);
        }
        command
    }

    /// The names of the files written.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let Ok(entries) = fs::read_dir(self.0.join("lab")) else { return BTreeSet::new() };
        entries.map(|entry| entry.expect("a name").file_name().into_string().expect("text")).collect()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
