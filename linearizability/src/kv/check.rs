//! Checks of key/value histories, a key at a time.

use std::{rc::Rc, sync::Arc};

use super::{
    History,
    history::{Stored, What},
    plan::{Act, Plan},
    rules::{Guided, Plain},
    values::{Place, Values},
};
use crate::{
    Checked, Described, Explained, Explanation, Verdict,
    entries::Entries,
    explain::{PLAIN_STEPS, SHOWN_BYTES_MAX, quoted, quoted_ends},
    search::{Examine, Search},
    verdict::decide,
};

/// A budget of model steps that decides the histories of the lab, and bounds the time and memory of a check. The largest
/// ones, of 200,000 operations, need a tenth of it.
pub const BUDGET: u64 = 20_000_000;

impl History {
    /// Whether the history is linearizable. Stops at the first key that is not.
    ///
    /// `budget` is a number of model steps ([`BUDGET`] is a good one) for all keys together, which they are given in
    /// turns.
    pub fn check(&self, budget: u64) -> Checked {
        let (keys, mut parts, order) = self.parts(false);
        let decided = decide(&mut parts, &order, budget, true);
        Checked::new(&decided, |part| self.keys()[keys[part]].name.clone())
    }

    /// Like [`check`](History::check), but goes on to examine every key, and says how far linearizations get.
    ///
    /// The verdict is that of the search; after it, up to 200,000 steps more are spent on each key that is not
    /// linearizable, to find its partial linearizations without any shortcut.
    pub fn explain(&self, budget: u64) -> Explained {
        let (_, mut parts, order) = self.parts(true);
        let decided = decide(&mut parts, &order, budget, false);
        let mut steps = decided.steps;
        let explanations = parts.iter().zip(&decided.verdicts).map(|(part, &verdict)| {
            let mut linearizations = part.sequences();
            if verdict != Verdict::Ok {
                let mut plain = Search::new(Plain(part.plan(&part.entries())), part.entries(), true);
                let complete = plain.advance(PLAIN_STEPS).is_some();
                steps += plain.steps();
                let shortcuts = if complete { Vec::new() } else { linearizations };
                linearizations = Explanation::merge(plain.sequences(), shortcuts);
            }
            part.explanation(verdict, linearizations)
        });
        let partitions = explanations.collect();
        Explained { verdict: Verdict::of_all(decided.verdicts.iter().copied()), steps, partitions }
    }

    /// The keys, sorted by name; the operations on each; and in which order to take them, those with the fewest
    /// operations first.
    fn parts(&self, explain: bool) -> (Vec<usize>, Vec<Part<'_>>, Vec<usize>) {
        let mut keys: Vec<usize> = (0..self.keys().len()).collect();
        keys.sort_unstable_by_key(|&key| &self.keys()[key].name);
        let mut operations: Vec<Vec<Stored>> =
            self.keys().iter().map(|key| Vec::with_capacity(key.operations)).collect();
        for &stored in self.stored() {
            operations[stored.key as usize].push(stored);
        }
        let part = |&key: &usize| Part {
            history: self,
            key,
            operations: std::mem::take(&mut operations[key]),
            explain,
            begun: None,
        };
        let parts: Vec<Part<'_>> = keys.iter().map(part).collect();
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|&part| parts[part].operations.len());
        (keys, parts, order)
    }
}

/// The operations on one key, whose search is set up when its turn comes.
struct Part<'a> {
    history: &'a History,
    key: usize,
    operations: Vec<Stored>,
    explain: bool,
    begun: Option<Begun>,
}

struct Begun {
    search: Search<Guided>,
    planning_steps: u64,
    refuted: bool,
}

