//! The calls and returns of one partition in the order of time, as a list. An operation is removed and restored in
//! constant time.
//!
//! The list is doubly linked by indices in one allocation. A removed entry keeps its own links, so restoring the
//! entries in the opposite order restores the list ("dancing links").

/// The bit that marks an entry as a return. The other bits are the number of the operation.
const RETURN: u32 = 1 << 31;

/// The index of the sentinel, which is before the first entry and after the last.
const SENTINEL: u32 = 0;

/// The entries of the operations that are not linearized yet.
///
/// Operations are numbered in the order of their calls; every parameter `operation` is such a number.
/// [`Entries::position`] returns the position of an operation in the input. The rank of an entry, from 1, is its
/// position in the whole list. Of entries with equal times, calls come before returns, so that a closed interval
/// includes its ends.
#[derive(Debug)]
pub(crate) struct Entries {
    entries: Vec<Entry>,
    operations: Vec<OperationEntries>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    previous: u32,
    next: u32,
    tagged: u32,
}

#[derive(Clone, Copy, Debug)]
struct OperationEntries {
    position: u32,
    call: u32,
    ret: u32,
}

impl Entries {
    /// Creates the list of all entries. `times` has the call and the return of each operation.
    ///
    /// # Panics
    ///
    /// Panics if an operation returns before it is called, or if there are 2^30 operations or more.
    pub(crate) fn new(times: impl Iterator<Item = (u64, u64)>) -> Entries {
        let mut calls = Vec::with_capacity(times.size_hint().0);
        let mut returns = Vec::with_capacity(times.size_hint().0);
        for (position, (call, ret)) in times.enumerate() {
            assert!(call <= ret, "operation {position} is called at {call} and returns before, at {ret}");
            assert!(position < RETURN as usize / 2, "a history has fewer than 2^30 operations");
            calls.push((call, position as u32));
            returns.push((ret, position as u32));
        }
        // The two lists are sorted separately because each is almost sorted already: a client calls its next operation
        // after the previous one has returned, and operations are recorded when they return.
        calls.sort_unstable();
        returns.sort_unstable();

        let mut operations = Vec::with_capacity(calls.len());
        let mut numbers = vec![0_u32; calls.len()];
        let last = 2 * calls.len() as u32;
        let mut entries = Vec::with_capacity(last as usize + 1);
        entries.push(Entry { previous: last, next: if last == 0 { SENTINEL } else { 1 }, tagged: 0 });
        let (mut calls, mut returns) = (calls.into_iter().peekable(), returns.into_iter().peekable());
        for rank in 1..=last {
            let next = if rank == last { SENTINEL } else { rank + 1 };
            let is_call = |call: &(u64, u32)| returns.peek().is_none_or(|ret| call.0 <= ret.0);
            let tagged = if let Some((_, position)) = calls.next_if(is_call) {
                let number = operations.len() as u32;
                numbers[position as usize] = number;
                operations.push(OperationEntries { position, call: rank, ret: 0 });
                number
            } else {
                let (_, position) = returns.next().expect("one of the two lists has an entry");
                let number = numbers[position as usize];
                let placed: &mut OperationEntries = &mut operations[number as usize];
                placed.ret = rank;
                number | RETURN
            };
            entries.push(Entry { previous: rank - 1, next, tagged });
        }
        Entries { entries, operations }
    }

    /// The number of operations, removed ones included.
    pub(crate) fn operation_count(&self) -> usize {
        self.operations.len()
    }

    /// The position of the operation in the input.
    pub(crate) fn position(&self, operation: u32) -> usize {
        self.operations[operation as usize].position as usize
    }

    /// The rank of the operation's call.
    pub(crate) fn call_rank(&self, operation: u32) -> u32 {
        self.operations[operation as usize].call
    }

    /// The rank of the operation's return.
    pub(crate) fn return_rank(&self, operation: u32) -> u32 {
        self.operations[operation as usize].ret
    }

