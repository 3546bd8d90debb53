//! The input: a page, its partitions with their operations and linearizations, and annotations.

use serde::Serialize;

use crate::text::Text;

/// All that one page shows.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// What was run.
    pub title: Text,
    /// What came out, in a few words: the verdict, a seed, a command that replays the run.
    pub summary: Text,
    /// What the times of this page count.
    pub time_unit: TimeUnit,
    /// The parts of the history that are checked independently: one a key, or one for all.
    pub partitions: Vec<Partition>,
    /// What else is to be seen on the time axis.
    pub annotations: Vec<Annotation>,
}

/// What a time is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// Nanoseconds, since whenever. From 2^53 on (as since 1970) the page counts from its first moment, because that is how
    /// far a browser counts without rounding.
    #[default]
    Nanoseconds,
    /// Positions: only the order of times means something (line numbers of a log that has no times).
    Order,
}

/// What the checker found for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// There is no linearization.
    Illegal,
    /// The checker gave up before it knew.
    Unknown,
    /// Nobody looked.
    Unchecked,
    /// There is a linearization.
    Ok,
}

/// A part of the history that is checked by itself.
#[derive(Clone, Debug)]
pub struct Partition {
    /// Its name: the key.
    pub name: Text,
    /// What the checker found.
    pub verdict: Verdict,
    /// The state before any operation.
    pub initial_state: Text,
    /// Its operations, in any order. A [`Step`] names one by its position here.
    pub operations: Vec<Operation>,
    /// The sequences the checker found, in any order: one of all operations if the verdict is [`Verdict::Ok`]; otherwise
    /// dead ends, after which no further operation is possible. With [`Verdict::Illegal`] none means that not even one
    /// operation could come first.
    pub linearizations: Vec<Vec<Step>>,
}

/// An operation of a client, from its call to its return, both included.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Who called. Any number, negative ones too; each gets its lane.
    pub client: i64,
    /// When it was called.
    pub call: u64,
    /// When it returned; not before `call`. Without meaning if it is `open`.
    pub ret: u64,
    /// What is written in its box, such as `put('x', 'y')`. The letters it begins with are its kind, which colours it.
    pub description: Text,
    /// What else is to be said about it.
    pub details: Text,
    /// It never returned: it may take effect at any time after its call.
    pub open: bool,
}

/// A step of a linearization.
#[derive(Clone, Debug)]
pub struct Step {
    /// The operation that takes effect, by its position in [`Partition::operations`].
    pub operation: u32,
    /// The state after it. Sequences that begin with the same operations have the same states so far.
    pub state: Text,
}

/// Something else to be seen on the time axis: a fault, a check, a note.
#[derive(Clone, Debug)]
pub struct Annotation {
    /// Where it is drawn.
    pub lane: Lane,
    /// When it begins.
    pub start: u64,
    /// When it ends; before `start`, or `None`: it is a moment.
    pub end: Option<u64>,
    /// What is written on it.
    pub label: Text,
    /// What is said about it on demand.
    pub details: Text,
    /// The colour of its background; grey without one. Its text is black or white, whichever is legible.
    pub colour: Option<Colour>,
}

/// A row of the picture. Clients come first, by number; then tags, in the order of their letters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The lane of a client.
    Client(i64),
    /// A lane of its own, with this name.
    Tag(Text),
}

/// A colour: red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

impl Operation {
    /// An operation that returned, without details.
    pub fn new(client: i64, call: u64, ret: u64, description: impl Into<Text>) -> Operation {
        Operation { client, call, ret, description: description.into(), details: Text::default(), open: false }
    }

    /// An operation that never returned, without details.
    pub fn open(client: i64, call: u64, description: impl Into<Text>) -> Operation {
        Operation { open: true, ..Operation::new(client, call, call, description) }
    }
}

impl Step {
    /// The step in which `operation` takes effect and leaves `state`.
    pub fn new(operation: u32, state: impl Into<Text>) -> Step {
        Step { operation, state: state.into() }
    }
}

impl Annotation {
    /// A moment, grey and without details.
    pub fn moment(lane: Lane, at: u64, label: impl Into<Text>) -> Annotation {
        Annotation { lane, start: at, end: None, label: label.into(), details: Text::default(), colour: None }
    }

    /// An interval, grey and without details.
    pub fn interval(lane: Lane, start: u64, end: u64, label: impl Into<Text>) -> Annotation {
        Annotation { end: Some(end), ..Annotation::moment(lane, start, label) }
    }
}
