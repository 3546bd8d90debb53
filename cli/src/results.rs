//! Saved results: what came of many runs, as a file that people can read and `replay` as well.
//!
//! A line is a JSON object, and its member `is` says what it is about:
//!
//! | `is` | when it is written | what it has |
//! |---|---|---|
//! | `results` | first | the format, the package and its version, the clock, what was asked for |
//! | `run` | when a run has not passed | scenario, seed, verdict, what went wrong in one line, where its files are |
//! | `scenario` | when all runs of a scenario are over | how many passed and failed, and the medians of those that passed |
//! | `end` | last | how it ended, and how many runs passed and did not |
//!
//! Each line is written when what it says is known, in one piece: of a process that was killed the last line may be cut off, or
//! the end missing, and everything before is there.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tester::keep::{self, Keeping, Kept};
use tester::{Clock, Report, Stage, Verdict};

use crate::summary::{self, Tally};

/// The version of the format.
const FORMAT: u32 = 1;

/// A line.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum Line {
    Results(Head),
    Run(FailedRun),
    Scenario(Totals),
    End(End),
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) format: u32,
    pub(crate) package: String,
    pub(crate) version: String,
    pub(crate) clock: ClockWord,
    pub(crate) filters: Vec<String>,
    /// None on threads, if nobody said.
    pub(crate) first_seed: Option<u64>,
    /// Of each scenario; none if there was to be no end.
    pub(crate) runs: Option<u64>,
    pub(crate) twice: bool,
    /// In nanoseconds: from when on nothing went wrong any more, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) calm_from: Option<u64>,
}

/// A clock, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClockWord {
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
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) picture: Option<PathBuf>,
}

/// What came of a scenario.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Totals {
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

/// How it ended.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct End {
    how: HowWord,
    runs: usize,
    passed: usize,
    not_passed: usize,
}

/// How a batch ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HowWord {
    /// All runs were made.
    Complete,
    /// One did not pass, and that was to be the end.
    StoppedAtAFailure,
    /// Ctrl-C.
    Interrupted,
}

impl From<Clock> for ClockWord {
    fn from(clock: Clock) -> ClockWord {
        match clock {
            Clock::Simulated => ClockWord::Simulated,
            Clock::Threads => ClockWord::Threads,
        }
    }
}

impl From<ClockWord> for Clock {
    fn from(word: ClockWord) -> Clock {
        match word {
            ClockWord::Simulated => Clock::Simulated,
            ClockWord::Threads => Clock::Threads,
        }
    }
}

