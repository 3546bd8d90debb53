//! The search for a linearization of one partition: the algorithm of Wing and Gong, with Lowe's memory of failed
//! configurations.
//!
//! The search walks a tree. At each node some operations are linearized, in an order that leads to a state. The
//! operations that may come next are *open*: called before the first return that is still outstanding. The search takes
//! one that is legal and goes on. If no open operation is legal, it backtracks to the last node with an untried move.
//! It remembers each configuration (set of operations and state) from which no path leads to the end, because many
//! orders lead to the same configuration.
//!
//! [`Rules`] contribute what a model knows beyond "legal or not": that a move is hopeless, or that it can be taken at
//! once and never be reconsidered. Both must be exact: if any path leads from a node to the end, one must remain.

use std::hash::Hash;

use crate::{
    entries::Entries,
    failed_configurations::{FailedConfigurations, OperationSet},
    longest_sequences::LongestSequences,
};

/// A model together with its operations, which are numbered by their positions in the input.
pub(crate) trait Rules {
    type State: Clone + Eq + Hash;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after the operation, if the operation is legal.
    fn step(&self, state: &Self::State, operation: usize) -> Option<Self::State>;

    /// Advises on the move from `state` to `next`.
    fn advise(&self, state: &Self::State, operation: usize, next: &Self::State) -> MoveAdvice {
        let _ = (state, operation, next);
        MoveAdvice::Try
    }

    /// The equivalence class of an operation: operations of one class have the same effect on every state. Of the open
    /// operations of a class the search tries only the one that returns first, because in a linearization that begins
    /// with another one the two can be swapped. `None` switches this off.
    fn equivalence_class(&self, operation: usize) -> Option<u32> {
        let _ = operation;
        None
    }

    /// Called when the search makes a move. It may replace `next` by another state from which exactly the same paths
    /// lead on, given the operations that are linearized now.
    fn apply_move(&mut self, operation: usize, next: &mut Self::State) {
        let _ = (operation, next);
    }

    /// Called when the search undoes its last move.
    fn undo_move(&mut self, operation: usize) {
        let _ = operation;
    }
}

/// The advice of [`Rules::advise`] on a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MoveAdvice {
    /// If any path leads from here to the end, one begins with this operation.
    Commit,
    /// Nothing is known.
    Try,
    /// No path to the end begins with this operation.
    Skip,
}

/// The examination of a partition, which runs in slices of the budget.
pub(crate) trait PartitionSearch {
    /// Continues until the partition is decided, or until about `steps` further steps have been made. Returns whether
    /// the partition is linearizable, if that is known.
    fn advance(&mut self, steps: u64) -> Option<bool>;

    /// The number of model steps made so far.
    fn steps(&self) -> u64;
}

/// The search in one partition.
#[derive(Debug)]
pub(crate) struct Search<R: Rules> {
    rules: R,
    entries: Entries,
    linearized: OperationSet,
    state: R::State,
    path: Vec<MadeMove<R::State>>,
    /// The moves not yet tried at each node of the path, the next one last. Those of a node begin at
    /// `MadeMove::choices`.
    choices: Vec<UntriedMove<R::State>>,
    failed: FailedConfigurations<R::State>,
    longest: Option<LongestSequences>,
    phase: Phase,
    steps: u64,
}

/// A move that the search has made, with the data to undo it.
#[derive(Debug)]
struct MadeMove<S> {
    operation: u32,
    before: S,
    /// The index in `Search::choices` at which the other moves of the node begin.
    choices: usize,
    committed: bool,
}

#[derive(Debug)]
struct UntriedMove<S> {
    operation: u32,
    class: Option<u32>,
    next: S,
}

/// The next action of the search.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Look at a new node.
    Expand,
    /// Take the next untried move of a node; its untried moves begin at this index of `choices`.
    Choose(usize),
    /// Leave a node from which no path leads to the end.
    Backtrack,
    /// Done.
    Decided(bool),
}

impl<R: Rules> Search<R> {
    /// Creates a search that has not begun. `entries` must number the operations by the same positions as `rules`. With
    /// `explain`, the search records sequences for [`Search::sequences`].
    pub(crate) fn new(rules: R, entries: Entries, explain: bool) -> Search<R> {
        let operations = entries.operation_count();
        Search {
            state: rules.initial(),
            rules,
            entries,
            linearized: OperationSet::new(operations),
            path: Vec::with_capacity(operations),
            choices: Vec::new(),
            failed: FailedConfigurations::new(),
            longest: explain.then(|| LongestSequences::new(operations)),
            phase: Phase::Expand,
            steps: 0,
        }
    }

