//! The calls and returns of one partition in the order of time, as a list from which operations are taken out and put
//! back in constant time.
//!
//! It is a doubly linked list in one allocation, linked by indices. An entry that is taken out keeps its own links, so
//! that putting entries back in the opposite order restores the list ("dancing links").

/// Marks an entry as a return; the other bits are the operation.
const RETURN: u32 = 1 << 31;

/// The place before the first entry and behind the last.
const SENTINEL: u32 = 0;

/// The entries that are not linearized yet.
///
/// Operations are numbered by the order of their calls, which is what every method means by `operation`;
/// [`Entries::position`] is where an operation stood in the input. An entry's rank, from 1, is its place in the whole
/// list. Entries of equal time are ordered calls before returns, so that a closed interval includes its ends.
#[derive(Debug)]
pub(crate) struct Entries {
    links: Vec<Link>,
    operations: Vec<Placed>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
    what: u32,
}

#[derive(Clone, Copy, Debug)]
struct Placed {
    position: u32,
    call: u32,
    ret: u32,
}

impl Entries {
    /// The list of all entries; `times` are the call and return of each operation.
    ///
    /// # Panics
    ///
    /// If an operation returns before it is called, or if there are 2^31 operations or more.
    pub(crate) fn new(times: impl Iterator<Item = (u64, u64)>) -> Entries {
        let mut calls = Vec::with_capacity(times.size_hint().0);
        let mut returns = Vec::with_capacity(times.size_hint().0);
        for (position, (call, ret)) in times.enumerate() {
            assert!(call <= ret, "operation {position} is called at {call} and returns before, at {ret}");
            assert!(position < RETURN as usize / 2, "a history has fewer than 2^30 operations");
            calls.push((call, position as u32));
            returns.push((ret, position as u32));
        }
        // Apart, since either is mostly in order already: a client asks when it was answered, and operations are recorded
        // when they return.
        calls.sort_unstable();
        returns.sort_unstable();

        let mut operations = Vec::with_capacity(calls.len());
        let mut numbers = vec![0_u32; calls.len()];
        let last = 2 * calls.len() as u32;
        let mut links = Vec::with_capacity(last as usize + 1);
        links.push(Link { previous: last, next: if last == 0 { SENTINEL } else { 1 }, what: 0 });
        let (mut calls, mut returns) = (calls.into_iter().peekable(), returns.into_iter().peekable());
        for rank in 1..=last {
            let next = if rank == last { SENTINEL } else { rank + 1 };
            let is_call = |call: &(u64, u32)| returns.peek().is_none_or(|ret| call.0 <= ret.0);
            let what = if let Some((_, position)) = calls.next_if(is_call) {
                let number = operations.len() as u32;
                numbers[position as usize] = number;
                operations.push(Placed { position, call: rank, ret: 0 });
                number
            } else {
                let (_, position) = returns.next().expect("a return is left if no call is");
                let number = numbers[position as usize];
                let placed: &mut Placed = &mut operations[number as usize];
                placed.ret = rank;
                number | RETURN
            };
            links.push(Link { previous: rank - 1, next, what });
        }
        Entries { links, operations }
    }

    /// How many operations there are, whether taken out or not.
    pub(crate) fn operations(&self) -> usize {
        self.operations.len()
    }

    /// Where the operation stood in the input.
    pub(crate) fn position(&self, operation: u32) -> usize {
        self.operations[operation as usize].position as usize
    }

    /// The rank of the operation's call.
    pub(crate) fn call(&self, operation: u32) -> u32 {
        self.operations[operation as usize].call
    }

    /// The rank of the operation's return.
    pub(crate) fn ret(&self, operation: u32) -> u32 {
        self.operations[operation as usize].ret
    }

    /// The first operation that is not taken out, and so the one with the smallest number.
    pub(crate) fn first(&self) -> Option<u32> {
        let first = self.links[SENTINEL as usize].next;
        (first != SENTINEL).then(|| self.links[first as usize].what)
    }

    /// The operations that may come next: those called before the first return of any operation still in the list.
    pub(crate) fn open(&self) -> Open {
        Open(self.links[SENTINEL as usize].next)
    }

    /// The last operation, taken out or not, that is called before the first return still in the list. No operation with
    /// a larger number can have been taken out.
    ///
    /// # Panics
    ///
    /// If the list is empty.
    pub(crate) fn last_called(&self) -> u32 {
        let mut at = self.links[SENTINEL as usize].next;
        assert!(at != SENTINEL, "some operation is outstanding");
        while self.links[at as usize].what & RETURN == 0 {
            at = self.links[at as usize].next;
        }
        self.operations.partition_point(|placed| placed.call < at) as u32 - 1
    }

    /// Takes the operation's two entries out.
    pub(crate) fn lift(&mut self, operation: u32) {
        let Placed { call, ret, .. } = self.operations[operation as usize];
        self.unlink(call);
        self.unlink(ret);
    }

    /// Puts back what was taken out last.
    pub(crate) fn unlift(&mut self, operation: u32) {
        let Placed { call, ret, .. } = self.operations[operation as usize];
        self.relink(ret);
        self.relink(call);
    }

    fn unlink(&mut self, entry: u32) {
        let Link { previous, next, .. } = self.links[entry as usize];
        self.links[previous as usize].next = next;
        self.links[next as usize].previous = previous;
    }

    fn relink(&mut self, entry: u32) {
        let Link { previous, next, .. } = self.links[entry as usize];
        self.links[previous as usize].next = entry;
        self.links[next as usize].previous = entry;
    }
}

/// A walk along the calls before the first return. It borrows nothing, so that it can be given up for a change.
#[derive(Debug)]
pub(crate) struct Open(u32);

impl Open {
    /// The next operation; `entries` must not have changed since the walk began.
    pub(crate) fn next(&mut self, entries: &Entries) -> Option<u32> {
        let Link { next, what, .. } = entries.links[self.0 as usize];
        if self.0 == SENTINEL || what & RETURN != 0 {
            return None;
        }
        self.0 = next;
        Some(what)
    }
}

#[cfg(test)]
mod tests {
    use super::Entries;

    fn open(entries: &Entries) -> Vec<usize> {
        let mut open = entries.open();
        std::iter::from_fn(|| open.next(entries)).map(|operation| entries.position(operation)).collect()
    }

    #[test]
    fn intervals_are_closed() {
        let touching = Entries::new([(10, 20), (20, 30), (21, 22)].into_iter());
        assert_eq!(open(&touching), [0, 1]);
    }

    #[test]
    fn an_operation_may_take_no_time() {
        let points = Entries::new([(5, 5), (5, 5), (6, 6)].into_iter());
        assert_eq!(open(&points), [0, 1]);
    }

    #[test]
    fn putting_back_in_the_opposite_order_restores_the_list() {
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
