//! Checks of key/value histories, one key at a time.

use std::{rc::Rc, sync::Arc};

use super::{
    History,
    analysis::{KeyAction, KeyAnalysis},
    history::{StoredAction, StoredOperation},
    rules::{ExhaustiveKvRules, PrunedKvRules},
    value_trie::{Place, ValueTrie},
};
use crate::{
    CheckResult, DescribedOperation, HistoryExplanation, PartitionExplanation, Verdict,
    entries::Entries,
    explain::{EXHAUSTIVE_STEPS, SHOWN_BYTES_MAX, quoted, quoted_ends},
    search::{PartitionSearch, Search},
    verdict::decide_partitions,
};

/// A budget of model steps that decides the histories of the lab, and bounds the time and memory of a check. The
/// largest histories, of 200,000 operations, need a tenth of it.
pub const BUDGET: u64 = 20_000_000;

impl History {
    /// Decides whether the history is linearizable. It stops at the first key that is not.
    ///
    /// `budget` is a number of model steps; [`BUDGET`] is a good value. All keys share it and take turns.
    pub fn check(&self, budget: u64) -> CheckResult {
        let (keys, mut searches, order) = self.key_searches(false);
        let decided = decide_partitions(&mut searches, &order, budget, true);
        CheckResult::new(&decided, |search| self.keys()[keys[search]].name.clone())
    }

    /// Decides like [`check`](History::check), but examines every key and reports how far linearizations get.
    ///
    /// The search gives the verdict. Afterwards, each key that is not linearizable gets up to 200,000 further steps of
    /// a search without shortcuts, which finds its partial linearizations.
    pub fn explain(&self, budget: u64) -> HistoryExplanation {
        let (_, mut searches, order) = self.key_searches(true);
        let decided = decide_partitions(&mut searches, &order, budget, false);
        let mut steps = decided.steps;
        let explanations = searches.iter().zip(&decided.verdicts).map(|(search, &verdict)| {
            let mut linearizations = search.sequences();
            if verdict != Verdict::Ok {
                let mut exhaustive =
                    Search::new(ExhaustiveKvRules(search.analyze(&search.entries())), search.entries(), true);
                let complete = exhaustive.advance(EXHAUSTIVE_STEPS).is_some();
                steps += exhaustive.steps();
                let shortcuts = if complete { Vec::new() } else { linearizations };
                linearizations = PartitionExplanation::merge(exhaustive.sequences(), shortcuts);
            }
            search.explanation(verdict, linearizations)
        });
        let partitions = explanations.collect();
        HistoryExplanation { verdict: Verdict::combine(decided.verdicts.iter().copied()), steps, partitions }
    }

    /// The keys, sorted by name; the search of each key; and the order of the searches, those with the fewest
    /// operations first.
    fn key_searches(&self, explain: bool) -> (Vec<usize>, Vec<KeySearch<'_>>, Vec<usize>) {
        let mut keys: Vec<usize> = (0..self.keys().len()).collect();
        keys.sort_unstable_by_key(|&key| &self.keys()[key].name);
        let mut operations: Vec<Vec<StoredOperation>> =
            self.keys().iter().map(|key| Vec::with_capacity(key.operations)).collect();
        for &stored in self.stored() {
            operations[stored.key as usize].push(stored);
        }
        let search = |&key: &usize| KeySearch {
            history: self,
            key,
            operations: std::mem::take(&mut operations[key]),
            explain,
            started: None,
        };
        let searches: Vec<KeySearch<'_>> = keys.iter().map(search).collect();
        let mut order: Vec<usize> = (0..searches.len()).collect();
        order.sort_by_key(|&search| searches[search].operations.len());
        (keys, searches, order)
    }
}

/// The search of one key, which is created on its first turn.
struct KeySearch<'a> {
    history: &'a History,
    key: usize,
    operations: Vec<StoredOperation>,
    explain: bool,
    started: Option<StartedSearch>,
}

struct StartedSearch {
    search: Search<PrunedKvRules>,
    analysis_steps: u64,
    refuted: bool,
}

