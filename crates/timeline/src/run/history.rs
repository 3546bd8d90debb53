//! The history of a run: operations by key, with the orders that the checker found; checks, faults and annotations.

use std::collections::BTreeMap;

use record::{AnnotationShape, CheckStep, Event, EventKind, Excerpt, Linearizable, OperationKind};

use crate::model::{Annotation, Colour, Lane, Operation, Partition, Step, Verdict};

/// The colours of the course's timelines.
const INFO: Colour = Colour(0xFA, 0xFA, 0xFA);
const NEUTRAL: Colour = Colour(0xFF, 0xEC, 0xB3);
const SUCCESS: Colour = Colour(0xC8, 0xE6, 0xC9);
const FAILURE: Colour = Colour(0xFF, 0xCD, 0xD2);
pub(super) const FAULT: Colour = Colour(0xB3, 0xE5, 0xFC);
const USER: Colour = Colour(0xFF, 0xF1, 0x76);

/// The lanes that the tester writes. The viewer knows them by these names. A program's note with such a tag appears in
/// the same lane.
pub(super) const CHECKS: &str = "$ Checks";
pub(super) const FAULTS: &str = "$ Faults";
pub(super) const AGREED: &str = "$ Agreed";

/// An operation with its reply. Times are in nanoseconds.
struct ClientOperation {
    client: u32,
    kind: OperationKind,
    key: String,
    value: Excerpt,
    call: u64,
    reply: Option<(u64, Excerpt)>,
}

/// A check that has begun and not ended.
struct OpenCheck {
    at: u64,
    text: String,
}

/// The history of a run.
#[derive(Default)]
pub(super) struct RunHistory {
    operations: BTreeMap<u64, ClientOperation>,
    linearized: BTreeMap<String, (Option<Verdict>, Vec<Vec<u64>>)>,
    begun: BTreeMap<u64, OpenCheck>,
    open: BTreeMap<String, (u64, String, String)>,
    pub(super) annotations: Vec<Annotation>,
    /// The times at which checks failed.
    pub(super) failed_checks: Vec<u64>,
}

impl RunHistory {
    /// Adds an event, if it belongs to the history.
    pub(super) fn add_event(&mut self, event: &Event) {
        let at = event.at;
        match &event.kind {
            EventKind::OperationBegun { operation, client, kind, key, value } => {
                self.operations.insert(
                    *operation,
                    ClientOperation {
                        client: *client,
                        kind: *kind,
                        key: key.clone(),
                        value: value.clone(),
                        call: at,
                        reply: None,
                    },
                );
            }
            EventKind::OperationEnded { operation, value } => {
                if let Some(operation) = self.operations.get_mut(operation) {
                    operation.reply = Some((at, value.clone()));
                }
            }
            EventKind::HistoryChecked { key, linearizable, orders } => {
                let verdict = match linearizable {
                    Linearizable::Yes => Verdict::Ok,
                    Linearizable::No => Verdict::Illegal,
                    Linearizable::Unknown => Verdict::Unknown,
                };
                self.linearized.insert(key.clone(), (Some(verdict), orders.clone()));
            }
            EventKind::Check { check, step: CheckStep::Begun, text } => {
                self.begun.insert(*check, OpenCheck { at, text: text.clone() });
            }
            EventKind::Check { check, step, text } => self.end_check(at, *check, *step, text),
            EventKind::CommandAgreed { index, servers } => {
                let label = format!("index {index}");
                self.annotate(AGREED, at, None, &label, &format!("{servers} servers have applied index {index}"), INFO);
            }
            EventKind::Annotated { tag, label, details, shape } => {
                let server = event.server.map_or(String::new(), |server| format!("{server}: "));
                self.add_annotation(at, tag, label, &format!("{server}{details}"), *shape);
            }
            _ => {}
        }
    }

    fn end_check(&mut self, at: u64, check: u64, step: CheckStep, text: &str) {
        let begun = self.begun.remove(&check).unwrap_or(OpenCheck { at, text: String::new() });
        let (colour, word) = match step {
            CheckStep::Passed => (SUCCESS, "passed"),
            CheckStep::Failed => (FAILURE, "FAILED"),
            CheckStep::Neutral | CheckStep::Begun => (NEUTRAL, "no verdict"),
        };
        if step == CheckStep::Failed {
            self.failed_checks.push(at);
        }
        let label = if begun.text.is_empty() { text } else { &begun.text };
        self.annotate(CHECKS, begun.at, Some(at), label, &format!("{word}: {text}"), colour);
    }

