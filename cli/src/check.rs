//! `check`: recorded histories, each with its verdict.

use std::fs;
use std::io::Write;
use std::path::Path;

use linearizability::{Checked, Explained, Verdict, jepsen, kv, register};
use picture::TimeUnit;

use crate::Error;
use crate::args::{CheckArgs, Format};
use crate::page;

/// How the files fared, for the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// All are linearizable.
    AllOk,
    /// All were decided, and some are not linearizable.
    SomeIllegal,
    /// Of some nothing is known.
    SomeUnknown,
}

/// A history of either format.
enum History {
    Register(register::History),
    Kv(kv::History),
}

/// Writes a line for each file to `out`, and one for each that cannot be read to standard error.
pub(crate) fn check(args: &CheckArgs, out: &mut impl Write) -> Result<Outcome, Error> {
    let mut outcome = Outcome::AllOk;
    for file in &args.files {
        let history = match History::read(file, args.format) {
            Ok(history) => history,
            Err(complaint) => {
                eprintln!("error: {complaint}");
                outcome = Outcome::SomeUnknown;
                continue;
            }
        };
        let mut checked = history.check(args.steps);
        // A check ends at the first key that settles the matter; who asks about a file wants to know all of them.
        let explained =
            (checked.verdict == Verdict::Illegal || args.picture.is_some()).then(|| history.explain(args.steps));
        if let Some(explained) = &explained {
            let named = |wanted| {
                let partitions = explained.partitions.iter().filter(|partition| partition.verdict == wanted);
                partitions.map(|partition| partition.name.clone()).collect()
            };
            checked = Checked { illegal: named(Verdict::Illegal), undecided: named(Verdict::Unknown), ..checked };
        }
        outcome = outcome.max(match checked.verdict {
            Verdict::Ok => Outcome::AllOk,
            Verdict::Illegal => Outcome::SomeIllegal,
            Verdict::Unknown => Outcome::SomeUnknown,
        });
        let verdict = verdict(&checked, history.has_keys());
        writeln!(out, "{}: {verdict} ({} operations, {} steps)", file.display(), history.len(), checked.steps)?;
        if let (Some(folder), Some(explained)) = (&args.picture, &explained) {
            let title = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let page = page::of(&title, &verdict, explained, history.time_unit());
            let written = page::write(&page, folder, &title)
                .map_err(|error| Error::Usage(format!("cannot write a page into '{}': {error}", folder.display())))?;
            writeln!(out, "    {}", written.display())?;
        }
        out.flush()?;
    }
    Ok(outcome)
}

/// In words; of what is wrong with a history of keys, which keys it is.
fn verdict(checked: &Checked, has_keys: bool) -> String {
    let of_keys = |names: &[String]| {
        let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
        let word = if names.len() == 1 { "key" } else { "keys" };
        if has_keys { format!(": {word} {}", quoted.join(", ")) } else { String::new() }
    };
    match checked.verdict {
        Verdict::Ok => "linearizable".to_string(),
        Verdict::Illegal => format!("NOT linearizable{}", of_keys(&checked.illegal)),
        Verdict::Unknown => format!("undecided, more --steps are needed{}", of_keys(&checked.undecided)),
    }
}

impl History {
    /// Reads a file, or says in one line why that cannot be.
    fn read(file: &Path, format: Format) -> Result<History, String> {
        let text = fs::read_to_string(file).map_err(|error| format!("cannot read '{}': {error}", file.display()))?;
        let history = match format {
            Format::Jepsen => jepsen::parse(&text).map(History::Register),
            Format::Kv => kv::parse(&text).map(History::Kv),
        };
        history.map_err(|error| format!("'{}' is not in the format given: {error}", file.display()))
    }

    fn check(&self, steps: u64) -> Checked {
        match self {
            History::Register(history) => history.check(steps),
            History::Kv(history) => history.check(steps),
        }
    }

    fn explain(&self, steps: u64) -> Explained {
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

    /// Neither format has times: the order of the lines is all there is.
    fn time_unit(&self) -> TimeUnit {
        TimeUnit::Order
    }
}
