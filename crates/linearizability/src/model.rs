//! The model of an object: its initial state, and the effect of each operation on a state.

use std::hash::Hash;

/// A sequential specification: the operations that an object allows, one at a time.
///
/// A model is pure: the same state and action always give the same result, and there are no side effects.
pub trait Model {
    /// An input together with its output. Two equal actions are interchangeable, so the search tries only one of them
    /// at a time.
    type Action: Eq + Hash;

    /// A state of the object. Equal states must behave alike from then on.
    type State: Clone + Eq + Hash;

    /// Returns the state before the first operation.
    fn initial(&self) -> Self::State;

    /// Returns the state after the action, or `None` if the object in this state could not have given this output.
    fn step(&self, state: &Self::State, operation: &Self::Action) -> Option<Self::State>;

    /// Returns whether the action leaves every state in which it is legal unchanged. The search takes such an operation
    /// as soon as it is legal, and never reconsiders it. `false` is always correct.
    fn is_read(&self, operation: &Self::Action) -> bool {
        let _ = operation;
        false
    }

    /// Describes the action for readers, such as `get('k') -> 'v'`.
    fn describe_action(&self, operation: &Self::Action) -> String;

    /// Describes the state for readers. Shorten long states.
    fn describe_state(&self, state: &Self::State) -> String;
}

/// An operation of a history.
///
/// It took effect at some moment of the closed interval from `call` to `ret`. The intervals `[10, 20]` and `[20, 30]`
/// overlap, and an interval may be a single point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<T> {
    /// The client that called the operation. The search does not use it; a timeline has a row for each client.
    pub client: u32,
    /// The time of the call, in any unit.
    pub call: u64,
    /// The time of the return, in the same unit; at least `call`.
    pub ret: u64,
    /// The input and the output.
    pub action: T,
}

/// Operations that can be checked independently of all others, such as those on one key.
///
/// A history is linearizable if and only if each of its partitions is (locality: Herlihy and Wing, 1990).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition<T> {
    /// The common property of the operations, for readers.
    pub name: String,
    /// The operations, in any order.
    pub operations: Vec<Operation<T>>,
}

impl<T> Partition<T> {
    /// Returns the whole history as one partition, or no partition if there are no operations.
    pub fn whole(operations: Vec<Operation<T>>) -> Vec<Partition<T>> {
        if operations.is_empty() {
            return Vec::new();
        }
        vec![Partition { name: String::new(), operations }]
    }

    /// Groups operations by the name that `name` returns. The partitions are sorted by name; the order of the
    /// operations within a partition is kept.
    pub fn group_by(operations: Vec<Operation<T>>, name: impl Fn(&T) -> &str) -> Vec<Partition<T>> {
        let mut partitions = std::collections::BTreeMap::<String, Vec<Operation<T>>>::new();
        for operation in operations {
            match partitions.get_mut(name(&operation.action)) {
                Some(partition) => partition.push(operation),
                None => {
                    partitions.insert(name(&operation.action).to_owned(), vec![operation]);
                }
            }
        }
        partitions.into_iter().map(|(name, operations)| Partition { name, operations }).collect()
    }
}
