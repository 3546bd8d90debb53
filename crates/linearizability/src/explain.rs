//! The explanation of a check: data from which a timeline is drawn, for any model.

use std::{
    fmt::{self, Debug, Formatter},
    sync::Arc,
};

use crate::{Verdict, longest_sequences::SEQUENCES_MAX};

/// The number of steps that an explanation spends on one partition to find partial linearizations without shortcuts.
/// With shortcuts the search gives up as soon as it can know that a branch is hopeless, which may be well before the
/// operation at which a reader can see it.
pub(crate) const EXHAUSTIVE_STEPS: u64 = 200_000;

/// The result of an examination of every partition.
#[derive(Clone, Debug)]
pub struct HistoryExplanation {
    /// The verdict on the history.
    pub verdict: Verdict,
    /// The number of model steps. The same history and budget give the same number on every machine.
    pub steps: u64,
    /// The partitions, sorted by name if they are keys.
    pub partitions: Vec<PartitionExplanation>,
}

/// The operations of one partition, and how far linearizations of them get.
#[derive(Clone)]
pub struct PartitionExplanation {
    /// The name of the partition, such as its key.
    pub name: String,
    /// The verdict on this partition.
    pub verdict: Verdict,
    /// The operations, in the order in which they were given.
    pub operations: Vec<DescribedOperation>,
    /// Sequences of operations, as indices into `operations`: longest first, all distinct, at most 100. A linearizable
    /// partition has one sequence, with all operations. In any other partition, each sequence orders some of the
    /// operations such that no operation that could come next is legal; for each operation, the longest such sequence
    /// that was found with it is present.
    pub linearizations: Vec<Vec<usize>>,
    /// The description of the state before the first operation.
    pub initial: String,
    pub(crate) replay: Arc<Replay>,
}

/// A function from a sequence of operations to the descriptions of the states after each of them.
pub(crate) type Replay = dyn Fn(&[usize]) -> Vec<String> + Send + Sync;

/// An operation with a description for readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedOperation {
    /// The client that called the operation.
    pub client: u32,
    /// The time of the call.
    pub call: u64,
    /// The time of the return.
    pub ret: u64,
    /// A description such as `get('k') -> 'v'`, in which long values are shortened.
    pub description: String,
}

impl PartitionExplanation {
    /// Returns the descriptions of the states after each operation of `linearization`, which is one of
    /// [`linearizations`](PartitionExplanation::linearizations) or any other sequence of indices. The result ends
    /// before the first operation that is not legal or does not exist. So it also tells whether an operation could come
    /// next, and with which effect.
    pub fn states(&self, linearization: &[usize]) -> Vec<String> {
        (self.replay)(linearization)
    }

    /// Returns, for each operation, the index in `linearizations` of the longest sequence that contains it.
    pub fn longest_containing(&self) -> Vec<Option<usize>> {
        let mut longest = vec![None; self.operations.len()];
        for (index, linearization) in self.linearizations.iter().enumerate() {
            for &operation in linearization {
                longest[operation].get_or_insert(index);
            }
        }
        longest
    }

    /// Merges two lists of sequences: distinct, longest first. Of equally long sequences, those of `first` come first.
    pub(crate) fn merge(first: Vec<Vec<usize>>, mut second: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
        second.retain(|sequence| !first.contains(sequence));
        let mut both = first;
        both.append(&mut second);
        both.sort_by_key(|sequence| std::cmp::Reverse(sequence.len()));
        both.truncate(SEQUENCES_MAX);
        both
    }
}

impl Debug for PartitionExplanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionExplanation")
            .field("name", &self.name)
            .field("verdict", &self.verdict)
            .field("operations", &self.operations)
            .field("linearizations", &self.linearizations)
            .field("initial", &self.initial)
            .finish_non_exhaustive()
    }
}

/// The largest number of characters of a value that is shown whole. A longer value is shown by its beginning and its
/// end.
const SHOWN_CHARS_MAX: usize = 64;

/// The number of characters shown from the beginning of a long value.
const SHOWN_HEAD_CHARS: usize = 16;

/// The number of characters shown from the end of a long value.
const SHOWN_TAIL_CHARS: usize = 40;

/// The largest number of bytes of a value that is shown whole, and the number of bytes that are read at either end of a
/// longer value: a character has at most four bytes.
pub(crate) const SHOWN_BYTES_MAX: usize = SHOWN_CHARS_MAX * 4;

/// Returns the value in single quotes. A long value is shown by its beginning, its end and its length.
pub(crate) fn quoted(value: &str) -> String {
    let is_short = value.len() <= SHOWN_BYTES_MAX && value.chars().count() <= SHOWN_CHARS_MAX;
    if is_short { format!("'{value}'") } else { quoted_ends(value, value, value.len()) }
}

/// Returns a long value in single quotes. `beginning` and `end` must be at least as long as the parts that are shown.
pub(crate) fn quoted_ends(beginning: &str, end: &str, bytes: usize) -> String {
    let head = beginning.char_indices().nth(SHOWN_HEAD_CHARS).map_or(beginning.len(), |(at, _)| at);
    let tail = end.char_indices().rev().nth(SHOWN_TAIL_CHARS - 1).map_or(0, |(at, _)| at);
    format!("'{}…{}' ({bytes} bytes)", &beginning[..head], &end[tail..])
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_long_value_shows_its_ends_and_its_length() {
        assert_eq!(quoted("x 0 1 y"), "'x 0 1 y'");
        let long: String = (0..100).map(|n| format!("{n:02}")).collect();
        assert_eq!(quoted(&long), "'0001020304050607…8081828384858687888990919293949596979899' (200 bytes)");
        assert_eq!(quoted(&"é".repeat(64)), format!("'{}'", "é".repeat(64)));
        assert_eq!(quoted(&"é".repeat(65)), format!("'{}…{}' (130 bytes)", "é".repeat(16), "é".repeat(40)));
    }
}