    /// The first operation still in the list, which is the one with the smallest number.
    pub(crate) fn first(&self) -> Option<u32> {
        let first = self.entries[SENTINEL as usize].next;
        (first != SENTINEL).then(|| self.entries[first as usize].tagged)
    }

    /// Iterates over the operations that may come next: those called before the first return that is still in the list.
    pub(crate) fn open_calls(&self) -> OpenCalls {
        OpenCalls(self.entries[SENTINEL as usize].next)
    }

    /// The last operation, removed or not, that is called before the first return still in the list. No operation with
    /// a larger number can be removed.
    ///
    /// # Panics
    ///
    /// Panics if the list is empty.
    pub(crate) fn last_called(&self) -> u32 {
        let mut at = self.entries[SENTINEL as usize].next;
        assert!(at != SENTINEL, "the list has an operation");
        while self.entries[at as usize].tagged & RETURN == 0 {
            at = self.entries[at as usize].next;
        }
        self.operations.partition_point(|placed| placed.call < at) as u32 - 1
    }

    /// Removes the two entries of the operation.
    pub(crate) fn lift(&mut self, operation: u32) {
        let OperationEntries { call, ret, .. } = self.operations[operation as usize];
        self.unlink(call);
        self.unlink(ret);
    }

    /// Restores the two entries of the operation, which must be the one that was removed last.
    pub(crate) fn unlift(&mut self, operation: u32) {
        let OperationEntries { call, ret, .. } = self.operations[operation as usize];
        self.relink(ret);
        self.relink(call);
    }

    fn unlink(&mut self, entry: u32) {
        let Entry { previous, next, .. } = self.entries[entry as usize];
        self.entries[previous as usize].next = next;
        self.entries[next as usize].previous = previous;
    }

    fn relink(&mut self, entry: u32) {
        let Entry { previous, next, .. } = self.entries[entry as usize];
        self.entries[previous as usize].next = entry;
        self.entries[next as usize].previous = entry;
    }
}

/// A cursor over the calls before the first return. It borrows nothing, so the list can change after the cursor is
/// dropped.
#[derive(Debug)]
pub(crate) struct OpenCalls(u32);

impl OpenCalls {
    /// Returns the next operation. `entries` must not have changed since the cursor was created.
    pub(crate) fn next(&mut self, entries: &Entries) -> Option<u32> {
        let Entry { next, tagged, .. } = entries.entries[self.0 as usize];
        if self.0 == SENTINEL || tagged & RETURN != 0 {
            return None;
        }
        self.0 = next;
        Some(tagged)
    }
}

#[cfg(test)]
mod tests {
    use super::Entries;

    fn open(entries: &Entries) -> Vec<usize> {
        let mut open = entries.open_calls();
        std::iter::from_fn(|| open.next(entries)).map(|operation| entries.position(operation)).collect()
    }

    #[test]
    fn intervals_are_closed() {
        let touching = Entries::new([(10, 20), (20, 30), (21, 22)].into_iter());
        assert_eq!(open(&touching), [0, 1]);
    }

    #[test]
    fn an_interval_can_be_a_single_point() {
        let points = Entries::new([(5, 5), (5, 5), (6, 6)].into_iter());
        assert_eq!(open(&points), [0, 1]);
    }

    #[test]
    fn unlifting_in_opposite_order_restores_the_list() {
        let mut entries = Entries::new([(0, 9), (1, 3), (2, 4), (5, 6)].into_iter());
        assert_eq!(open(&entries), [0, 1, 2]);
        entries.lift(1);
        assert_eq!(open(&entries), [0, 2]);
        entries.lift(2);
        assert_eq!(open(&entries), [0, 3]);
        entries.lift(0);
        entries.lift(3);
        assert_eq!(entries.first(), None);
        for operation in [3, 0, 2, 1] {
            entries.unlift(operation);
        }
        assert_eq!(open(&entries), [0, 1, 2]);
        assert_eq!(entries.first(), Some(0));
    }

    #[test]
    #[should_panic(expected = "returns before")]
    fn an_operation_cannot_return_before_it_is_called() {
        let _ = Entries::new([(2, 1)].into_iter());
    }
}
