//! The search for a linearization of one partition: Wing and Gong's, with Lowe's memory of what has failed.
//!
//! The search walks a tree. At each node some operations are linearized, in an order that has led to a state. Those that
//! may come next are *open*: called before the first return that is still outstanding. The search takes one that is legal
//! and goes on; when nothing open fits, it goes back to the last node with a choice. A situation (set of operations and
//! state) from which there is no way on is remembered, because many orders lead to the same situation.
//!
//! What a model knows beyond "legal or not" comes in through [`Rules`]: it can show that a move is hopeless, or that it
//! can be taken at once and never reconsidered. Both must be exact: if there is any way on from a node, one must be left.

use std::hash::Hash;

use crate::{
    entries::Entries,
    failed::{Failed, Linearized},
    longest::Longest,
};

/// A model with its operations, numbered by their positions in the input.
pub(crate) trait Rules {
    type State: Clone + Eq + Hash;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after the operation, if it is legal.
    fn step(&self, state: &Self::State, operation: usize) -> Option<Self::State>;

    /// What is known of the move from `state` to `next`.
    fn judge(&self, state: &Self::State, operation: usize, next: &Self::State) -> Move {
        let _ = (state, operation, next);
        Move::Try
    }

    /// Operations of one class do the same to every state. Of those that are open only the one that returns first is
    /// tried: in a linearization that begins with another, the two can change places. `None` switches this off.
    fn class(&self, operation: usize) -> Option<u32> {
        let _ = operation;
        None
    }

    /// The search makes the move. `next` may be replaced by another state from which exactly the same ways lead on,
    /// given what is linearized now.
    fn enter(&mut self, operation: usize, next: &mut Self::State) {
        let _ = (operation, next);
    }

    /// The search takes back the last move.
    fn leave(&mut self, operation: usize) {
        let _ = operation;
    }
}

/// What [`Rules::judge`] knows of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// If there is any way on from here, there is one that begins with this operation.
    Commit,
    /// Nothing is known.
    Try,
    /// No way on begins with this operation.
    Never,
}

/// A partition under examination, a slice of the budget at a time.
pub(crate) trait Examine {
    /// Goes on until decided, or until about `steps` more steps have been made. Whether the partition is linearizable, if
    /// that is known.
    fn advance(&mut self, steps: u64) -> Option<bool>;

    /// How many model steps have been made so far.
    fn steps(&self) -> u64;
}

/// The search in one partition.
#[derive(Debug)]
pub(crate) struct Search<R: Rules> {
    rules: R,
    entries: Entries,
    linearized: Linearized,
    state: R::State,
    path: Vec<Taken<R::State>>,
    /// The moves not yet tried at each node of the path, the next one last; a node's begin at `Taken::choices`.
    choices: Vec<Choice<R::State>>,
    failed: Failed<R::State>,
    longest: Option<Longest>,
    at: At,
    steps: u64,
}

/// A move that was made, and what is needed to take it back.
#[derive(Debug)]
struct Taken<S> {
    operation: u32,
    before: S,
    /// Where the other moves of the node begin in `Search::choices`.
    choices: usize,
    committed: bool,
}

#[derive(Debug)]
struct Choice<S> {
    operation: u32,
    class: Option<u32>,
    next: S,
}

/// Where the search is between two steps.
#[derive(Clone, Copy, Debug)]
enum At {
    /// At a node it has not looked at yet.
    Arrival,
    /// At a node whose untried moves are `choices` from this index on.
    Choosing(usize),
    /// At a node from which there is no way on.
    Retreat,
    /// At the end.
    Decided(bool),
}

impl<R: Rules> Search<R> {
    /// A search that has not begun. `entries` must number the operations by the same positions as `rules`. With
    /// `explain`, sequences are recorded for [`Search::sequences`].
    pub(crate) fn new(rules: R, entries: Entries, explain: bool) -> Search<R> {
        let operations = entries.operations();
        Search {
            state: rules.initial(),
            rules,
            entries,
            linearized: Linearized::new(operations),
            path: Vec::with_capacity(operations),
            choices: Vec::new(),
            failed: Failed::new(),
            longest: explain.then(|| Longest::new(operations)),
            at: At::Arrival,
            steps: 0,
        }
    }