impl Head {
    /// Of this version.
    pub(crate) fn new(
        package: &str,
        clock: Clock,
        filters: &[String],
        first_seed: Option<u64>,
        runs: Option<u64>,
        twice: bool,
    ) -> Head {
        Head {
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

/// A file of results that is being written. It comes into being with the first thing that there is to say, and replaces
/// nothing.
#[derive(Debug)]
pub(crate) struct Results {
    folder: PathBuf,
    head: Head,
    file: Option<(PathBuf, File)>,
    /// Why nothing more can be written.
    trouble: Option<String>,
}

impl Results {
    /// Where files of runs go; `None` if nothing is to be written.
    pub(crate) fn new(keeping: &Keeping, head: Head) -> Option<Results> {
        (!keeping.never()).then(|| Results::into(keeping.folder(), head))
    }

    fn into(folder: &Path, head: Head) -> Results {
        Results { folder: folder.to_path_buf(), head, file: None, trouble: None }
    }

    /// A run has not passed. Of one that came to code that is not written yet nothing is saved: it says all there is to say.
    pub(crate) fn run(&mut self, report: &Report, kept: &Kept) {
        let verdict = match &report.verdict {
            Verdict::Failed(broken) if broken.unwritten => return,
            Verdict::Passed(_) => return,
            Verdict::Failed(_) if report.difference.is_some() => "not deterministic",
            Verdict::Failed(_) => "failed",
            Verdict::Disturbed(_) => "disturbed",
            Verdict::Aborted(_) => "aborted",
            Verdict::Undecided(_) => "undecided",
        };
        self.write(&Line::Run(FailedRun {
            scenario: report.about.name.to_string(),
            seed: report.seed,
            verdict: verdict.to_string(),
            text: summary::sentence(report),
            record: kept.record.clone(),
            picture: kept.picture.clone(),
        }));
    }

    /// The runs of a scenario are over, or broken off.
    pub(crate) fn scenario(&mut self, tally: &Tally) {
        if tally.runs() == tally.unwritten() {
            return;
        }
        let medians = tally.medians().into_iter().map(|Stage { title, figures }| Median {
            title,
            seconds: figures.elapsed.as_secs_f64(),
            servers: figures.servers,
            rpcs: figures.rpcs,
            bytes: figures.bytes,
            commands: figures.commands,
        });
        self.write(&Line::Scenario(Totals {
            scenario: tally.name().to_string(),
            runs: tally.runs(),
            passed: tally.passed(),
            not_passed: tally.not_passed(),
            medians: medians.collect(),
        }));
    }

    /// It is over. An interrupted batch leaves a file even if it has come to nothing yet.
    pub(crate) fn end(&mut self, how: HowWord, runs: usize, passed: usize) {
        if self.file.is_some() || how == HowWord::Interrupted {
            self.write(&Line::End(End { how, runs, passed, not_passed: runs - passed }));
        }
    }

    /// Where the file is, or why it is not, and what runs again what did not pass, if something did not; a line each.
    pub(crate) fn lines(&self, package: &str, all_passed: bool) -> String {
        match (&self.file, &self.trouble) {
            (_, Some(trouble)) => format!("results: cannot be saved: {trouble}\n"),
            (None, None) => String::new(),
            (Some((path, _)), None) => {
                let replay = format!("again:   cargo run --release -p {package} -- replay {}\n", keep::quoted(path));
                format!("results: {}\n{}", path.display(), if all_passed { "" } else { &replay })
            }
        }
    }

    fn write(&mut self, line: &Line) {
        if self.trouble.is_some() {
            return;
        }
        if let Err(error) = self.try_write(line) {
            let path = self.file.as_ref().map_or(&self.folder, |(path, _)| path);
            self.trouble = Some(format!("{}: {error}", path.display()));
        }
    }

    fn try_write(&mut self, line: &Line) -> std::io::Result<()> {
        let text = |line: &Line| Ok::<String, std::io::Error>(serde_json::to_string(line)? + "\n");
        let (_, file) = match &mut self.file {
            Some(file) => file,
            none => {
                fs::create_dir_all(&self.folder)?;
                let (path, mut file) = keep::create_new(&self.folder, "run", "json")?;
                file.write_all(text(&Line::Results(self.head.clone()))?.as_bytes())?;
                none.insert((path, file))
            }
        };
        // In one piece, and not through a buffer: what is written is there even if this process is killed.
        file.write_all(text(line)?.as_bytes())
    }
}

/// What saved results say.
#[derive(Debug, PartialEq)]
pub(crate) struct Saved {
    pub(crate) head: Head,
    /// What did not pass, in the order in which it was written, each once.
    pub(crate) failed: Vec<FailedRun>,
}

/// Reads saved results, of a process that was killed as well.
///
/// # Errors
///
/// One that says in a sentence what the text is not.
pub(crate) fn read(text: &str) -> Result<Saved, String> {
    let mut lines = text.split_inclusive('\n').enumerate().map(|(number, line)| match serde_json::from_str(line) {
        Ok(line) => Ok(Some(line)),
        // The process was killed while it wrote this one.
        Err(_) if number > 0 && !line.ends_with('\n') => Ok(None),
        Err(error) => Err(format!("line {} is damaged: {error}", number + 1)),
    });
    let head = match lines.next() {
        Some(Ok(Some(Line::Results(head)))) => head,
        _ => return Err("it is neither the record of a run nor saved results".to_string()),
    };
    if head.format != FORMAT {
        return Err(format!("the results are of version {}, and this program reads version {FORMAT}", head.format));
    }
    let mut failed: Vec<FailedRun> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for line in lines {
        if let Some(Line::Run(run)) = line?
            && seen.insert((run.scenario.clone(), run.seed))
        {
            failed.push(run);
        }
    }
    Ok(Saved { head, failed })
}

#[cfg(test)]
mod tests;
