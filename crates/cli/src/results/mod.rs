//! Saved results: the outcome of many runs as a file that people and `replay` can read.
//!
//! Each line is a JSON object. Its member `is` names the kind of line:
//!
//! | `is` | when it is written | contents |
//! |---|---|---|
//! | `results` | first | format, package and its version, clock, arguments of the command |
//! | `run` | when a run did not pass | scenario, seed, verdict, the failure in one line, paths of its files |
//! | `scenario` | when all runs of a scenario have ended | numbers of passed and failed runs, their medians |
//! | `end` | last | the reason of the end, numbers of passed and failed runs |
//!
//! Each line is written in one piece, as soon as its contents are known. If the process was killed, the last line may
//! be cut off or the `end` line may be missing; all earlier lines are complete.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tester::artifacts::{self, ArtifactStore, Artifacts};
use tester::{Clock, Report, Stage, Verdict};

use crate::summary::{self, Tally};

/// Version of the file format.
const FORMAT: u32 = 1;

/// A line of the file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum ResultLine {
    Results(Header),
    Run(FailedRun),
    Scenario(ScenarioTotals),
    End(BatchTotals),
}

/// The arguments of the command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) format: u32,
    pub(crate) package: String,
    pub(crate) version: String,
    pub(crate) clock: SavedClock,
    pub(crate) filters: Vec<String>,
    /// `None` on threads if the user gave no seed.
    pub(crate) first_seed: Option<u64>,
    /// Number of runs of each scenario; `None` if the batch was endless.
    pub(crate) runs: Option<u64>,
    pub(crate) twice: bool,
    /// The time from which on all faults were switched off, in nanoseconds, if the user gave one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) calm_from: Option<u64>,
}

/// The saved name of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SavedClock {
    Simulated,
    Threads,
}

/// A run that did not pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FailedRun {
    pub(crate) scenario: String,
    pub(crate) seed: u64,
    pub(crate) verdict: String,
    pub(crate) text: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) record: Option<PathBuf>,
    /// Named `picture` in the file, so that older results stay readable.
    #[serde(rename = "picture", skip_serializing_if = "Option::is_none", default)]
    pub(crate) timeline: Option<PathBuf>,
}

/// The totals of a scenario.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScenarioTotals {
    scenario: String,
    runs: usize,
    passed: usize,
    not_passed: usize,
    medians: Vec<Median>,
}

/// The medians of a stage.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Median {
    title: String,
    seconds: f64,
    servers: usize,
    rpcs: u64,
    bytes: u64,
    commands: u64,
}

/// The totals of the batch, and the reason of its end.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BatchTotals {
    how: EndReason,
    runs: usize,
    passed: usize,
    not_passed: usize,
}

/// The reason why a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndReason {
    /// All runs have ended.
    Complete,
    /// A run did not pass, and the user asked to stop there.
    StoppedAtAFailure,
    /// The user pressed Ctrl-C.
    Interrupted,
    /// A run overflowed a stack. A new process made the remaining runs, and has results of its own.
    StackOverflow,
}

impl From<Clock> for SavedClock {
    fn from(clock: Clock) -> SavedClock {
        match clock {
            Clock::Simulated => SavedClock::Simulated,
            Clock::Threads => SavedClock::Threads,
        }
    }
}

impl From<SavedClock> for Clock {
    fn from(word: SavedClock) -> Clock {
        match word {
            SavedClock::Simulated => Clock::Simulated,
            SavedClock::Threads => Clock::Threads,
        }
    }
}

impl Header {
    /// A header with this program's version and format.
    pub(crate) fn new(
        package: &str,
        clock: Clock,
        filters: &[String],
        first_seed: Option<u64>,
        runs: Option<u64>,
        twice: bool,
    ) -> Header {
        Header {
            format: FORMAT,
            package: package.to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            clock: clock.into(),
            filters: filters.to_vec(),
            first_seed,
            runs,
            twice,
            calm_from: None,
        }
    }
}

/// A results file that is being written. It is created with its first line, and replaces no other file.
#[derive(Debug)]
pub(crate) struct ResultsFile {
    folder: PathBuf,
    header: Header,
    file: Option<(PathBuf, File)>,
    /// The error after which nothing more is written.
    write_error: Option<String>,
}

impl ResultsFile {
    /// A results file in the folder of run artifacts; `None` if nothing may be written.
    pub(crate) fn new(keeping: &ArtifactStore, header: Header) -> Option<ResultsFile> {
        (!keeping.is_disabled()).then(|| ResultsFile::into(keeping.folder(), header))
    }

    fn into(folder: &Path, header: Header) -> ResultsFile {
        ResultsFile { folder: folder.to_path_buf(), header, file: None, write_error: None }
    }

