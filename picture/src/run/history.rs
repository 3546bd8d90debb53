//! What of a run is a history: operations by key with the orders that the checker found; checks, faults and annotations.

use std::collections::BTreeMap;

use record::{CheckStep, Event, EventKind, Excerpt, Legal, OperationKind, Shape};

use crate::model::{Annotation, Colour, Lane, Operation, Partition, Step, Verdict};

/// The colours of the course's pictures.
const INFO: Colour = Colour(0xFA, 0xFA, 0xFA);
const NEUTRAL: Colour = Colour(0xFF, 0xEC, 0xB3);
const SUCCESS: Colour = Colour(0xC8, 0xE6, 0xC9);
const FAILURE: Colour = Colour(0xFF, 0xCD, 0xD2);
pub(super) const FAULT: Colour = Colour(0xB3, 0xE5, 0xFC);
const USER: Colour = Colour(0xFF, 0xF1, 0x76);

/// The lanes that the tester writes. The page knows them by these names; a note of the program with such a tag lies beside.
pub(super) const CHECKS: &str = "$ Checks";
pub(super) const FAULTS: &str = "$ Faults";
pub(super) const AGREED: &str = "$ Agreed";

/// An operation and what belongs to it. Times are nanoseconds.
struct Asked {
    client: u32,
    what: OperationKind,
    key: String,
    value: Excerpt,
    call: u64,
    answer: Option<(u64, Excerpt)>,
}

/// A check that has begun.
struct Begun {
    at: u64,
    text: String,
}

/// The history of a run.
#[derive(Default)]
pub(super) struct History {
    operations: BTreeMap<u64, Asked>,
    linearized: BTreeMap<String, (Option<Verdict>, Vec<Vec<u64>>)>,
    begun: BTreeMap<u64, Begun>,
    open: BTreeMap<String, (u64, String, String)>,
    pub(super) annotations: Vec<Annotation>,
    /// When checks failed.
    pub(super) failed_checks: Vec<u64>,
}

impl History {
    /// Takes in an event, if it belongs here.
    pub(super) fn happened(&mut self, event: &Event) {
        let at = event.at;
        match &event.kind {
            EventKind::OperationBegun { operation, client, what, key, value } => {
                let asked = Asked {
                    client: *client,
                    what: *what,
                    key: key.clone(),
                    value: value.clone(),
                    call: at,
                    answer: None,
                };
                self.operations.insert(*operation, asked);
            }
            EventKind::OperationEnded { operation, value } => {
                if let Some(asked) = self.operations.get_mut(operation) {
                    asked.answer = Some((at, value.clone()));
                }
            }
            EventKind::Linearized { key, legal, orders } => {
                let verdict = match legal {
                    Legal::Yes => Verdict::Ok,
                    Legal::No => Verdict::Illegal,
                    Legal::Unknown => Verdict::Unknown,
                };
                self.linearized.insert(key.clone(), (Some(verdict), orders.clone()));
            }
            EventKind::Check { check, step: CheckStep::Begun, text } => {
                self.begun.insert(*check, Begun { at, text: text.clone() });
            }
            EventKind::Check { check, step, text } => self.checked(at, *check, *step, text),
            EventKind::CommandAgreed { index, servers } => {
                let label = format!("index {index}");
                self.annotate(AGREED, at, None, &label, &format!("{servers} servers have applied index {index}"), INFO);
            }
            EventKind::Annotated { tag, label, details, shape } => {
                let whose = event.server.map_or(String::new(), |server| format!("{server}: "));
                self.noted(at, tag, label, &format!("{whose}{details}"), *shape);
            }
            _ => {}
        }
    }

    fn checked(&mut self, at: u64, check: u64, step: CheckStep, text: &str) {
        let begun = self.begun.remove(&check).unwrap_or(Begun { at, text: String::new() });
        let (colour, word) = match step {
            CheckStep::Passed => (SUCCESS, "passed"),
            CheckStep::Failed => (FAILURE, "FAILED"),
            CheckStep::Neutral | CheckStep::Begun => (NEUTRAL, "nothing to judge"),
        };
        if step == CheckStep::Failed {
            self.failed_checks.push(at);
        }
        let label = if begun.text.is_empty() { text } else { &begun.text };
        self.annotate(CHECKS, begun.at, Some(at), label, &format!("{word}: {text}"), colour);
    }

    fn noted(&mut self, at: u64, tag: &str, label: &str, details: &str, shape: Shape) {
        match shape {
            Shape::Point => self.annotate(tag, at, None, label, details, USER),
            Shape::Since(from) => self.annotate(tag, from.min(at), Some(at), label, details, USER),
            Shape::Open | Shape::Close => {
                if let Some((from, label, details)) = self.open.remove(tag) {
                    self.annotate(tag, from, Some(at), &label, &details, USER);
                }
                if shape == Shape::Open {
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

    /// The run is over: what is open ends.
    pub(super) fn finish(&mut self, at: u64) {
        for (_, Begun { at: from, text }) in std::mem::take(&mut self.begun) {
            self.annotate(CHECKS, from, Some(at), &text, "not finished when the run was over", INFO);
        }
        for (tag, (from, label, details)) in std::mem::take(&mut self.open) {
            self.annotate(&tag, from, Some(at), &label, &details, USER);
        }
    }

    /// The operations, key by key, with times as multiples of `step` nanoseconds.
    pub(super) fn partitions(&self, step: u64) -> Vec<Partition> {
        let mut by_key: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (number, asked) in &self.operations {
            by_key.entry(&asked.key).or_default().push(*number);
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
            operations: numbers.iter().map(|number| self.operations[number].shown(step)).collect(),
            linearizations,
        }
    }
}

impl Asked {
    fn shown(&self, step: u64) -> Operation {
        let key = &self.key;
        let (client, call) = (i64::from(self.client), self.call / step);
        let description = match (self.what, &self.answer) {
            (OperationKind::Get, Some((_, value))) => format!("get('{key}') → {}", words(value)),
            (OperationKind::Get, None) => format!("get('{key}') → ?"),
            (OperationKind::Put, _) => format!("put('{key}', {})", words(&self.value)),
            (OperationKind::Append, _) => format!("append('{key}', {})", words(&self.value)),
        };
        match &self.answer {
            Some((ret, _)) => Operation::new(client, call, (ret / step).max(call), description),
            None => Operation::open(client, call, description),
        }
    }
}

/// The end of a value, and how long all of it is if there is more.
fn words(value: &Excerpt) -> String {
    match value.bytes - (value.end.len() as u64).min(value.bytes) {
        0 => format!("'{}'", value.end),
        _ => format!("'…{}' ({} bytes)", value.end, value.bytes),
    }
}