    fn add_annotation(&mut self, at: u64, tag: &str, label: &str, details: &str, shape: AnnotationShape) {
        match shape {
            AnnotationShape::Point => self.annotate(tag, at, None, label, details, USER),
            AnnotationShape::Since(from) => self.annotate(tag, from.min(at), Some(at), label, details, USER),
            AnnotationShape::Open | AnnotationShape::Close => {
                if let Some((from, label, details)) = self.open.remove(tag) {
                    self.annotate(tag, from, Some(at), &label, &details, USER);
                }
                if shape == AnnotationShape::Open {
                    self.open.insert(tag.to_owned(), (at, label.to_owned(), details.to_owned()));
                }
            }
        }
    }

    pub(super) fn annotate(
        &mut self,
        tag: &str,
        start: u64,
        end: Option<u64>,
        label: &str,
        details: &str,
        colour: Colour,
    ) {
        let lane = Lane::Tag(tag.into());
        self.annotations.push(Annotation {
            lane,
            start,
            end,
            label: label.into(),
            details: details.into(),
            colour: Some(colour),
        });
    }

    /// Ends all open checks and annotations at the end of the run.
    pub(super) fn finish(&mut self, at: u64) {
        for (_, OpenCheck { at: from, text }) in std::mem::take(&mut self.begun) {
            self.annotate(CHECKS, from, Some(at), &text, "not finished when the run ended", INFO);
        }
        for (tag, (from, label, details)) in std::mem::take(&mut self.open) {
            self.annotate(&tag, from, Some(at), &label, &details, USER);
        }
    }

    /// Returns the operations of each key, with times as multiples of `step` nanoseconds.
    pub(super) fn partitions(&self, step: u64) -> Vec<Partition> {
        let mut by_key: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (number, operation) in &self.operations {
            by_key.entry(&operation.key).or_default().push(*number);
        }
        by_key.into_iter().map(|(key, numbers)| self.partition(key, &numbers, step)).collect()
    }

    fn partition(&self, key: &str, numbers: &[u64], step: u64) -> Partition {
        let (verdict, orders) = match self.linearized.get(key) {
            Some((verdict, orders)) => (*verdict, orders.as_slice()),
            None => (None, &[][..]),
        };
        let place = |number: &u64| numbers.binary_search(number).ok();
        let linearizations = orders
            .iter()
            .map(|order| {
                order
                    .iter()
                    .filter_map(place)
                    .map(|at| Step::new(u32::try_from(at).expect("few operations"), ""))
                    .collect()
            })
            .collect();
        Partition {
            name: key.into(),
            verdict: verdict.unwrap_or(Verdict::Unchecked),
            initial_state: String::new().into(),
            operations: numbers.iter().map(|number| self.operations[number].to_operation(step)).collect(),
            linearizations,
        }
    }
}

impl ClientOperation {
    fn to_operation(&self, step: u64) -> Operation {
        let key = &self.key;
        let (client, call) = (i64::from(self.client), self.call / step);
        let description = match (self.kind, &self.reply) {
            (OperationKind::Get, Some((_, value))) => format!("get('{key}') → {}", quoted_excerpt(value)),
            (OperationKind::Get, None) => format!("get('{key}') → ?"),
            (OperationKind::Put, _) => format!("put('{key}', {})", quoted_excerpt(&self.value)),
            (OperationKind::Append, _) => format!("append('{key}', {})", quoted_excerpt(&self.value)),
        };
        match &self.reply {
            Some((ret, _)) => Operation::new(client, call, (ret / step).max(call), description),
            None => Operation::open(client, call, description),
        }
    }
}

/// Quotes the end of a value, and gives its whole length if there is more.
fn quoted_excerpt(value: &Excerpt) -> String {
    match value.bytes - (value.end.len() as u64).min(value.bytes) {
        0 => format!("'{}'", value.end),
        _ => format!("'…{}' ({} bytes)", value.end, value.bytes),
    }
}
