//! What a checker has to know of an object: its initial state, and what each operation does to a state.

use std::hash::Hash;

/// A sequential specification: what one operation at a time may do.
///
/// A model is pure: the same state and operation always give the same answer, and nothing is changed in passing.
pub trait Model {
    /// What was asked and what was answered, together. Two equal operations are interchangeable, so the search tries
    /// only one of them at a time.
    type Operation: Eq + Hash;

    /// The state of the object. States that are equal must behave alike for ever.
    type State: Clone + Eq + Hash;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after `operation`; `None` if the object, in this state, could not have answered so.
    fn step(&self, state: &Self::State, operation: &Self::Operation) -> Option<Self::State>;

    /// Whether `operation` leaves every state in which it is legal as it was. The search takes such an operation as
    /// soon as it fits, and never reconsiders. `false` is always correct.
    fn is_read(&self, operation: &Self::Operation) -> bool {
        let _ = operation;
        false
    }

    /// The operation for people, such as `get('k') -> 'v'`.
    fn describe_operation(&self, operation: &Self::Operation) -> String;

    /// The state for people. Shorten what is long.
    fn describe_state(&self, state: &Self::State) -> String;
}

/// One operation of a history.
///
/// It took effect somewhere in the closed interval from `call` to `ret`: `[10, 20]` and `[20, 30]` overlap, and an
/// interval may be a single point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<T> {
    /// Who called. The search does not use it; pictures have a row for each client.
    pub client: u32,
    /// When it was called, in any unit.
    pub call: u64,
    /// When it was answered, in the same unit; at least `call`.
    pub ret: u64,
    /// What was asked and answered.
    pub what: T,
}

/// Operations that can be judged without looking at any others, such as those on one key.
///
/// A history is linearizable if and only if each of its partitions is (locality: Herlihy and Wing, 1990).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition<T> {
    /// What the operations have in common, for people.
    pub name: String,
    /// The operations, in any order.
    pub operations: Vec<Operation<T>>,
}

impl<T> Partition<T> {
    /// The whole history as one partition.
    pub fn whole(operations: Vec<Operation<T>>) -> Vec<Partition<T>> {
        if operations.is_empty() {
            return Vec::new();
        }
        vec![Partition { name: String::new(), operations }]
    }

    /// One partition for each name that `name` gives, sorted by it; the order within a partition is kept.
    pub fn by(operations: Vec<Operation<T>>, name: impl Fn(&T) -> &str) -> Vec<Partition<T>> {
        let mut partitions = std::collections::BTreeMap::<String, Vec<Operation<T>>>::new();
        for operation in operations {
            match partitions.get_mut(name(&operation.what)) {
                Some(partition) => partition.push(operation),
                None => {
                    partitions.insert(name(&operation.what).to_owned(), vec![operation]);
                }
            }
        }
        partitions.into_iter().map(|(name, operations)| Partition { name, operations }).collect()
    }
}
