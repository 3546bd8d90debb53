//! A target folder of its own for each test, and processes that write into it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A target folder for one test, which is removed when it is dropped.
pub(crate) struct TargetDir(pub(crate) PathBuf);

impl TargetDir {
    /// An empty folder.
    pub(crate) fn new(test: &str) -> TargetDir {
        static FOLDERS: AtomicUsize = AtomicUsize::new(0);
        let number = FOLDERS.fetch_add(1, Relaxed);
        let folder = std::env::temp_dir().join(format!("raftlab-target-{}-{number}-{test}", process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        TargetDir(folder)
    }

    /// A process that writes into this target folder, and gets no other setting from the environment.
    pub(crate) fn process(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("CARGO_TARGET_DIR", &self.0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The gate between processes has its files there: these processes wait for no other test.
        command.env("TMPDIR", &self.0);
        for variable in ["VIS_ENABLE", "VIS_FILE", "LAB_SEED", "LAB_RUNS", "LAB_LOG", "LAB_STALL", "RUST_BACKTRACE"] {
            command.env_remove(variable);
        }
        command
    }

    /// The path of a written file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join("lab").join(name)
    }

    /// The names of the written files.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let Ok(entries) = fs::read_dir(self.0.join("lab")) else { return BTreeSet::new() };
        entries.map(|entry| entry.expect("a name").file_name().into_string().expect("text")).collect()
    }
}

impl Drop for TargetDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
