//! `log`: a record as text, one line an event, or with a column for each server.

mod colors;
mod columns;
mod selection;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::path::Path;

use record::file::{self, Stored};
use record::{Event, EventKind, ServerId, Topic};

use self::columns::Columns;
use self::selection::Selection;
pub(crate) use self::selection::{Moment, Place};
use crate::Error;
use crate::args::{ColorName, LogArgs};

/// How wide the columns are together where nobody says and there is no terminal.
const WIDTH: usize = 120;

/// The file that stands for the standard input.
const STDIN: &str = "-";

/// How the output is to look.
#[derive(Clone, Copy, Debug)]
struct Look {
    colors: bool,
    /// In characters.
    width: usize,
}

/// Prints what was asked for to the standard output.
pub(crate) fn log(args: &LogArgs) -> Result<(), Error> {
    let stdout = io::stdout().lock();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let look = Look {
        colors: match args.color {
            ColorName::Always => true,
            ColorName::Never => false,
            ColorName::Auto => stdout.is_terminal() && !no_color,
        },
        width: args.width.map_or_else(terminal_width, |width| width.get().into()),
    };
    write(args, look, &mut BufWriter::with_capacity(1 << 16, stdout))
}

fn terminal_width() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(WIDTH, |(width, _)| width.0.into())
}

fn write(args: &LogArgs, look: Look, out: &mut impl Write) -> Result<(), Error> {
    let stored = read(&args.file)?;
    let servers = servers(&stored);
    let selection = Selection::new(args, servers)?;
    let columns = args.columns.map(|number| {
        let shown = number.map_or(servers, |number| servers.min(number.get().into()));
        let shown = (0..shown).map(ServerId).filter(|server| selection.has_server(Some(*server)));
        // With some servers alone, there may be nothing to put into the column of the others.
        Columns::new(shown.collect(), selection.has_server(None), look.width)
    });
    if let Some(columns) = &columns {
        writeln!(out, "{}", columns.header())?;
    }
    for event in stored.events().skip_while(|event| selection.is_before(event)) {
        if selection.is_after(&event) {
            break;
        }
        if !selection.has(&event) {
            continue;
        }
        let topic = event.kind.topic();
        match &columns {
            None => line(topic, &event.to_string(), look, out)?,
            Some(columns) => columns.lines(&event).iter().try_for_each(|text| line(topic, text, look, out))?,
        }
    }
    Ok(out.flush()?)
}

/// Reads a record, or says in one line why that cannot be.
fn read(path: &Path) -> Result<Stored, Error> {
    if path.as_os_str() == STDIN {
        return file::read(io::stdin().lock())
            .map_err(|error| Error::Usage(format!("cannot read the standard input: {error}")));
    }
    let opened = File::open(path).map_err(file::ReadError::Input);
    let stored = opened.and_then(|input| file::read(BufReader::new(input)));
    stored.map_err(|error| Error::Usage(format!("cannot read '{}': {error}", path.display())))
}

/// How many servers the cluster of a record has.
fn servers(stored: &Stored) -> usize {
    match stored.events().next() {
        Some(Event { kind: EventKind::RunBegun { servers, .. }, .. }) => servers,
        // Not of a scenario: those that something is known of.
        _ => stored.events().filter_map(|event| event.server).max().map_or(0, |ServerId(last)| last + 1),
    }
}

fn line(topic: Topic, text: &str, look: Look, out: &mut impl Write) -> io::Result<()> {
    if look.colors { writeln!(out, "{}{text}{}", colors::begin(topic), colors::END) } else { writeln!(out, "{text}") }
}

/// Whether an event is of interest on whatever server somebody looks at, and stands across all columns.
fn is_for_all(event: &Event) -> bool {
    matches!(event.kind.topic(), Topic::Test | Topic::Fault | Topic::Failure)
        || matches!(event.kind, EventKind::CallsOmitted { .. })
}

#[cfg(test)]
mod tests;
