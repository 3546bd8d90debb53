//! A register with read, write and compare-and-set, some of whose answers are not known: the object of Jepsen's tests of
//! etcd.

use std::fmt::{self, Display, Formatter};

use crate::{Checked, Explained, Model, Operation, Partition};

/// The model: the state is absent, or a value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Register;

/// What was asked of the register, and what it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// A read with its result.
    Read(Read),
    /// A write. It has no result; if it was not answered, it may take effect at any time after its call.
    Write(i64),
    /// Sets the register to `to` if it holds `from`.
    CompareAndSet {
        /// What the register must hold.
        from: i64,
        /// What it holds then.
        to: i64,
        /// Whether it did so; `None` if there was no answer, and it may have.
        swapped: Option<bool>,
    },
}

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Read {
    /// The register had never been written.
    Absent,
    /// It held this value.
    Value(i64),
    /// No answer came, so nothing is known.
    Unknown,
}

/// The operations on one register.
#[derive(Clone, Debug, Default)]
pub struct History {
    partitions: Vec<Partition<Access>>,
}

impl History {
    /// The history with these operations. One without an answer has to return after all others.
    pub fn new(operations: Vec<Operation<Access>>) -> History {
        History { partitions: Partition::whole(operations) }
    }

    /// The operations, in the order in which they were given.
    pub fn operations(&self) -> &[Operation<Access>] {
        self.partitions.first().map_or(&[], |partition| &partition.operations)
    }

    /// Whether the history is linearizable; `budget` is a number of model steps.
    ///
    /// # Panics
    ///
    /// If an operation returns before it is called.
    pub fn check(&self, budget: u64) -> Checked {
        crate::check(&Register, &self.partitions, budget)
    }

    /// Like [`check`](History::check), with how far linearizations get.
    ///
    /// # Panics
    ///
    /// If an operation returns before it is called.
    pub fn explain(&self, budget: u64) -> Explained {
        crate::explain(&Register, &self.partitions, budget)
    }
}

impl Model for Register {
    type Operation = Access;
    type State = Option<i64>;

    fn initial(&self) -> Option<i64> {
        None
    }

    fn step(&self, &state: &Option<i64>, operation: &Access) -> Option<Option<i64>> {
        match *operation {
            Access::Read(Read::Unknown) => Some(state),
            Access::Read(Read::Absent) => state.is_none().then_some(state),
            Access::Read(Read::Value(value)) => (state == Some(value)).then_some(state),
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

    fn describe_operation(&self, operation: &Access) -> String {
        operation.to_string()
    }

    fn describe_state(&self, state: &Option<i64>) -> String {
        state.map_or_else(|| "absent".to_owned(), |value| value.to_string())
    }
}

impl Display for Access {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Access::Read(Read::Absent) => write!(f, "read() -> absent"),
            Access::Read(Read::Value(value)) => write!(f, "read() -> {value}"),
            Access::Read(Read::Unknown) => write!(f, "read() -> unknown"),
            Access::Write(value) => write!(f, "write({value})"),
            Access::CompareAndSet { from, to, swapped: Some(true) } => write!(f, "cas({from}, {to}) -> ok"),
            Access::CompareAndSet { from, to, swapped: Some(false) } => write!(f, "cas({from}, {to}) -> failed"),
            Access::CompareAndSet { from, to, swapped: None } => write!(f, "cas({from}, {to}) -> unknown"),
        }
    }
}
