//! The column view of a record. Every event stands below the name of its server, wrapped to the column's width, with
//! the time at the left. Events that concern all servers (start and end of the run, faults, failures, omitted calls)
//! span all columns.

use std::borrow::Cow;
use std::iter;

use ids::ServerId;
use record::Event;
use textwrap::core::display_width;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

use super::spans_all_columns;

/// Width of the time with the space behind it, in characters.
const TIME: usize = 8;

/// Number of spaces between two columns.
const GAP: usize = 2;

/// Minimum width of a column. If the columns would be narrower, lines become wider than the requested width.
const WIDTH_MIN: usize = 10;

/// The character that opens and fills a line across all columns.
const RULE: char = '=';

/// The layout of the columns.
#[derive(Debug)]
pub(super) struct Columns {
    servers: Vec<ServerId>,
    /// Whether the last column is for all others: the tester, the network, the clients, and servers without a column.
    others: bool,
    /// Width of one column, in characters.
    width: usize,
}

impl Columns {
    /// Columns for `servers`, in this order, and then for the others. Together they are at most `width` characters
    /// wide, if that is wide enough for all.
    pub(super) fn new(servers: Vec<ServerId>, others: bool, width: usize) -> Columns {
        let number = (servers.len() + usize::from(others)).max(1);
        let gaps = TIME + (number - 1) * GAP;
        Columns { servers, others, width: (width.saturating_sub(gaps) / number).max(WIDTH_MIN) }
    }

    /// The line with the names of the columns.
    pub(super) fn header(&self) -> String {
        let names = self.servers.iter().map(ServerId::to_string);
        let names = names.chain(self.others.then(|| "others".to_string()));
        let cells = iter::once(format!("{:TIME$}", "time"))
            .chain(names.map(|name| format!("{name:width$}", width = self.width + GAP)));
        cells.collect::<String>().trim_end().to_string()
    }

    /// An event as one or more lines.
    pub(super) fn lines(&self, event: &Event) -> Vec<String> {
        let time = event.time();
        if spans_all_columns(event) {
            return self.across(&time, &named(event));
        }
        let (column, text) = match self.servers.iter().position(|server| Some(*server) == event.server) {
            Some(column) => (column, event.kind.to_string()),
            None => (self.servers.len(), named(event)),
        };
        let indent = column * (self.width + GAP);
        let begins = iter::once(time.as_str()).chain(iter::repeat(""));
        let row = |(begin, piece)| format!("{begin:TIME$}{:indent$}{piece}", "");
        begins.zip(wrapped(&text, self.width)).map(row).collect()
    }

    fn across(&self, time: &str, text: &str) -> Vec<String> {
        let columns = self.servers.len() + usize::from(self.others);
        let width = (columns * (self.width + GAP)).saturating_sub(GAP).max(WIDTH_MIN);
        let intro = format!("{RULE}{RULE} ");
        let mut pieces = wrapped(text, width.saturating_sub(intro.len()).max(WIDTH_MIN));
        if let Some(last) = pieces.last_mut() {
            let room = width.saturating_sub(intro.len() + display_width(last) + 1);
            last.to_mut().extend(iter::once(' ').filter(|_| room > 0).chain(iter::repeat_n(RULE, room)));
        }
        let begins = iter::once((time, intro.as_str())).chain(iter::repeat(("", "   ")));
        begins.zip(pieces).map(|((time, intro), piece)| format!("{time:TIME$}{intro}{piece}")).collect()
    }
}

/// The event's text, preceded by its server.
fn named(event: &Event) -> String {
    match event.server {
        Some(server) => format!("{server} {}", event.kind),
        None => event.kind.to_string(),
    }
}

/// Splits a text into pieces that are at most `width` wide on a terminal, at spaces if possible. There is at least one
/// piece.
fn wrapped(text: &str, width: usize) -> Vec<Cow<'_, str>> {
    let options = Options::new(width)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::wrap(text, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_broken_at_its_spaces() {
        assert_eq!(wrapped("becomes leader in term 3", 10), ["becomes", "leader in", "term 3"]);
        assert_eq!(wrapped("0123456789 ab", 10), ["0123456789", "ab"]);
        assert_eq!(wrapped("", 10), [""]);
    }

    #[test]
    fn a_long_word_is_broken_between_characters() {
        assert_eq!(wrapped("Raft.AppendEntries", 10), ["Raft.Appen", "dEntries"]);
        assert_eq!(wrapped("äöüäöüäöüäöü ß", 10), ["äöüäöüäöüä", "öü ß"]);
    }

    #[test]
    fn a_wide_character_takes_two_places() {
        assert_eq!(wrapped("领导者领导者", 10), ["领导者领导", "者"]);
        assert_eq!(wrapped("S1 → S2 …", 9), ["S1 → S2 …"]);
    }

    #[test]
    fn wrapped_pieces_fit_the_width_and_lose_no_character() {
        let text = "#17 S0 -> S2 Raft.AppendEntries, 38 bytes";
        for width in 1..50 {
            let pieces = wrapped(text, width);
            assert!(pieces.iter().all(|piece| display_width(piece) <= width), "{pieces:?}");
            assert_eq!(pieces.concat().replace(' ', ""), text.replace(' ', ""));
        }
    }

    #[test]
    fn columns_share_the_width_down_to_a_minimum() {
        let columns = |servers: usize, width| Columns::new((0..servers).map(ServerId).collect(), true, width);
        assert_eq!(columns(3, 80).width, (80 - TIME - 3 * GAP) / 4);
        assert_eq!(columns(3, 20).width, WIDTH_MIN);
        assert_eq!(Columns::new(vec![], false, 80).width, 80 - TIME);
    }
}
