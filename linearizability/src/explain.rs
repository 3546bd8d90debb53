//! What a picture of a check can be drawn from, whatever the model.

use std::{
    fmt::{self, Debug, Formatter},
    sync::Arc,
};

use crate::{Verdict, longest::SEQUENCES_MAX};

/// How many steps an explanation spends on one partition to find its partial linearizations without shortcuts. With
/// shortcuts, the search gives up where it first knows that a way is hopeless, which may be well before the place where a
/// reader can see it.
pub(crate) const PLAIN_STEPS: u64 = 200_000;

/// The outcome of an examination of every partition.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The verdict on the history.
    pub verdict: Verdict,
    /// How many model steps were made. The same history and budget give the same number on every machine.
    pub steps: u64,
    /// The partitions, sorted by name if they are keys.
    pub partitions: Vec<Explanation>,
}

/// One partition: its operations, and how far linearizations get.
#[derive(Clone)]
pub struct Explanation {
    /// The partition's name, such as its key.
    pub name: String,
    /// The verdict on this partition.
    pub verdict: Verdict,
    /// Its operations, in the order in which they were given.
    pub operations: Vec<Described>,
    /// Sequences of operations, as indices into `operations`, longest first, all distinct and at most 100. Of a
    /// linearizable partition it is one, with all operations. Of another, each is a way to order some operations after
    /// which nothing that could come next is legal; for each operation, the longest one found that contains it is there.
    pub linearizations: Vec<Vec<usize>>,
    /// The description of the state before the first operation.
    pub initial: String,
    pub(crate) replay: Arc<Replay>,
}

/// From operations to the descriptions of the states after each.
pub(crate) type Replay = dyn Fn(&[usize]) -> Vec<String> + Send + Sync;

/// One operation for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Who called.
    pub client: u32,
    /// When it was called.
    pub call: u64,
    /// When it was answered.
    pub ret: u64,
    /// What it was, such as `get('k') -> 'v'`; long values are shortened.
    pub description: String,
}

impl Explanation {
    /// The descriptions of the states after each operation of `linearization`, which is one of
    /// [`linearizations`](Explanation::linearizations) or any other sequence of indices. It ends before the first operation that
    /// is not legal, or does not exist; so it also tells whether, and with what effect, an operation could come next.
    pub fn states(&self, linearization: &[usize]) -> Vec<String> {
        (self.replay)(linearization)
    }

    /// For each operation the index, in `linearizations`, of the longest one that contains it.
    pub fn largest(&self) -> Vec<Option<usize>> {
        let mut largest = vec![None; self.operations.len()];
        for (index, linearization) in self.linearizations.iter().enumerate() {
            for &operation in linearization {
                largest[operation].get_or_insert(index);
            }
        }
        largest
    }

    /// Both lists as one: distinct, longest first, those of the first list before equally long ones of the second.
    pub(crate) fn merge(first: Vec<Vec<usize>>, mut second: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
        second.retain(|sequence| !first.contains(sequence));
        let mut both = first;
        both.append(&mut second);
        both.sort_by_key(|sequence| std::cmp::Reverse(sequence.len()));
        both.truncate(SEQUENCES_MAX);
        both
    }
}

impl Debug for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explanation")
            .field("name", &self.name)
            .field("verdict", &self.verdict)
            .field("operations", &self.operations)
            .field("linearizations", &self.linearizations)
            .field("initial", &self.initial)
            .finish_non_exhaustive()
    }
}

/// How many characters of a value are shown at most; of a longer one, its beginning and end.
const SHOWN_CHARS_MAX: usize = 64;

/// How many characters of its beginning are shown of a long value.
const SHOWN_HEAD_CHARS: usize = 16;

/// How many characters of its end are shown of a long value.
const SHOWN_TAIL_CHARS: usize = 40;

/// No longer value is shown whole, and of a longer one no more than this many bytes are looked at, at either end: a
/// character has at most four.
pub(crate) const SHOWN_BYTES_MAX: usize = SHOWN_CHARS_MAX * 4;

/// A value in single quotes; of a long one its beginning, its end and its length.
pub(crate) fn quoted(value: &str) -> String {
    let is_short = value.len() <= SHOWN_BYTES_MAX && value.chars().count() <= SHOWN_CHARS_MAX;
    if is_short { format!("'{value}'") } else { quoted_ends(value, value, value.len()) }
}

/// A long value, given by more than enough of its beginning and of its end.
pub(crate) fn quoted_ends(beginning: &str, end: &str, bytes: usize) -> String {
    let head = beginning.char_indices().nth(SHOWN_HEAD_CHARS).map_or(beginning.len(), |(at, _)| at);
    let tail = end.char_indices().rev().nth(SHOWN_TAIL_CHARS - 1).map_or(0, |(at, _)| at);
    format!("'{}…{}' ({bytes} bytes)", &beginning[..head], &end[tail..])
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_long_value_is_shown_by_its_beginning_end_and_length() {
        assert_eq!(quoted("x 0 1 y"), "'x 0 1 y'");
        let long: String = (0..100).map(|n| format!("{n:02}")).collect();
        assert_eq!(quoted(&long), "'0001020304050607…8081828384858687888990919293949596979899' (200 bytes)");
        assert_eq!(quoted(&"é".repeat(64)), format!("'{}'", "é".repeat(64)));
        assert_eq!(quoted(&"é".repeat(65)), format!("'{}…{}' (130 bytes)", "é".repeat(16), "é".repeat(40)));
    }
}
