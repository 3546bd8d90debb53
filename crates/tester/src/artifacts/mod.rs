//! Files that a run leaves on disk: its record, which `raftlab log` prints, and its timeline, a page for a browser.
//! Runs that did not pass are always written, as a pair that shares one name and replaces nothing:
//! `target/lab/backup_3B-simulated-42.record` and `.html`.
//!
//! | variable | value | effect |
//! |---|---|---|
//! | `VIS_ENABLE` | `never` | nothing is written, not even of a run that is [interrupted](interrupt) |
//! | | `keeps_all` | runs that passed are written too, with the linearizations of their histories |
//! | | anything else | runs that did not pass are written |
//! | `VIS_FILE` | a path | path of the timeline; the record stays in `target/lab` |
//! | `CARGO_TARGET_DIR` | a folder | its `lab` instead of `target/lab` |
//!
//! The first two variables are the course's. As in the course, a timeline at `VIS_FILE` from an earlier process is
//! replaced, so a browser that shows it only needs to reload. Within a process nothing is replaced: the second timeline
//! goes to the same name with `-2` before its extension, and so on.
//!
//! Only the tests that [`harness`](crate::harness) generates and the command line write files.
//! [`runner::run`](crate::runner::run) does not.

pub mod interrupt;

mod folder;

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use labstd::Clock;
use labstd::sync::OnceLock;
use labstd::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use labstd::time::Duration;
use record::Recorder;

use crate::report::Report;
use crate::scenario_info::ScenarioInfo;

pub use folder::create_new;

/// Policy and destination of the files of runs.
#[derive(Debug)]
pub struct ArtifactStore {
    policy: WritePolicy,
    /// Path of the timeline, if it is not next to its record.
    vis_file: Option<PathBuf>,
    /// Number of timelines written to that path.
    vis_files: AtomicUsize,
    folder: PathBuf,
}

/// Runs that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WritePolicy {
    Never,
    NotPassed,
    Always,
}

/// Files written for a run, and errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Artifacts {
    /// Path of the record.
    pub record: Option<PathBuf>,
    /// Path of the timeline.
    pub timeline: Option<PathBuf>,
    /// Files that could not be written, with the reason, one line each.
    pub errors: Vec<String>,
}

