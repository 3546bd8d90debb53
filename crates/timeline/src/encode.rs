//! The encoding of a page as columns of numbers (`page_data.rs`), and the rules by which a page that is too large
//! leaves data out.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io;

use crate::model::{Annotation, Lane, Operation, Page, Partition, Verdict};
use crate::page_data::{AnnotationColumns, PageData, PartitionColumns};
use crate::sequences::{SequenceTree, differences};
use crate::text::{TEXT_CHARS_MAX, TextTable};

/// The largest number of operations on a page. If there are more, the page leaves out whole partitions, linearizable
/// ones first, and says so. It always shows one partition, whatever its size.
pub const OPERATIONS_MAX: usize = 500_000;

/// The largest number of linearization steps on a page; a prefix that several sequences share counts once. If there are
/// more, the page leaves out shorter sequences and says so. It always has the longest sequence of each partition.
pub const STEPS_MAX: usize = 1_000_000;

/// The largest total size of the distinct texts of a page, in bytes. If they are larger, all texts are cut to 160, 80
/// or 40 characters. If that does not suffice, the states of linearizable partitions are left out. The page says so.
pub const TEXT_BYTES_MAX: usize = 10 << 20;

/// The limit up to which a browser's numbers are exact integers.
const EXACT_MAX: u64 = 1 << 53;

/// Encodes as much of the page as fits.
///
/// # Errors
/// Returns `InvalidInput` if the page contradicts itself: if an operation returns before its call, or if a step names
/// no operation or one that its sequence already has.
pub(crate) fn encode(page: &Page) -> io::Result<PageData> {
    page.partitions.iter().try_for_each(validate)?;
    let selection = PageSelection::new(page);
    for chars_max in [TEXT_CHARS_MAX, 160, 80, 40] {
        let (encoded, bytes) = Encoder::new(page, &selection, chars_max, true).encode();
        if bytes <= TEXT_BYTES_MAX {
            return Ok(encoded);
        }
    }
    Ok(Encoder::new(page, &selection, 40, false).encode().0)
}

/// Checks that `partition` does not contradict itself.
fn validate(partition: &Partition) -> io::Result<()> {
    let name = &partition.name;
    let invalid = |what: String| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    let operations = &partition.operations;
    if let Some(at) = operations.iter().position(|operation| !operation.open && operation.ret < operation.call) {
        return invalid(format!("operation {at} of partition {name} returns before it is called"));
    }
    let mut seen = vec![usize::MAX; operations.len()];
    for (number, sequence) in partition.linearizations.iter().enumerate() {
        for step in sequence {
            match seen.get_mut(step.operation as usize) {
                Some(last) if *last != number => *last = number,
                Some(_) => {
                    return invalid(format!(
                        "a linearization of partition {name} has operation {} twice",
                        step.operation
                    ));
                }
                None => return invalid(format!("partition {name} has no operation {}", step.operation)),
            }
        }
    }
    Ok(())
}

/// The part of a page that is kept.
struct PageSelection<'a> {
    /// Illegal ones first; otherwise in the order of the page.
    partitions: Vec<(&'a Partition, SequenceTree<'a>)>,
    notes: Vec<String>,
}

impl<'a> PageSelection<'a> {
    fn new(page: &'a Page) -> PageSelection<'a> {
        let mut partitions: Vec<&Partition> = page.partitions.iter().collect();
        partitions.sort_by_key(|partition| partition.verdict);
        let mut notes = Vec::new();

        let mut operations = 0;
        let fitting = partitions
            .iter()
            .take_while(|partition| {
                operations += partition.operations.len();
                operations <= OPERATIONS_MAX
            })
            .count();
        let left_out = partitions.split_off(fitting.max(1).min(partitions.len()));
        if let Some(worst) = left_out.first() {
            let operations: usize = left_out.iter().map(|partition| partition.operations.len()).sum();
            let all = if worst.verdict == Verdict::Ok { " (all linearizable)" } else { "" };
            notes.push(format!("Partitions left out: {}{all}, with {operations} operations.", left_out.len()));
        }

        let mut steps_left: usize = STEPS_MAX;
        let mut sequences_left_out = 0;
        let partitions = partitions
            .into_iter()
            .map(|partition| {
                let mut sequences: Vec<&Vec<_>> = partition.linearizations.iter().collect();
                sequences.sort_by_key(|sequence| Reverse(sequence.len()));
                let mut tree = SequenceTree::default();
                for (at, sequence) in sequences.iter().enumerate() {
                    // A sequence adds at most as many steps as it has. A full tree takes no further sequence.
                    if at > 0 && tree.len() + sequence.len() > steps_left {
                        sequences_left_out += 1;
                    } else {
                        tree.add(sequence);
                    }
                }
                steps_left = steps_left.saturating_sub(tree.len());
                (partition, tree)
            })
            .collect();
        if sequences_left_out > 0 {
            notes.push(format!("Shorter linearizations left out: {sequences_left_out}."));
        }
        PageSelection { partitions, notes }
    }

    fn operations(&self) -> impl Iterator<Item = &'a Operation> {
        self.partitions.iter().flat_map(|(partition, _)| &partition.operations)
    }
}

/// Encodes the selected part of a page, with texts of a given length.
struct Encoder<'a> {
    page: &'a Page,
    selection: &'a PageSelection<'a>,
    origin: u64,
    clients: Vec<i64>,
    texts: TextTable,
    chars_max: usize,
    /// Whether the states of linearizable partitions are kept.
    all_states: bool,
}

