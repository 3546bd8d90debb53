//! Operations in flight.

use labstd::time::Instant;
use record::OperationKind;

/// Operations in flight, one slot per client. A client's next operation overwrites its slot, which is cheaper than a
/// slot per operation.
#[derive(Default)]
pub(super) struct InFlightOperations(Vec<Operation>);

/// An operation of a client: the one in flight, or its last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    /// Number in the order in which operations begin.
    pub(super) number: u64,
    pub(super) client: u32,
    pub(super) what: OperationKind,
    pub(super) key: String,
    pub(super) started_at: Instant,
    answered: bool,
}

/// Slot of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OperationSlot(usize);

impl InFlightOperations {
    /// Begins an operation of a client. The first operation of a client gets a new slot.
    pub(super) fn begin(
        &mut self,
        slot: Option<OperationSlot>,
        (number, client, what, key): (u64, u32, OperationKind, &str),
        started_at: Instant,
    ) -> OperationSlot {
        let Some(OperationSlot(slot)) = slot else {
            self.0.push(Operation { number, client, what, key: key.to_string(), started_at, answered: false });
            return OperationSlot(self.0.len() - 1);
        };
        let operation = &mut self.0[slot];
        operation.key.clear();
        operation.key.push_str(key);
        (operation.number, operation.client, operation.what) = (number, client, what);
        (operation.started_at, operation.answered) = (started_at, false);
        OperationSlot(slot)
    }

    /// Marks the operation in a slot as answered.
    pub(super) fn end(&mut self, OperationSlot(slot): OperationSlot) {
        self.0[slot].answered = true;
    }

    /// Returns the unanswered operation that began first.
    pub(super) fn oldest(&self) -> Option<&Operation> {
        self.0.iter().filter(|operation| !operation.answered).min_by_key(|operation| operation.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_operation_is_the_first_unanswered_one() {
        let (mut operations, started_at) = (InFlightOperations::default(), Instant::now());
        let mut begin = |slot, number, key| operations.begin(slot, (number, 7, OperationKind::Get, key), started_at);
        let (one, other) = (begin(None, 1, "a"), begin(None, 0, "b"));
        let oldest =
            |operations: &InFlightOperations| operations.oldest().map(|oldest| (oldest.number, oldest.key.clone()));
        assert_eq!(oldest(&operations), Some((0, "b".to_string())));
        operations.end(other);
        assert_eq!(oldest(&operations), Some((1, "a".to_string())));
        assert_eq!(operations.begin(Some(other), (2, 7, OperationKind::Get, "c"), started_at), other);
        assert_eq!(oldest(&operations), Some((1, "a".to_string())));
        operations.end(one);
        assert_eq!(oldest(&operations), Some((2, "c".to_string())));
        operations.end(other);
        assert_eq!(oldest(&operations), None);
    }
}
