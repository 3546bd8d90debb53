//! Checks of histories against any [`Model`].

use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::{
    CheckResult, DescribedOperation, HistoryExplanation, Model, Operation, Partition, PartitionExplanation, Verdict,
    entries::Entries,
    explain::EXHAUSTIVE_STEPS,
    search::{MoveAdvice, PartitionSearch, Rules, Search},
    verdict::decide_partitions,
};

/// Decides whether a history is linearizable. It stops at the first partition that is not.
///
/// `budget` is a number of model steps. All partitions share it and take turns.
///
/// # Panics
///
/// Panics if an operation returns before it is called.
pub fn check<M: Model>(model: &M, history: &[Partition<M::Action>], budget: u64) -> CheckResult {
    let mut searches: Vec<_> = history.iter().map(|partition| LazySearch::new(model, partition, false)).collect();
    let decided = decide_partitions(&mut searches, &shortest_first(history), budget, true);
    CheckResult::new(&decided, |partition| history[partition].name.clone())
}

/// Decides like [`check`], but examines every partition and reports how far linearizations get.
///
/// The search gives the verdict. Afterwards, each partition that is not linearizable gets up to 200,000 further steps
/// of a search without shortcuts, which finds its partial linearizations.
///
/// # Panics
///
/// Panics if an operation returns before it is called.
pub fn explain<M>(model: &M, history: &[Partition<M::Action>], budget: u64) -> HistoryExplanation
where
    M: Model + Clone + Send + Sync + 'static,
    M::Action: Clone + Send + Sync + 'static,
{
    let mut searches: Vec<_> = history.iter().map(|partition| LazySearch::new(model, partition, true)).collect();
    let decided = decide_partitions(&mut searches, &shortest_first(history), budget, false);
    let mut steps = decided.steps;
    let explanations = history.iter().zip(searches).zip(&decided.verdicts).map(|((partition, search), &verdict)| {
        let mut linearizations = search.sequences();
        if verdict != Verdict::Ok {
            let mut exhaustive = Search::new(ExhaustiveRules { model, partition }, entries(partition), true);
            let complete = exhaustive.advance(EXHAUSTIVE_STEPS).is_some();
            steps += exhaustive.steps();
            linearizations =
                PartitionExplanation::merge(exhaustive.sequences(), if complete { Vec::new() } else { linearizations });
        }
        explanation(model, partition, verdict, linearizations)
    });
    let partitions = explanations.collect();
    HistoryExplanation { verdict: Verdict::combine(decided.verdicts.iter().copied()), steps, partitions }
}

fn explanation<M>(
    model: &M,
    partition: &Partition<M::Action>,
    verdict: Verdict,
    linearizations: Vec<Vec<usize>>,
) -> PartitionExplanation
where
    M: Model + Clone + Send + Sync + 'static,
    M::Action: Clone + Send + Sync + 'static,
{
    let described = |operation: &Operation<M::Action>| DescribedOperation {
        client: operation.client,
        call: operation.call,
        ret: operation.ret,
        description: model.describe_action(&operation.action),
    };
    let replayed = model.clone();
    let operations: Vec<_> = partition.operations.iter().map(|operation| operation.action.clone()).collect();
    PartitionExplanation {
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

/// The indices of the partitions, those with the fewest operations first.
fn shortest_first<T>(history: &[Partition<T>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..history.len()).collect();
    order.sort_by_key(|&partition| history[partition].operations.len());
    order
}

fn entries<T>(partition: &Partition<T>) -> Entries {
    Entries::new(partition.operations.iter().map(|operation| (operation.call, operation.ret)))
}

/// The search of one partition, which is created on its first turn.
struct LazySearch<'a, M: Model> {
    model: &'a M,
    partition: &'a Partition<M::Action>,
    explain: bool,
    search: Option<Search<ReducedRules<'a, M>>>,
}

impl<'a, M: Model> LazySearch<'a, M> {
    fn new(model: &'a M, partition: &'a Partition<M::Action>, explain: bool) -> LazySearch<'a, M> {
        LazySearch { model, partition, explain, search: None }
    }

    fn sequences(&self) -> Vec<Vec<usize>> {
        self.search.as_ref().map(Search::sequences).unwrap_or_default()
    }
}

impl<M: Model> PartitionSearch for LazySearch<'_, M> {
    fn advance(&mut self, steps: u64) -> Option<bool> {
        let set_up =
            || Search::new(ReducedRules::new(self.model, self.partition), entries(self.partition), self.explain);
        self.search.get_or_insert_with(set_up).advance(steps)
    }

    fn steps(&self) -> u64 {
        self.search.as_ref().map_or(0, PartitionSearch::steps)
    }
}

/// The rules of a model without shortcuts: the search tries every move.
struct ExhaustiveRules<'a, M: Model> {
    model: &'a M,
    partition: &'a Partition<M::Action>,
}

impl<M: Model> Rules for ExhaustiveRules<'_, M> {
    type State = M::State;

    fn initial(&self) -> M::State {
        self.model.initial()
    }

    fn step(&self, state: &M::State, operation: usize) -> Option<M::State> {
        self.model.step(state, &self.partition.operations[operation].action)
    }
}

/// The rules of a model with the two shortcuts that hold for every object.
///
/// The search takes a legal read at once. In a linearization in which the read comes later, it can be moved to this
/// place: it changes no state, and as an open operation it need not follow any outstanding operation. Of equal
/// operations the search tries only one (see [`Rules::equivalence_class`]).
struct ReducedRules<'a, M: Model> {
    exhaustive: ExhaustiveRules<'a, M>,
    reads: Vec<bool>,
    classes: Vec<u32>,
}

impl<'a, M: Model> ReducedRules<'a, M> {
    fn new(model: &'a M, partition: &'a Partition<M::Action>) -> ReducedRules<'a, M> {
        let operations = partition.operations.iter().map(|operation| &operation.action);
        let mut numbers = FxHashMap::default();
        let classes = operations.clone().map(|action| {
            let next = numbers.len() as u32;
            *numbers.entry(action).or_insert(next)
        });
        let classes = classes.collect();
        let reads = operations.map(|action| model.is_read(action)).collect();
        ReducedRules { exhaustive: ExhaustiveRules { model, partition }, reads, classes }
    }
}

impl<M: Model> Rules for ReducedRules<'_, M>
where
    M::Action: Eq + Hash,
{
    type State = M::State;

    fn initial(&self) -> M::State {
        self.exhaustive.initial()
    }

    fn step(&self, state: &M::State, operation: usize) -> Option<M::State> {
        self.exhaustive.step(state, operation)
    }

    fn advise(&self, _: &M::State, operation: usize, _: &M::State) -> MoveAdvice {
        if self.reads[operation] { MoveAdvice::Commit } else { MoveAdvice::Try }
    }

    fn equivalence_class(&self, operation: usize) -> Option<u32> {
        Some(self.classes[operation])
    }
}
