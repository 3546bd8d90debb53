//! The input: a page, its partitions with their operations and linearizations, and annotations.

use serde::Serialize;

use crate::text::Text;

/// The content of one page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The name of the run or history.
    pub title: Text,
    /// The result in a few words: the verdict, a seed, a command that replays the run.
    pub summary: Text,
    /// The unit of all times of this page.
    pub time_unit: TimeUnit,
    /// The parts of the history that are checked independently: one per key, or one for all keys.
    pub partitions: Vec<Partition>,
    /// Other intervals and moments on the time axis.
    pub annotations: Vec<Annotation>,
}

/// The unit of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// Nanoseconds from any origin. If times exceed 2^53 (as nanoseconds since 1970 do), the page counts from its first
    /// moment, because a browser's numbers are exact only up to 2^53.
    #[default]
    Nanoseconds,
    /// Positions, such as the line numbers of a log without times. Only their order has a meaning.
    Order,
}

/// The checker's verdict on a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// There is no linearization.
    Illegal,
    /// The checker gave up before it could decide.
    Unknown,
    /// The partition was not checked.
    Unchecked,
    /// There is a linearization.
    Ok,
}

/// A part of the history that is checked separately.
#[derive(Clone, Debug)]
pub struct Partition {
    /// The name, such as the key.
    pub name: Text,
    /// The checker's verdict.
    pub verdict: Verdict,
    /// The state before the first operation.
    pub initial_state: Text,
    /// The operations, in any order. A [`Step`] refers to an operation by its index here.
    pub operations: Vec<Operation>,
    /// The sequences that the checker found, in any order. With [`Verdict::Ok`], one sequence of all operations.
    /// Otherwise dead ends, after which no further operation is possible. With [`Verdict::Illegal`], an empty list
    /// means that no operation can be the first.
    pub linearizations: Vec<Vec<Step>>,
}

/// An operation of a client, from its call to its return, both included.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The client that called the operation. Any number is allowed, also a negative one; each client has its own lane.
    pub client: i64,
    /// The time of the call.
    pub call: u64,
    /// The time of the return, which is not before `call`. It has no meaning if the operation is `open`.
    pub ret: u64,
    /// The text in the box of the operation, such as `put('x', 'y')`. Its first letters are the kind of the operation,
    /// which determines the colour.
    pub description: Text,
    /// Further text about the operation.
    pub details: Text,
    /// Whether the operation never returned. It may then take effect at any time after its call.
    pub open: bool,
}

/// A step of a linearization.
#[derive(Clone, Debug)]
pub struct Step {
    /// The operation that takes effect, as an index into [`Partition::operations`].
    pub operation: u32,
    /// The state after it. Sequences with a common prefix have the same states along this prefix.
    pub state: Text,
}

/// Another interval or moment on the time axis: a fault, a check, a note.
#[derive(Clone, Debug)]
pub struct Annotation {
    /// The lane in which it is drawn.
    pub lane: Lane,
    /// The time of its start.
    pub start: u64,
    /// The time of its end. If it is `None` or before `start`, the annotation is a moment.
    pub end: Option<u64>,
    /// The text on the annotation.
    pub label: Text,
    /// The text of its tooltip.
    pub details: Text,
    /// The background colour; grey if it is `None`. The text is black or white, whichever is legible.
    pub colour: Option<Colour>,
}

/// A row of the timeline. Clients come first, by number; then tags, in alphabetical order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The lane of a client.
    Client(i64),
    /// A lane with this name.
    Tag(Text),
}

/// A colour: red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

impl Operation {
    /// Creates an operation that returned, without details.
    pub fn new(client: i64, call: u64, ret: u64, description: impl Into<Text>) -> Operation {
        Operation { client, call, ret, description: description.into(), details: Text::default(), open: false }
    }

    /// Creates an operation that never returned, without details.
    pub fn open(client: i64, call: u64, description: impl Into<Text>) -> Operation {
        Operation { open: true, ..Operation::new(client, call, call, description) }
    }
}

impl Step {
    /// Creates the step in which `operation` takes effect and leads to `state`.
    pub fn new(operation: u32, state: impl Into<Text>) -> Step {
        Step { operation, state: state.into() }
    }
}

impl Annotation {
    /// Creates a grey moment without details.
    pub fn moment(lane: Lane, at: u64, label: impl Into<Text>) -> Annotation {
        Annotation { lane, start: at, end: None, label: label.into(), details: Text::default(), colour: None }
    }

    /// Creates a grey interval without details.
    pub fn interval(lane: Lane, start: u64, end: u64, label: impl Into<Text>) -> Annotation {
        Annotation { end: Some(end), ..Annotation::moment(lane, start, label) }
    }
}