    /// The longest linearizations found, as positions in the input: the whole one if there is one, otherwise the
    /// distinct partial ones, longest first.
    pub(crate) fn sequences(&self) -> Vec<Vec<usize>> {
        let positions = |operations: &mut dyn Iterator<Item = u32>| {
            operations.map(|operation| self.entries.position(operation)).collect::<Vec<_>>()
        };
        if let At::Decided(true) = self.at {
            return vec![positions(&mut self.path.iter().map(|taken| taken.operation))];
        }
        let sequences = self.longest.as_ref().map(Longest::sequences).unwrap_or_default();
        sequences.into_iter().map(|sequence| positions(&mut sequence.into_iter())).collect()
    }

    fn arrive(&mut self) -> At {
        let Some(first) = self.entries.first() else { return At::Decided(true) };
        if self.failed.contains(&self.linearized, &self.state, first) {
            return At::Retreat;
        }
        let base = self.choices.len();
        let mut open = self.entries.open();
        while let Some(operation) = open.next(&self.entries) {
            let position = self.entries.position(operation);
            self.steps += 1;
            let Some(next) = self.rules.step(&self.state, position) else { continue };
            match self.rules.judge(&self.state, position, &next) {
                Move::Never => {}
                Move::Commit => {
                    self.choices.truncate(base);
                    self.take(operation, next, base, true);
                    return At::Arrival;
                }
                Move::Try => {
                    let class = self.rules.class(position);
                    let twin = self.choices[base..].iter_mut().find(|choice| class.is_some() && choice.class == class);
                    match twin {
                        Some(twin) if self.entries.ret(operation) < self.entries.ret(twin.operation) => {
                            twin.operation = operation;
                        }
                        Some(_) => {}
                        None => self.choices.push(Choice { operation, class, next }),
                    }
                }
            }
        }
        self.choices[base..].reverse();
        At::Choosing(base)
    }

    fn choose(&mut self, base: usize) -> At {
        if self.choices.len() > base
            && let Some(Choice { operation, next, .. }) = self.choices.pop()
        {
            self.take(operation, next, base, false);
            return At::Arrival;
        }
        if let Some(longest) = &mut self.longest {
            longest.record();
        }
        if let Some(first) = self.entries.first() {
            self.failed.insert(&self.linearized, self.state.clone(), first, self.entries.last_called());
        }
        At::Retreat
    }

    fn retreat(&mut self) -> At {
        let Some(Taken { operation, before, choices, committed }) = self.path.pop() else { return At::Decided(false) };
        self.entries.unlift(operation);
        self.linearized.toggle(operation);
        self.rules.leave(self.entries.position(operation));
        self.state = before;
        if let Some(longest) = &mut self.longest {
            longest.pop();
        }
        if committed { At::Retreat } else { At::Choosing(choices) }
    }

    fn take(&mut self, operation: u32, mut next: R::State, choices: usize, committed: bool) {
        self.entries.lift(operation);
        self.linearized.toggle(operation);
        self.rules.enter(self.entries.position(operation), &mut next);
        let before = std::mem::replace(&mut self.state, next);
        self.path.push(Taken { operation, before, choices, committed });
        if let Some(longest) = &mut self.longest {
            longest.push(operation);
        }
    }
}

impl<R: Rules> Examine for Search<R> {
    fn advance(&mut self, steps: u64) -> Option<bool> {
        let limit = self.steps.saturating_add(steps);
        loop {
            self.at = match self.at {
                At::Arrival if self.steps >= limit => return None,
                At::Arrival => self.arrive(),
                At::Choosing(base) => self.choose(base),
                At::Retreat => self.retreat(),
                At::Decided(linearizable) => return Some(linearizable),
            };
        }
    }

    fn steps(&self) -> u64 {
        self.steps
    }
}
