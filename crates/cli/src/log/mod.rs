//! `log`: prints a record as text, with one line per event or with one column per server.

mod colors;
mod columns;
mod selection;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::path::Path;

use ids::ServerId;
use record::file::{self, StoredRecord};
use record::{Event, EventKind, Topic};

use self::columns::Columns;
use self::selection::Selection;
use crate::Error;
use crate::args::{ColorMode, LogArgs};

/// Default width of all columns together where there is no terminal, in characters.
const WIDTH: usize = 120;

/// The file name that stands for standard input.
const STDIN: &str = "-";

/// The style of the output.
#[derive(Clone, Copy, Debug)]
struct OutputStyle {
    colors: bool,
    /// Width of all columns together, in characters.
    width: usize,
}

/// Prints the selected events to standard output.
pub(crate) fn log(args: &LogArgs) -> Result<(), Error> {
    let stdout = io::stdout().lock();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let style = OutputStyle {
        colors: match args.color {
            ColorMode::Always => true,
            ColorMode::Never => false,
            ColorMode::Auto => stdout.is_terminal() && !no_color,
        },
        width: args.width.map_or_else(terminal_width, |width| width.get().into()),
    };
    write(args, style, &mut BufWriter::with_capacity(1 << 16, stdout))
}

fn terminal_width() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(WIDTH, |(width, _)| width.0.into())
}

fn write(args: &LogArgs, style: OutputStyle, out: &mut impl Write) -> Result<(), Error> {
    let stored = read(&args.file)?;
    let servers = servers(&stored);
    let selection = Selection::new(args, servers)?;
    let columns = args.columns.map(|number| {
        let shown = number.map_or(servers, |number| servers.min(number.get().into()));
        let shown = (0..shown).map(ServerId).filter(|server| selection.has_server(Some(*server)));
        // If only some servers are selected, the column of the others may be empty.
        Columns::new(shown.collect(), selection.has_server(None), style.width)
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
            None => line(topic, &event.to_string(), style, out)?,
            Some(columns) => columns.lines(&event).iter().try_for_each(|text| line(topic, text, style, out))?,
        }
    }
    Ok(out.flush()?)
}

/// Reads a record. The error is one line with the reason.
fn read(path: &Path) -> Result<StoredRecord, Error> {
    if path.as_os_str() == STDIN {
        return file::read(io::stdin().lock())
            .map_err(|error| Error::Usage(format!("cannot read standard input: {error}")));
    }
    let opened = File::open(path).map_err(file::ReadError::Input);
    let stored = opened.and_then(|input| file::read(BufReader::new(input)));
    stored.map_err(|error| Error::Usage(format!("cannot read '{}': {error}", path.display())))
}

/// Returns the number of servers in the cluster of a record.
fn servers(stored: &StoredRecord) -> usize {
    match stored.events().next() {
        Some(Event { kind: EventKind::RunBegun { servers, .. }, .. }) => servers,
        // A record without a scenario: its events name the servers.
        _ => stored.events().filter_map(|event| event.server).max().map_or(0, |ServerId(last)| last + 1),
    }
}

fn line(topic: Topic, text: &str, style: OutputStyle, out: &mut impl Write) -> io::Result<()> {
    if style.colors { writeln!(out, "{}{text}{}", colors::begin(topic), colors::END) } else { writeln!(out, "{text}") }
}

/// Whether an event concerns all servers. Such an event spans all columns, and a selection of servers does not remove
/// it.
fn spans_all_columns(event: &Event) -> bool {
    matches!(event.kind.topic(), Topic::Test | Topic::Fault | Topic::Failure)
        || matches!(event.kind, EventKind::CallsOmitted { .. })
}

#[cfg(test)]
mod tests;
