//! `check`: the verdict on each recorded history.

use std::fs;
use std::io::Write;
use std::path::Path;

use linearizability::{CheckResult, HistoryExplanation, Verdict, jepsen, kv, register};
use timeline::TimeUnit;

use crate::Error;
use crate::args::{CheckArgs, Format};
use crate::page;

/// The result for all files; it determines the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CheckOutcome {
    /// All histories are linearizable.
    AllOk,
    /// All histories were decided, and some are not linearizable.
    SomeIllegal,
    /// Some histories were not read or not decided.
    SomeUnknown,
}

/// A history of either format.
enum History {
    Register(register::History),
    Kv(kv::History),
}

/// Writes one line to `out` for each history, and one to standard error for each file that cannot be read.
pub(crate) fn check(args: &CheckArgs, out: &mut impl Write) -> Result<CheckOutcome, Error> {
    let mut outcome = CheckOutcome::AllOk;
    for file in &args.files {
        let history = match History::read(file, args.format) {
            Ok(history) => history,
            Err(message) => {
                eprintln!("error: {message}");
                outcome = CheckOutcome::SomeUnknown;
                continue;
            }
        };
        let mut checked = history.check(args.steps);
        // A check stops at the first key that decides the verdict. The user of a file needs the verdict on every key.
        let explained =
            (checked.verdict == Verdict::Illegal || args.timeline.is_some()).then(|| history.explain(args.steps));
        if let Some(explained) = &explained {
            let with_verdict = |wanted| {
                let partitions = explained.partitions.iter().filter(|partition| partition.verdict == wanted);
                partitions.map(|partition| partition.name.clone()).collect()
            };
            checked = CheckResult {
                illegal: with_verdict(Verdict::Illegal),
                undecided: with_verdict(Verdict::Unknown),
                ..checked
            };
        }
        outcome = outcome.max(match checked.verdict {
            Verdict::Ok => CheckOutcome::AllOk,
            Verdict::Illegal => CheckOutcome::SomeIllegal,
            Verdict::Unknown => CheckOutcome::SomeUnknown,
        });
        let verdict = verdict(&checked, history.has_keys());
        writeln!(out, "{}: {verdict} ({} operations, {} steps)", file.display(), history.len(), checked.steps)?;
        if let (Some(folder), Some(explained)) = (&args.timeline, &explained) {
            let title = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let page = page::of(&title, &verdict, explained, history.time_unit());
            let written = page::write(&page, folder, &title)
                .map_err(|error| Error::Usage(format!("cannot write a timeline to '{}': {error}", folder.display())))?;
            writeln!(out, "    {}", written.display())?;
        }
        out.flush()?;
    }
    Ok(outcome)
}

/// The verdict in words. It names the keys that are wrong, if the history has keys.
fn verdict(checked: &CheckResult, has_keys: bool) -> String {
    let of_keys = |names: &[String]| {
        let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
        let word = if names.len() == 1 { "key" } else { "keys" };
        if has_keys { format!(": {word} {}", quoted.join(", ")) } else { String::new() }
    };
    match checked.verdict {
        Verdict::Ok => "linearizable".to_string(),
        Verdict::Illegal => format!("NOT linearizable{}", of_keys(&checked.illegal)),
        Verdict::Unknown => format!("undecided, try more --steps{}", of_keys(&checked.undecided)),
    }
}

impl History {
    /// Reads a file. The error is one line with the reason.
    fn read(file: &Path, format: Format) -> Result<History, String> {
        let text = fs::read_to_string(file).map_err(|error| format!("cannot read '{}': {error}", file.display()))?;
        let history = match format {
            Format::Jepsen => jepsen::parse(&text).map(History::Register),
            Format::Kv => kv::parse(&text).map(History::Kv),
        };
        history.map_err(|error| format!("'{}' does not have the given --format: {error}", file.display()))
    }

    fn check(&self, steps: u64) -> CheckResult {
        match self {
            History::Register(history) => history.check(steps),
            History::Kv(history) => history.check(steps),
        }
    }

    fn explain(&self, steps: u64) -> HistoryExplanation {
        match self {
            History::Register(history) => history.explain(steps),
            History::Kv(history) => history.explain(steps),
        }
    }

    fn len(&self) -> usize {
        match self {
            History::Register(history) => history.operations().len(),
            History::Kv(history) => history.len(),
        }
    }

    fn has_keys(&self) -> bool {
        matches!(self, History::Kv(_))
    }

    /// Neither format has times; only the order of the lines is known.
    fn time_unit(&self) -> TimeUnit {
        TimeUnit::Order
    }
}