    /// Returns the longest linearizations found, as positions in the input: the complete one if there is one, otherwise
    /// the distinct partial ones, longest first.
    pub(crate) fn sequences(&self) -> Vec<Vec<usize>> {
        let positions = |operations: &mut dyn Iterator<Item = u32>| {
            operations.map(|operation| self.entries.position(operation)).collect::<Vec<_>>()
        };
        if let Phase::Decided(true) = self.phase {
            return vec![positions(&mut self.path.iter().map(|taken| taken.operation))];
        }
        let sequences = self.longest.as_ref().map(LongestSequences::sequences).unwrap_or_default();
        sequences.into_iter().map(|sequence| positions(&mut sequence.into_iter())).collect()
    }

    fn expand(&mut self) -> Phase {
        let Some(first) = self.entries.first() else { return Phase::Decided(true) };
        if self.failed.contains(&self.linearized, &self.state, first) {
            return Phase::Backtrack;
        }
        let base = self.choices.len();
        let mut open = self.entries.open_calls();
        while let Some(operation) = open.next(&self.entries) {
            let position = self.entries.position(operation);
            self.steps += 1;
            let Some(next) = self.rules.step(&self.state, position) else { continue };
            match self.rules.advise(&self.state, position, &next) {
                MoveAdvice::Skip => {}
                MoveAdvice::Commit => {
                    self.choices.truncate(base);
                    self.make_move(operation, next, base, true);
                    return Phase::Expand;
                }
                MoveAdvice::Try => {
                    let class = self.rules.equivalence_class(position);
                    let twin = self.choices[base..].iter_mut().find(|choice| class.is_some() && choice.class == class);
                    match twin {
                        Some(twin)
                            if self.entries.return_rank(operation) < self.entries.return_rank(twin.operation) =>
                        {
                            twin.operation = operation;
                        }
                        Some(_) => {}
                        None => self.choices.push(UntriedMove { operation, class, next }),
                    }
                }
            }
        }
        self.choices[base..].reverse();
        Phase::Choose(base)
    }

    fn choose(&mut self, base: usize) -> Phase {
        if self.choices.len() > base
            && let Some(UntriedMove { operation, next, .. }) = self.choices.pop()
        {
            self.make_move(operation, next, base, false);
            return Phase::Expand;
        }
        if let Some(longest) = &mut self.longest {
            longest.record();
        }
        if let Some(first) = self.entries.first() {
            self.failed.insert(&self.linearized, self.state.clone(), first, self.entries.last_called());
        }
        Phase::Backtrack
    }

    fn backtrack(&mut self) -> Phase {
        let Some(MadeMove { operation, before, choices, committed }) = self.path.pop() else {
            return Phase::Decided(false);
        };
        self.entries.unlift(operation);
        self.linearized.toggle(operation);
        self.rules.undo_move(self.entries.position(operation));
        self.state = before;
        if let Some(longest) = &mut self.longest {
            longest.pop();
        }
        if committed { Phase::Backtrack } else { Phase::Choose(choices) }
    }

    fn make_move(&mut self, operation: u32, mut next: R::State, choices: usize, committed: bool) {
        self.entries.lift(operation);
        self.linearized.toggle(operation);
        self.rules.apply_move(self.entries.position(operation), &mut next);
        let before = std::mem::replace(&mut self.state, next);
        self.path.push(MadeMove { operation, before, choices, committed });
        if let Some(longest) = &mut self.longest {
            longest.push(operation);
        }
    }
}

impl<R: Rules> PartitionSearch for Search<R> {
    fn advance(&mut self, steps: u64) -> Option<bool> {
        let limit = self.steps.saturating_add(steps);
        loop {
            self.phase = match self.phase {
                Phase::Expand if self.steps >= limit => return None,
                Phase::Expand => self.expand(),
                Phase::Choose(base) => self.choose(base),
                Phase::Backtrack => self.backtrack(),
                Phase::Decided(linearizable) => return Some(linearizable),
            };
        }
    }

    fn steps(&self) -> u64 {
        self.steps
    }
}