impl<'a> Encoder<'a> {
    fn new(page: &'a Page, selection: &'a PageSelection<'a>, chars_max: usize, all_states: bool) -> Encoder<'a> {
        let texts = TextTable::new(chars_max);
        let mut clients: BTreeSet<i64> = selection.operations().map(|operation| operation.client).collect();
        clients.extend(page.annotations.iter().filter_map(|annotation| match annotation.lane {
            Lane::Client(client) => Some(client),
            Lane::Tag(_) => None,
        }));
        let times = || {
            let operations = selection.operations().flat_map(|op| [op.call, if op.open { op.call } else { op.ret }]);
            let annotations = page.annotations.iter().flat_map(|annotation| [annotation.start, end(annotation)]);
            operations.chain(annotations)
        };
        let latest = times().max().unwrap_or(0);
        let origin = if latest < EXACT_MAX { 0 } else { times().min().unwrap_or(0) };
        Encoder { page, selection, origin, clients: clients.into_iter().collect(), texts, chars_max, all_states }
    }

    /// Returns the data and the number of bytes of its texts.
    fn encode(mut self) -> (PageData, usize) {
        let title = self.texts.intern(&self.page.title);
        let summary = self.texts.intern(&self.page.summary);
        let selection = self.selection;
        let partitions = selection.partitions.iter().map(|(partition, tree)| self.partition(partition, tree)).collect();
        let mut sorted: Vec<&Annotation> = self.page.annotations.iter().collect();
        sorted.sort_by_key(|annotation| annotation.start);
        let (tags, annotations) = self.annotations(&sorted);
        let bytes = self.texts.bytes();
        let mut notes = selection.notes.clone();
        if self.chars_max < TEXT_CHARS_MAX {
            notes.push(format!("Texts are cut at {} characters.", self.chars_max));
        }
        if !self.all_states {
            notes.push("The states of linearizable partitions are left out.".to_owned());
        }
        let encoded = PageData {
            title,
            summary,
            unit: self.page.time_unit,
            origin: self.origin.to_string(),
            notes,
            run: None,
            texts: self.texts.into_list(),
            clients: self.clients,
            tags,
            partitions,
            annotations,
        };
        (encoded, bytes)
    }

    fn partition(&mut self, partition: &Partition, tree: &SequenceTree<'_>) -> PartitionColumns {
        let operations = &partition.operations;
        let name = self.texts.intern(&partition.name);
        // First all descriptions, then all details, then all states: so neighbours in a column get neighbouring
        // indices.
        let description = differences(operations.iter().map(|op| i64::from(self.texts.intern(&op.description))));
        let details = if operations.iter().all(|op| op.details.as_str().is_empty()) {
            Vec::new()
        } else {
            differences(operations.iter().map(|op| i64::from(self.texts.intern(&op.details))))
        };
        let states = (self.all_states || partition.verdict != Verdict::Ok) && has_states(partition, tree);
        let initial = if states { self.texts.intern(&partition.initial_state) } else { 0 };
        let sequences = tree.columns(|step| if states { self.texts.intern(&step.state) } else { 0 });
        PartitionColumns {
            name,
            verdict: partition.verdict,
            states,
            initial,
            lane: differences(operations.iter().map(|op| self.client_lane(op.client) as i64)),
            call: differences(operations.iter().map(|op| self.time(op.call))),
            took: operations.iter().map(|op| if op.open { 0 } else { op.ret - op.call }).collect(),
            description,
            details,
            open: operations.iter().enumerate().filter(|(_, op)| op.open).map(|(at, _)| at).collect(),
            sequences,
        }
    }

    fn annotations(&mut self, sorted: &[&Annotation]) -> (Vec<u32>, AnnotationColumns) {
        let tags: BTreeSet<&Lane> =
            sorted.iter().map(|annotation| &annotation.lane).filter(|lane| matches!(lane, Lane::Tag(_))).collect();
        let tags: Vec<&Lane> = tags.into_iter().collect();
        let lane = |annotation: &Annotation| match &annotation.lane {
            Lane::Client(client) => self.client_lane(*client),
            tag => self.clients.len() + tags.binary_search(&tag).expect("all tags are in the list"),
        };
        let columns = AnnotationColumns {
            lane: sorted.iter().map(|annotation| lane(annotation)).collect(),
            start: differences(sorted.iter().map(|annotation| self.time(annotation.start))),
            took: sorted.iter().map(|annotation| end(annotation) - annotation.start).collect(),
            colour: sorted
                .iter()
                .map(|annotation| annotation.colour)
                .map(|colour| colour.map_or(-1, |c| i64::from(c.0) << 16 | i64::from(c.1) << 8 | i64::from(c.2)))
                .collect(),
            label: differences(sorted.iter().map(|annotation| i64::from(self.texts.intern(&annotation.label)))),
            details: differences(sorted.iter().map(|annotation| i64::from(self.texts.intern(&annotation.details)))),
        };
        let names = tags.iter().filter_map(|tag| match tag {
            Lane::Tag(name) => Some(self.texts.intern(name)),
            Lane::Client(_) => None,
        });
        (names.collect(), columns)
    }

    fn client_lane(&self, client: i64) -> usize {
        self.clients.binary_search(&client).expect("all clients are in the list")
    }

    fn time(&self, time: u64) -> i64 {
        i64::try_from(time - self.origin).unwrap_or(i64::MAX)
    }
}

/// Whether the states between the operations are known.
fn has_states(partition: &Partition, tree: &SequenceTree<'_>) -> bool {
    !partition.initial_state.as_str().is_empty() || tree.has_states() || partition.linearizations.is_empty()
}

/// The end of an annotation, which is not before its start.
fn end(annotation: &Annotation) -> u64 {
    annotation.end.map_or(annotation.start, |end| end.max(annotation.start))
}
