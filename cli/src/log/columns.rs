//! A column for each server: every event stands below the name of its server, wrapped within the column's width, with the
//! time at the left. What concerns all servers (the run's beginning and end, faults, failures, what a record leaves out)
//! stands across all columns.

use std::iter;

use record::{Event, ServerId};

use super::is_for_all;

/// How many characters the time takes, with the space behind it.
const TIME: usize = 8;

/// How many spaces are between two columns.
const GAP: usize = 2;

/// A column is never narrower than this. Lines may then be wider than what was asked for.
const WIDTH_MIN: usize = 10;

/// What introduces, and then fills, the lines across all columns.
const RULE: char = '=';

/// Where the columns are.
#[derive(Debug)]
pub(super) struct Columns {
    servers: Vec<ServerId>,
    /// Whether the last column is that of all others: the tester, the network, the clients, and servers without a column.
    others: bool,
    /// Of one column, in characters.
    width: usize,
}

impl Columns {
    /// Columns for `servers`, in this order, and then for the others; together at most `width` characters wide, if that
    /// leaves room for all.
    pub(super) fn new(servers: Vec<ServerId>, others: bool, width: usize) -> Columns {
        let number = (servers.len() + usize::from(others)).max(1);
        let gaps = TIME + (number - 1) * GAP;
        Columns { servers, others, width: (width.saturating_sub(gaps) / number).max(WIDTH_MIN) }
    }

    /// The names of the columns.
    pub(super) fn header(&self) -> String {
        let names = self.servers.iter().map(ServerId::to_string);
        let names = names.chain(self.others.then(|| "others".to_string()));
        let cells = iter::once(format!("{:TIME$}", "time"))
            .chain(names.map(|name| format!("{name:width$}", width = self.width + GAP)));
        cells.collect::<String>().trim_end().to_string()
    }

    /// An event, in one line or more.
    pub(super) fn lines(&self, event: &Event) -> Vec<String> {
        let time = event.time();
        if is_for_all(event) {
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
            let room = width.saturating_sub(intro.len() + last.chars().count() + 1);
            last.extend(iter::once(' ').filter(|_| room > 0).chain(iter::repeat_n(RULE, room)));
        }
        let begins = iter::once((time, intro.as_str())).chain(iter::repeat(("", "   ")));
        begins.zip(pieces).map(|((time, intro), piece)| format!("{time:TIME$}{intro}{piece}")).collect()
    }
}

/// The event's text, with its server before it.
fn named(event: &Event) -> String {
    match event.server {
        Some(server) => format!("{server} {}", event.kind),
        None => event.kind.to_string(),
    }
}

/// A text in pieces of at most `width` characters, broken at spaces where there are any. There is at least one piece.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    // The byte behind `width` characters, as long as there are more.
    while let Some((end, next)) = rest.char_indices().nth(width) {
        // A space right behind the piece is as good as one in it.
        let space = if next == ' ' { Some(end) } else { rest[..end].rfind(' ') };
        let (piece, after) = match space.filter(|at| *at > 0) {
            Some(space) => (&rest[..space], &rest[space + 1..]),
            None => rest.split_at(end),
        };
        pieces.push(piece.to_string());
        rest = after;
    }
    pieces.push(rest.to_string());
    pieces
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
        assert_eq!(wrapped(" äöüäöüäöüäöü", 10), [" äöüäöüäöü", "äöü"]);
    }

    #[test]
    fn no_piece_is_wider_than_asked_for_and_no_character_is_lost() {
        let text = "#17 S0 -> S2 Raft.AppendEntries, 38 bytes";
        for width in 1..50 {
            let pieces = wrapped(text, width);
            assert!(pieces.iter().all(|piece| piece.chars().count() <= width), "{pieces:?}");
            assert_eq!(pieces.concat().replace(' ', ""), text.replace(' ', ""));
        }
    }

    #[test]
    fn columns_share_the_width_and_keep_their_least() {
        let columns = |servers: usize, width| Columns::new((0..servers).map(ServerId).collect(), true, width);
        assert_eq!(columns(3, 80).width, (80 - TIME - 3 * GAP) / 4);
        assert_eq!(columns(3, 20).width, WIDTH_MIN);
        assert_eq!(Columns::new(vec![], false, 80).width, 80 - TIME);
    }
}
