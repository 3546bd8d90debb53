//! The operations that have no answer yet.

use labstd::time::Instant;
use record::OperationKind;

/// What each client has under way. A client has a place, which its next operation writes over: that costs less than a
/// place for each operation.
#[derive(Default)]
pub(super) struct InFlightOperations(Vec<Operation>);

/// An operation of a client: the one under way, or its last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    /// Operations have numbers in the order in which they begin.
    pub(super) number: u64,
    pub(super) client: u32,
    pub(super) what: OperationKind,
    pub(super) key: String,
    pub(super) started_at: Instant,
    answered: bool,
}

/// A client's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OperationSlot(usize);

impl InFlightOperations {
    /// An operation begins: of a client that has a place or, with its first, is given one.
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

    /// The operation of a place has its answer.
    pub(super) fn end(&mut self, OperationSlot(slot): OperationSlot) {
        self.0[slot].answered = true;
    }

    /// The one without an answer that began first.
    pub(super) fn oldest(&self) -> Option<&Operation> {
        self.0.iter().filter(|operation| !operation.answered).min_by_key(|operation| operation.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_the_first_that_has_no_answer() {
        let (mut operations, started_at) = (InFlightOperations::default(), Instant::now());
        let mut begin = |slot, number, key| operations.begin(slot, (number, 7, OperationKind::Get, key), started_at);
        let (one, other) = (begin(None, 1, "a"), begin(None, 0, "b"));
        let oldest = |operations: &InFlightOperations| operations.oldest().map(|oldest| (oldest.number, oldest.key.clone()));
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