impl Part<'_> {
    fn entries(&self) -> Entries {
        Entries::new(self.operations.iter().map(|stored| (stored.call, stored.ret)))
    }

    fn plan(&self, entries: &Entries) -> Rc<Plan> {
        let acts = self.operations.iter().map(|stored| match stored.what {
            What::Get(place) => Act::Get(place),
            What::Put(text) => Act::Put(self.history.text(text)),
            What::Append(text) => Act::Append(self.history.text(text)),
        });
        Rc::new(Plan::new(&self.history.keys()[self.key].values, &acts.collect::<Vec<_>>(), entries))
    }

    fn begin(&self) -> Begun {
        let entries = self.entries();
        let plan = self.plan(&entries);
        // An explanation is about how far one can get, so it searches even if it is clear that there is no way through.
        let (planning_steps, refuted) = (plan.steps(), plan.refuted && !self.explain);
        Begun { search: Search::new(Guided::new(plan), entries, self.explain), planning_steps, refuted }
    }

    fn sequences(&self) -> Vec<Vec<usize>> {
        self.begun.as_ref().map(|begun| begun.search.sequences()).unwrap_or_default()
    }

    fn explanation(&self, verdict: Verdict, linearizations: Vec<Vec<usize>>) -> Explanation {
        let name = &self.history.keys()[self.key].name;
        let described = |stored: &Stored| {
            let description = match stored.what {
                What::Get(place) => format!("get({}) -> {}", quoted(name), self.shown(place)),
                What::Put(text) => format!("put({}, {})", quoted(name), quoted(self.history.text(text))),
                What::Append(text) => format!("append({}, {})", quoted(name), quoted(self.history.text(text))),
            };
            Described { client: stored.client, call: stored.call, ret: stored.ret, description }
        };
        let effects = self.operations.iter().map(|stored| match stored.what {
            What::Get(place) => Effect::Get(place),
            What::Put(text) => Effect::Put(self.history.text(text).to_owned()),
            What::Append(text) => Effect::Append(self.history.text(text).to_owned()),
        });
        let effects: Vec<Effect> = effects.collect();
        let values = self.history.keys()[self.key].values.clone();
        Explanation {
            name: name.clone(),
            verdict,
            operations: self.operations.iter().map(described).collect(),
            linearizations,
            initial: quoted(""),
            replay: Arc::new(move |linearization| replay(&values, &effects, linearization)),
        }
    }

    /// A Get's value for people. Of a long one only the ends are read: there are many, and they share nearly all.
    fn shown(&self, place: Place) -> String {
        if place.length as usize <= SHOWN_BYTES_MAX {
            return quoted(&self.history.returned(self.key as u32, place));
        }
        let values = &self.history.keys()[self.key].values;
        let beginning = values.copy(values.prefix(place, SHOWN_BYTES_MAX as u32));
        let mut end: Vec<u8> = values.bytes_backwards(place).take(SHOWN_BYTES_MAX).collect();
        end.reverse();
        // Either may be cut within a character, far from what is shown of it.
        let (beginning, end) = (String::from_utf8_lossy(&beginning), String::from_utf8_lossy(&end));
        quoted_ends(&beginning, &end, place.length as usize)
    }
}

impl Examine for Part<'_> {
    fn advance(&mut self, steps: u64) -> Option<bool> {
        if self.begun.is_none() {
            self.begun = Some(self.begin());
        }
        let begun = self.begun.as_mut()?;
        if begun.refuted { Some(false) } else { begun.search.advance(steps) }
    }

    fn steps(&self) -> u64 {
        self.begun.as_ref().map_or(0, |begun| begun.planning_steps + begun.search.steps())
    }
}

/// What an operation does to a value, or finds it to be.
#[derive(Debug)]
enum Effect {
    Get(Place),
    Put(String),
    Append(String),
}

/// The values after each of these operations, until one is not legal.
fn replay(values: &Values, effects: &[Effect], linearization: &[usize]) -> Vec<String> {
    let mut state = String::new();
    let mut states = Vec::with_capacity(linearization.len());
    for &operation in linearization {
        match effects.get(operation) {
            Some(Effect::Get(place)) if values.find(&state) == Some(*place) => {}
            Some(Effect::Put(value)) => state.clone_from(value),
            Some(Effect::Append(value)) => state.push_str(value),
            Some(Effect::Get(_)) | None => break,
        }
        states.push(quoted(&state));
    }
    states
}