impl ArtifactStore {
    /// Returns the store that the environment of this process configures. The environment is read once.
    pub fn from_env() -> &'static ArtifactStore {
        static FROM_ENV: OnceLock<ArtifactStore> = OnceLock::new();
        FROM_ENV.get_or_init(|| {
            // Without a current directory the paths stay relative, and the error of a later write explains the problem.
            let here = env::current_dir().unwrap_or_default();
            ArtifactStore::from(&here, |name| env::var_os(name).filter(|value| !value.is_empty()))
        })
    }

    /// Returns the store that these variables configure, for a process whose current directory is `here`.
    fn from(here: &Path, variable: impl Fn(&str) -> Option<OsString>) -> ArtifactStore {
        let policy = match variable("VIS_ENABLE") {
            Some(value) if value == "never" => WritePolicy::Never,
            Some(value) if value == "always" => WritePolicy::Always,
            _ => WritePolicy::NotPassed,
        };
        let vis_file = variable("VIS_FILE").map(|path| here.join(path));
        let folder = folder::workspace_lab_dir(here, variable("CARGO_TARGET_DIR"));
        ArtifactStore { policy, vis_file, vis_files: AtomicUsize::new(0), folder }
    }

    /// Returns whether nothing is ever written.
    pub fn is_disabled(&self) -> bool {
        self.policy == WritePolicy::Never
    }

    /// Returns whether runs that passed are written too.
    pub fn keeps_all(&self) -> bool {
        self.policy == WritePolicy::Always
    }

    /// Returns whether a run with this report is written.
    pub fn should_write(&self, report: &Report) -> bool {
        match self.policy {
            WritePolicy::Never => false,
            WritePolicy::NotPassed => !report.passed(),
            WritePolicy::Always => true,
        }
    }

    /// Returns the folder of records and timelines. It need not exist yet.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the record and the timeline of the run `name`. A file that cannot be written becomes one line of
    /// [`errors`](Artifacts::errors) and is removed.
    pub fn write(&self, name: &str, record: &Recorder) -> Artifacts {
        let mut artifacts = Artifacts::default();
        let files = fs::create_dir_all(&self.folder).and_then(|()| match &self.vis_file {
            None => folder::create_pair(&self.folder, name).map(|(record, timeline)| (record, Ok(timeline))),
            Some(path) => Ok((create_new(&self.folder, name, "record")?, self.create_vis_file(path))),
        });
        let (record_file, timeline_file) = match files {
            Ok(files) => files,
            Err(error) => {
                let folder = self.folder.display();
                artifacts.errors.push(format!("cannot write the record and the timeline to {folder}: {error}"));
                return artifacts;
            }
        };
        artifacts.record = artifacts.fill("record", record_file, |out| record.write(out));
        artifacts.timeline = match timeline_file {
            Ok(file) => artifacts.fill("timeline", file, |out| timeline::Run::from_events(record.events()).write(out)),
            Err(error) => {
                artifacts.errors.push(format!("cannot write the timeline: {error}"));
                None
            }
        };
        artifacts
    }

    /// Creates the file that `VIS_FILE` names; from the second timeline on, a numbered one.
    fn create_vis_file(&self, path: &Path) -> io::Result<(PathBuf, File)> {
        let number = self.vis_files.fetch_add(1, Relaxed) + 1;
        let path = folder::numbered(path, number);
        match File::create(&path) {
            Ok(file) => Ok((path, file)),
            Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        }
    }
}

/// Returns the common name of a run's files, without the distinguishing number.
pub(crate) fn name(info: &ScenarioInfo, clock: Clock, seed: u64, fault_cutoff: Option<Duration>) -> String {
    let clock = match clock {
        Clock::Simulated => "simulated",
        Clock::Threads => "threads",
    };
    let calm = fault_cutoff.map_or(String::new(), |moment| match moment.as_nanos() {
        nanos if nanos % 1_000_000 == 0 => format!("-calm-{}ms", moment.as_millis()),
        nanos => format!("-calm-{nanos}ns"),
    });
    format!("{}-{clock}-{seed}{calm}", info.name)
}

impl Artifacts {
    /// Fills a file, or removes it and stores the reason. A panic of the writer counts as an error, so that it does not
    /// replace the failure of the run.
    fn fill(
        &mut self,
        what: &str,
        (path, file): (PathBuf, File),
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Option<PathBuf> {
        let mut out = BufWriter::new(file);
        let written = catch_unwind(AssertUnwindSafe(|| write(&mut out).and_then(|()| out.flush())));
        let written = written.unwrap_or_else(|_| Err(io::Error::other("the writer panicked")));
        if let Err(error) = written {
            self.errors.push(format!("cannot write the {what} {}: {error}", path.display()));
            // Removal fails too if the folder is not writable.
            let _ = fs::remove_file(&path);
            return None;
        }
        Some(path)
    }

    /// Formats the paths, one line each, without a final line break; empty if nothing was to be written. `package` is
    /// the package whose command line prints records.
    pub fn lines(&self, package: Option<&str>) -> String {
        let timeline = self.timeline.as_ref().map(|path| format!("timeline: {}", path.display()));
        let record = self.record.as_ref().map(|path| match package {
            Some(package) => format!("log:     cargo run --release -p {package} -- log {}", quoted(path)),
            None => format!("record:  {}", path.display()),
        });
        let errors = self.errors.iter().cloned();
        timeline.into_iter().chain(record).chain(errors).collect::<Vec<_>>().join("\n")
    }
}

/// Quotes a path for a shell.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%=:,\\".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests;