    /// Saves a run that did not pass. A run that reached unwritten code is not saved, because its printed lines say
    /// everything.
    pub(crate) fn run(&mut self, report: &Report, kept: &Artifacts) {
        let verdict = match &report.verdict {
            Verdict::Failed(broken) if broken.unwritten => return,
            Verdict::Passed(_) => return,
            Verdict::Failed(_) if report.divergence.is_some() => "not deterministic",
            Verdict::Failed(_) => "failed",
            Verdict::Disturbed(_) => "disturbed",
            Verdict::Aborted(_) => "aborted",
            Verdict::Undecided(_) => "undecided",
        };
        self.write(&ResultLine::Run(FailedRun {
            scenario: report.info.name.to_string(),
            seed: report.seed,
            verdict: verdict.to_string(),
            text: summary::failure_sentence(report),
            record: kept.record.clone(),
            timeline: kept.timeline.clone(),
        }));
    }

    /// Saves the totals of a scenario whose runs have ended or were stopped.
    pub(crate) fn scenario(&mut self, tally: &Tally) {
        if tally.runs() == tally.unwritten() {
            return;
        }
        let medians = tally.medians().into_iter().map(|Stage { title, metrics: figures }| Median {
            title,
            seconds: figures.elapsed.as_secs_f64(),
            servers: figures.servers,
            rpcs: figures.rpcs,
            bytes: figures.bytes,
            commands: figures.commands,
        });
        self.write(&ResultLine::Scenario(ScenarioTotals {
            scenario: tally.name().to_string(),
            runs: tally.runs(),
            passed: tally.passed(),
            not_passed: tally.not_passed(),
            medians: medians.collect(),
        }));
    }

    /// Saves the end of the batch. An interrupted batch leaves a file even if it has no results yet.
    pub(crate) fn end(&mut self, how: EndReason, runs: usize, passed: usize) {
        if self.file.is_some() || how == EndReason::Interrupted {
            self.write(&ResultLine::End(BatchTotals { how, runs, passed, not_passed: runs - passed }));
        }
    }

    /// Returns the path of the file, or the error that prevented it, and the command that repeats failed runs if there
    /// are any; one line each.
    pub(crate) fn lines(&self, package: &str, all_passed: bool) -> String {
        match (&self.file, &self.write_error) {
            (_, Some(write_error)) => format!("results: cannot be saved: {write_error}\n"),
            (None, None) => String::new(),
            (Some((path, _)), None) => {
                let replay =
                    format!("again:   cargo run --release -p {package} -- replay {}\n", artifacts::quoted(path));
                format!("results: {}\n{}", path.display(), if all_passed { "" } else { &replay })
            }
        }
    }

    fn write(&mut self, line: &ResultLine) {
        if self.write_error.is_some() {
            return;
        }
        if let Err(error) = self.try_write(line) {
            let path = self.file.as_ref().map_or(&self.folder, |(path, _)| path);
            self.write_error = Some(format!("{}: {error}", path.display()));
        }
    }

    fn try_write(&mut self, line: &ResultLine) -> std::io::Result<()> {
        let text = |line: &ResultLine| Ok::<String, std::io::Error>(serde_json::to_string(line)? + "\n");
        let (_, file) = match &mut self.file {
            Some(file) => file,
            none => {
                fs::create_dir_all(&self.folder)?;
                let (path, mut file) = artifacts::create_new(&self.folder, "run", "json")?;
                file.write_all(text(&ResultLine::Results(self.header.clone()))?.as_bytes())?;
                none.insert((path, file))
            }
        };
        // One unbuffered write, so that the line is in the file even if this process is killed.
        file.write_all(text(line)?.as_bytes())
    }
}

/// The contents of a results file.
#[derive(Debug, PartialEq)]
pub(crate) struct SavedResults {
    pub(crate) header: Header,
    /// The failed runs in the order of the file, each once.
    pub(crate) failed: Vec<FailedRun>,
}

/// Reads saved results. The file may end in the middle of a line, as after a kill.
///
/// # Errors
///
/// Fails with one sentence that says what is wrong with the text.
pub(crate) fn read(text: &str) -> Result<SavedResults, String> {
    let mut lines = text.split_inclusive('\n').enumerate().map(|(number, line)| match serde_json::from_str(line) {
        Ok(line) => Ok(Some(line)),
        // The process was killed while it wrote this line.
        Err(_) if number > 0 && !line.ends_with('\n') => Ok(None),
        Err(error) => Err(format!("line {} is damaged: {error}", number + 1)),
    });
    let header = match lines.next() {
        Some(Ok(Some(ResultLine::Results(header)))) => header,
        _ => return Err("it is neither the record of a run nor saved results".to_string()),
    };
    if header.format != FORMAT {
        return Err(format!(
            "the results have format version {}, but this program reads version {FORMAT}",
            header.format
        ));
    }
    let mut failed: Vec<FailedRun> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for line in lines {
        if let Some(ResultLine::Run(run)) = line?
            && seen.insert((run.scenario.clone(), run.seed))
        {
            failed.push(run);
        }
    }
    Ok(SavedResults { header, failed })
}

#[cfg(test)]
mod tests;
