//! The error of a text that is not a history.

use std::fmt::{self, Display, Formatter};

/// The number of characters of the unexpected text that are shown.
const FOUND_CHARS_MAX: usize = 40;

/// A line of a text that cannot be part of a history. It is displayed as one line: the line number, the expected text,
/// and the text that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    line: usize,
    expected: String,
    found: String,
}

impl ParseError {
    /// Creates an error at `line`, which counts from 1. An empty `found` means the end of the line.
    pub(crate) fn new(line: usize, expected: impl Into<String>, found: &str) -> ParseError {
        let mut found: String = found.chars().take(FOUND_CHARS_MAX + 1).collect();
        if found.chars().count() > FOUND_CHARS_MAX {
            found.pop();
            found.push('…');
        }
        ParseError { line, expected: expected.into(), found }
    }

    /// The number of the line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }
}

impl Display for ParseError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: expected {}, found ", self.line, self.expected)?;
        if self.found.is_empty() { f.write_str("the end of the line") } else { write!(f, "{:?}", self.found) }
    }
}

impl std::error::Error for ParseError {}