impl KeySearch<'_> {
    fn entries(&self) -> Entries {
        Entries::new(self.operations.iter().map(|stored| (stored.call, stored.ret)))
    }

    fn analyze(&self, entries: &Entries) -> Rc<KeyAnalysis> {
        let key_actions = self.operations.iter().map(|stored| match stored.action {
            StoredAction::Get(place) => KeyAction::Get(place),
            StoredAction::Put(text) => KeyAction::Put(self.history.text(text)),
            StoredAction::Append(text) => KeyAction::Append(self.history.text(text)),
        });
        Rc::new(KeyAnalysis::new(&self.history.keys()[self.key].values, &key_actions.collect::<Vec<_>>(), entries))
    }

    fn start(&self) -> StartedSearch {
        let entries = self.entries();
        let analysis = self.analyze(&entries);
        // An explanation reports how far linearizations get, so it searches even if the analysis has refuted the
        // history.
        let (analysis_steps, refuted) = (analysis.steps(), analysis.refuted && !self.explain);
        StartedSearch {
            search: Search::new(PrunedKvRules::new(analysis), entries, self.explain),
            analysis_steps,
            refuted,
        }
    }

    fn sequences(&self) -> Vec<Vec<usize>> {
        self.started.as_ref().map(|started| started.search.sequences()).unwrap_or_default()
    }

    fn explanation(&self, verdict: Verdict, linearizations: Vec<Vec<usize>>) -> PartitionExplanation {
        let name = &self.history.keys()[self.key].name;
        let described = |stored: &StoredOperation| {
            let description = match stored.action {
                StoredAction::Get(place) => format!("get({}) -> {}", quoted(name), self.describe_value(place)),
                StoredAction::Put(text) => format!("put({}, {})", quoted(name), quoted(self.history.text(text))),
                StoredAction::Append(text) => format!("append({}, {})", quoted(name), quoted(self.history.text(text))),
            };
            DescribedOperation { client: stored.client, call: stored.call, ret: stored.ret, description }
        };
        let actions = self.operations.iter().map(|stored| match stored.action {
            StoredAction::Get(place) => ReplayAction::Get(place),
            StoredAction::Put(text) => ReplayAction::Put(self.history.text(text).to_owned()),
            StoredAction::Append(text) => ReplayAction::Append(self.history.text(text).to_owned()),
        });
        let actions: Vec<ReplayAction> = actions.collect();
        let values = self.history.keys()[self.key].values.clone();
        PartitionExplanation {
            name: name.clone(),
            verdict,
            operations: self.operations.iter().map(described).collect(),
            linearizations,
            initial: quoted(""),
            replay: Arc::new(move |linearization| replay(&values, &actions, linearization)),
        }
    }

    /// The value of a Get for readers. Of a long value only the ends are read, because there are many long values and
    /// they share most of their bytes.
    fn describe_value(&self, place: Place) -> String {
        if place.length as usize <= SHOWN_BYTES_MAX {
            return quoted(&self.history.returned(self.key as u32, place));
        }
        let values = &self.history.keys()[self.key].values;
        let beginning = values.copy(values.prefix(place, SHOWN_BYTES_MAX as u32));
        let mut end: Vec<u8> = values.bytes_reversed(place).take(SHOWN_BYTES_MAX).collect();
        end.reverse();
        // Either end may be cut within a character, but outside of the part that is shown.
        let (beginning, end) = (String::from_utf8_lossy(&beginning), String::from_utf8_lossy(&end));
        quoted_ends(&beginning, &end, place.length as usize)
    }
}

impl PartitionSearch for KeySearch<'_> {
    fn advance(&mut self, steps: u64) -> Option<bool> {
        if self.started.is_none() {
            self.started = Some(self.start());
        }
        let started = self.started.as_mut()?;
        if started.refuted { Some(false) } else { started.search.advance(steps) }
    }

    fn steps(&self) -> u64 {
        self.started.as_ref().map_or(0, |started| started.analysis_steps + started.search.steps())
    }
}

/// An operation of a replay: the value that a Get must find, or the value that a Put or Append writes.
#[derive(Debug)]
enum ReplayAction {
    Get(Place),
    Put(String),
    Append(String),
}

/// The values after each operation of the sequence, up to the first operation that is not legal.
fn replay(values: &ValueTrie, actions: &[ReplayAction], linearization: &[usize]) -> Vec<String> {
    let mut state = String::new();
    let mut states = Vec::with_capacity(linearization.len());
    for &operation in linearization {
        match actions.get(operation) {
            Some(ReplayAction::Get(place)) if values.find(&state) == Some(*place) => {}
            Some(ReplayAction::Put(value)) => state.clone_from(value),
            Some(ReplayAction::Append(value)) => state.push_str(value),
            Some(ReplayAction::Get(_)) | None => break,
        }
        states.push(quoted(&state));
    }
    states
}
