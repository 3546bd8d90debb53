//! Checks of histories of any [`Model`].

use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::{
    Checked, Described, Explained, Explanation, Model, Operation, Partition, Verdict,
    entries::Entries,
    explain::PLAIN_STEPS,
    search::{Examine, Move, Rules, Search},
    verdict::decide,
};

/// Whether a history is linearizable. Stops at the first partition that is not.
///
/// `budget` is a number of model steps for all partitions together, which they are given in turns.
///
/// # Panics
///
/// If an operation returns before it is called.
pub fn check<M: Model>(model: &M, history: &[Partition<M::Operation>], budget: u64) -> Checked {
    let mut searches: Vec<_> = history.iter().map(|partition| Lazily::new(model, partition, false)).collect();
    let decided = decide(&mut searches, &shortest_first(history), budget, true);
    Checked::new(&decided, |partition| history[partition].name.clone())
}

/// Like [`check`], but goes on to examine every partition, and says how far linearizations get.
///
/// The verdict is that of the search; after it, up to 200,000 steps more are spent on each partition that is not
/// linearizable, to find its partial linearizations without any shortcut.
///
/// # Panics
///
/// If an operation returns before it is called.
pub fn explain<M>(model: &M, history: &[Partition<M::Operation>], budget: u64) -> Explained
where
    M: Model + Clone + Send + Sync + 'static,
    M::Operation: Clone + Send + Sync + 'static,
{
    let mut searches: Vec<_> = history.iter().map(|partition| Lazily::new(model, partition, true)).collect();
    let decided = decide(&mut searches, &shortest_first(history), budget, false);
    let mut steps = decided.steps;
    let explanations = history.iter().zip(searches).zip(&decided.verdicts).map(|((partition, search), &verdict)| {
        let mut linearizations = search.sequences();
        if verdict != Verdict::Ok {
            let mut plain = Search::new(Plain { model, partition }, entries(partition), true);
            let complete = plain.advance(PLAIN_STEPS).is_some();
            steps += plain.steps();
            linearizations = Explanation::merge(plain.sequences(), if complete { Vec::new() } else { linearizations });
        }
        explanation(model, partition, verdict, linearizations)
    });
    let partitions = explanations.collect();
    Explained { verdict: Verdict::of_all(decided.verdicts.iter().copied()), steps, partitions }
}

fn explanation<M>(
    model: &M,
    partition: &Partition<M::Operation>,
    verdict: Verdict,
    linearizations: Vec<Vec<usize>>,
) -> Explanation
where
    M: Model + Clone + Send + Sync + 'static,
    M::Operation: Clone + Send + Sync + 'static,
{
    let described = |operation: &Operation<M::Operation>| Described {
        client: operation.client,
        call: operation.call,
        ret: operation.ret,
        description: model.describe_operation(&operation.what),
    };
    let replayed = model.clone();
    let operations: Vec<_> = partition.operations.iter().map(|operation| operation.what.clone()).collect();
    Explanation {
        name: partition.name.clone(),
        verdict,
        operations: partition.operations.iter().map(described).collect(),
        linearizations,
        initial: model.describe_state(&model.initial()),
        replay: Arc::new(move |linearization| {
            let mut state = replayed.initial();
            let after = linearization.iter().map_while(|&operation| {
                state = replayed.step(&state, operations.get(operation)?)?;
                Some(replayed.describe_state(&state))
            });
            after.collect()
        }),
    }
}

/// The partitions, those with the fewest operations first.
fn shortest_first<T>(history: &[Partition<T>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..history.len()).collect();
    order.sort_by_key(|&partition| history[partition].operations.len());
    order
}

fn entries<T>(partition: &Partition<T>) -> Entries {
    Entries::new(partition.operations.iter().map(|operation| (operation.call, operation.ret)))
}

/// A partition whose search is set up when its turn comes.
struct Lazily<'a, M: Model> {
    model: &'a M,
    partition: &'a Partition<M::Operation>,
    explain: bool,
    search: Option<Search<Reduced<'a, M>>>,
}

impl<'a, M: Model> Lazily<'a, M> {
    fn new(model: &'a M, partition: &'a Partition<M::Operation>, explain: bool) -> Lazily<'a, M> {
        Lazily { model, partition, explain, search: None }
    }

    fn sequences(&self) -> Vec<Vec<usize>> {
        self.search.as_ref().map(Search::sequences).unwrap_or_default()
    }
}

impl<M: Model> Examine for Lazily<'_, M> {
    fn advance(&mut self, steps: u64) -> Option<bool> {
        let set_up = || Search::new(Reduced::new(self.model, self.partition), entries(self.partition), self.explain);
        self.search.get_or_insert_with(set_up).advance(steps)
    }

    fn steps(&self) -> u64 {
        self.search.as_ref().map_or(0, Examine::steps)
    }
}

/// A model and nothing more: every move is tried.
struct Plain<'a, M: Model> {
    model: &'a M,
    partition: &'a Partition<M::Operation>,
}

impl<M: Model> Rules for Plain<'_, M> {
    type State = M::State;

    fn initial(&self) -> M::State {
        self.model.initial()
    }

    fn step(&self, state: &M::State, operation: usize) -> Option<M::State> {
        self.model.step(state, &self.partition.operations[operation].what)
    }
}

/// A model with the two shortcuts that hold for every object.
///
/// A read that fits is taken at once: in a linearization in which it comes later, it can be moved here, for it changes no
/// state, and being open it has to wait for nobody. And of equal operations only one is tried (see [`Rules::class`]).
struct Reduced<'a, M: Model> {
    plain: Plain<'a, M>,
    reads: Vec<bool>,
    classes: Vec<u32>,
}

impl<'a, M: Model> Reduced<'a, M> {
    fn new(model: &'a M, partition: &'a Partition<M::Operation>) -> Reduced<'a, M> {
        let operations = partition.operations.iter().map(|operation| &operation.what);
        let mut numbers = FxHashMap::default();
        let classes = operations.clone().map(|what| {
            let next = numbers.len() as u32;
            *numbers.entry(what).or_insert(next)
        });
        let classes = classes.collect();
        let reads = operations.map(|what| model.is_read(what)).collect();
        Reduced { plain: Plain { model, partition }, reads, classes }
    }
}

impl<M: Model> Rules for Reduced<'_, M>
where
    M::Operation: Eq + Hash,
{
    type State = M::State;

    fn initial(&self) -> M::State {
        self.plain.initial()
    }

    fn step(&self, state: &M::State, operation: usize) -> Option<M::State> {
        self.plain.step(state, operation)
    }

    fn judge(&self, _: &M::State, operation: usize, _: &M::State) -> Move {
        if self.reads[operation] { Move::Commit } else { Move::Try }
    }

    fn class(&self, operation: usize) -> Option<u32> {
        Some(self.classes[operation])
    }
}
