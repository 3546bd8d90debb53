//! A register with read, write and compare-and-set, in which some results are unknown: the object of Jepsen's tests of
//! etcd.

use std::fmt::{self, Display, Formatter};

use crate::{CheckResult, HistoryExplanation, Model, Operation, Partition};

/// The model of the register. Its state is absent or a value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Register;

/// An operation on the register, with its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// A read with its result.
    Read(ReadResult),
    /// A write. It has no result. A write without a reply may take effect at any time after its call.
    Write(i64),
    /// Sets the register to `to` if it holds `from`.
    CompareAndSet {
        /// The value that the register must hold.
        from: i64,
        /// The value that the register then gets.
        to: i64,
        /// Whether the register was set; `None` if there was no reply, so that it may have been set.
        swapped: Option<bool>,
    },
}

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadResult {
    /// The register had never been written.
    Absent,
    /// The register held this value.
    Value(i64),
    /// There was no reply, so the result is unknown.
    Unknown,
}

/// The operations on one register.
#[derive(Clone, Debug, Default)]
pub struct History {
    partitions: Vec<Partition<Access>>,
}

impl History {
    /// Creates a history of these operations. An operation without a reply must return after all others.
    pub fn new(operations: Vec<Operation<Access>>) -> History {
        History { partitions: Partition::whole(operations) }
    }

    /// The operations, in the order in which they were given.
    pub fn operations(&self) -> &[Operation<Access>] {
        self.partitions.first().map_or(&[], |partition| &partition.operations)
    }

    /// Decides whether the history is linearizable. `budget` is a number of model steps.
    ///
    /// # Panics
    ///
    /// Panics if an operation returns before it is called.
    pub fn check(&self, budget: u64) -> CheckResult {
        crate::check(&Register, &self.partitions, budget)
    }

    /// Decides like [`check`](History::check), and reports how far linearizations get.
    ///
    /// # Panics
    ///
    /// Panics if an operation returns before it is called.
    pub fn explain(&self, budget: u64) -> HistoryExplanation {
        crate::explain(&Register, &self.partitions, budget)
    }
}

impl Model for Register {
    type Action = Access;
    type State = Option<i64>;

    fn initial(&self) -> Option<i64> {
        None
    }

    fn step(&self, &state: &Option<i64>, operation: &Access) -> Option<Option<i64>> {
        match *operation {
            Access::Read(ReadResult::Unknown) => Some(state),
            Access::Read(ReadResult::Absent) => state.is_none().then_some(state),
            Access::Read(ReadResult::Value(value)) => (state == Some(value)).then_some(state),
            Access::Write(value) => Some(Some(value)),
            Access::CompareAndSet { from, to, swapped } => {
                let swaps = state == Some(from);
                if swapped.is_some_and(|swapped| swapped != swaps) {
                    return None;
                }
                Some(if swaps { Some(to) } else { state })
            }
        }
    }

    fn is_read(&self, operation: &Access) -> bool {
        match *operation {
            Access::Read(_) => true,
            Access::Write(_) => false,
            Access::CompareAndSet { from, to, swapped } => swapped == Some(false) || from == to,
        }
    }

    fn describe_action(&self, operation: &Access) -> String {
        operation.to_string()
    }

    fn describe_state(&self, state: &Option<i64>) -> String {
        state.map_or_else(|| "absent".to_owned(), |value| value.to_string())
    }
}

impl Display for Access {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Access::Read(ReadResult::Absent) => write!(f, "read() -> absent"),
            Access::Read(ReadResult::Value(value)) => write!(f, "read() -> {value}"),
            Access::Read(ReadResult::Unknown) => write!(f, "read() -> unknown"),
            Access::Write(value) => write!(f, "write({value})"),
            Access::CompareAndSet { from, to, swapped: Some(true) } => write!(f, "cas({from}, {to}) -> ok"),
            Access::CompareAndSet { from, to, swapped: Some(false) } => write!(f, "cas({from}, {to}) -> failed"),
            Access::CompareAndSet { from, to, swapped: None } => write!(f, "cas({from}, {to}) -> unknown"),
        }
    }
}
