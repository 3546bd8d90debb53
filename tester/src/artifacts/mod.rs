//! What is left of a run on disk: its record, which `raftlab log` prints, and its picture, a page for a browser. Of a run
//! that did not pass they are written without being asked, as a pair that has one name and replaces nothing:
//! `target/lab/backup_3B-simulated-42.record` and `.html`.
//!
//! | variable | value | what it does |
//! |---|---|---|
//! | `VIS_ENABLE` | `never` | nothing is written, not even of a run that is [interrupted](interrupt) |
//! | | `keeps_all` | runs that passed are written too, with the linearizations of their histories |
//! | | anything else | runs that did not pass are written |
//! | `VIS_FILE` | a path | where the picture goes; the record stays in `target/lab` |
//! | `CARGO_TARGET_DIR` | a folder | its `lab` instead of `target/lab` |
//!
//! The first two are the course's. As there, a picture at `VIS_FILE` that an earlier process has left is replaced: a
//! browser that has it open need only reload. Within a process nothing is lost: the second picture of a process goes to the
//! same name with `-2` before its ending, and so on.
//!
//! Only the tests that [`harness`](crate::harness) makes and the command line write files. [`runner::run`](crate::runner::run)
//! does not.

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

use crate::runner::Report;
use crate::scenario::ScenarioInfo;

pub use folder::create_new;

/// Which runs are written, and where to.
#[derive(Debug)]
pub struct ArtifactStore {
    policy: WritePolicy,
    /// Where pictures go if not beside their record.
    vis_file: Option<PathBuf>,
    /// How many pictures went there.
    vis_files: AtomicUsize,
    folder: PathBuf,
}

/// Which runs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WritePolicy {
    Never,
    NotPassed,
    Always,
}

/// What was written of a run, and what could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Artifacts {
    /// Where its record is.
    pub record: Option<PathBuf>,
    /// Where its picture is.
    pub timeline: Option<PathBuf>,
    /// What could not be written and why, a line each.
    pub errors: Vec<String>,
}

impl ArtifactStore {
    /// As the environment of this process has it. It is looked at once.
    pub fn from_env() -> &'static ArtifactStore {
        static FROM_ENV: OnceLock<ArtifactStore> = OnceLock::new();
        FROM_ENV.get_or_init(|| {
            // Without a current directory paths stay relative, and writing will say what is wrong.
            let here = env::current_dir().unwrap_or_default();
            ArtifactStore::from(&here, |name| env::var_os(name).filter(|value| !value.is_empty()))
        })
    }

    /// As these variables have it, for a process whose current directory is `here`.
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

    /// Whether nothing is written at all.
    pub fn is_disabled(&self) -> bool {
        self.policy == WritePolicy::Never
    }

    /// Whether runs that passed are written too.
    pub fn keeps_all(&self) -> bool {
        self.policy == WritePolicy::Always
    }

    /// Whether a run that came to this is written.
    pub fn should_write(&self, report: &Report) -> bool {
        match self.policy {
            WritePolicy::Never => false,
            WritePolicy::NotPassed => !report.passed(),
            WritePolicy::Always => true,
        }
    }

    /// Where records and pictures go. It need not exist yet.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the record and the picture of the run `name`. What cannot be written is one line of
    /// [`errors`](Artifacts::errors), and nothing of it is left.
    pub fn write(&self, name: &str, record: &Recorder) -> Artifacts {
        let mut artifacts = Artifacts::default();
        let files = fs::create_dir_all(&self.folder).and_then(|()| match &self.vis_file {
            None => folder::create_pair(&self.folder, name).map(|(record, timeline)| (record, Ok(timeline))),
            Some(path) => Ok((create_new(&self.folder, name, "record")?, self.create_vis_file(path))),
        });
        let (record_file, picture_file) = match files {
            Ok(files) => files,
            Err(error) => {
                let folder = self.folder.display();
                artifacts.errors.push(format!("cannot write the record and the picture to {folder}: {error}"));
                return artifacts;
            }
        };
        artifacts.record = artifacts.fill("record", record_file, |out| record.write(out));
        artifacts.timeline = match picture_file {
            Ok(file) => artifacts.fill("picture", file, |out| picture::Run::of(record.events()).write(out)),
            Err(error) => {
                artifacts.errors.push(format!("cannot write the picture: {error}"));
                None
            }
        };
        artifacts
    }

    /// The file that `VIS_FILE` names, or, from the second picture on, one of a name of its own.
    fn create_vis_file(&self, path: &Path) -> io::Result<(PathBuf, File)> {
        let number = self.vis_files.fetch_add(1, Relaxed) + 1;
        let path = folder::numbered(path, number);
        match File::create(&path) {
            Ok(file) => Ok((path, file)),
            Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        }
    }
}

/// The name of the files of a run, without what tells one from the other.
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
    /// Fills a file, or removes it and says why. A panic of who writes is a reason like others: it must not take the place
    /// of what went wrong in the run.
    fn fill(
        &mut self,
        what: &str,
        (path, file): (PathBuf, File),
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Option<PathBuf> {
        let mut out = BufWriter::new(file);
        let written = catch_unwind(AssertUnwindSafe(|| write(&mut out).and_then(|()| out.flush())));
        let written = written.unwrap_or_else(|_| Err(io::Error::other("a panic on the way")));
        if let Err(error) = written {
            self.errors.push(format!("cannot write the {what} {}: {error}", path.display()));
            // It may be what it is because nothing can be done in its folder.
            let _ = fs::remove_file(&path);
            return None;
        }
        Some(path)
    }

    /// Where everything is, a line each, the last one without its end; empty if nothing was to be written. `package` is the
    /// one whose command line prints records.
    pub fn lines(&self, package: Option<&str>) -> String {
        let timeline = self.timeline.as_ref().map(|path| format!("picture: {}", path.display()));
        let record = self.record.as_ref().map(|path| match package {
            Some(package) => format!("log:     cargo run --release -p {package} -- log {}", quoted(path)),
            None => format!("record:  {}", path.display()),
        });
        let errors = self.errors.iter().cloned();
        timeline.into_iter().chain(record).chain(errors).collect::<Vec<_>>().join("\n")
    }
}

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%=:,\\".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests;
