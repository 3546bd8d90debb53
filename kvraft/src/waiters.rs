//! Who waits for the result of which operation. All of this is under the server's lock, but for the waiting itself.
//!
//! A handler takes its place *before* it gives the operation to Raft, because the entry may be applied before `start` has
//! returned. It is found again by the identity of the operation, never by the index of the entry alone: at that index may
//! come to stand what another leader has put there. Whoever waits takes its place away itself, so that none is left behind
//! whatever the result.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use labstd::sync::{Arc, Condvar};
use raftapi::{Index, Started, Term};

use crate::messages::{OperationId, Reply};

/// All that wait at one server.
#[derive(Default)]
pub(crate) struct Waiters {
    /// An operation that arrived twice has two.
    places: BTreeMap<Place, Waiter>,
    /// How many places were ever taken.
    taken: u64,
    /// What was accepted in terms before this one is refused: the leadership in which it was is over.
    over_before: Term,
}

/// One handler's place among those who wait.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    id: OperationId,
    number: u64,
}

struct Waiter {
    /// Where the entry is, once Raft has it.
    started: Option<Started>,
    /// The result, once it is known.
    reply: Option<Reply>,
    /// Signalled when there is a result.
    told: Arc<Condvar>,
}

impl Waiters {
    /// A place for the result of operation `id`, and what is signalled when it is there.
    pub(crate) fn join(&mut self, id: OperationId) -> (Place, Arc<Condvar>) {
        self.taken += 1;
        let place = Place { id, number: self.taken };
        let told = Arc::new(Condvar::new());
        self.places.insert(place, Waiter { started: None, reply: None, told: Arc::clone(&told) });
        (place, told)
    }

    /// Raft has put the operation into its log. The leadership in which it did so may be over by now.
    pub(crate) fn started(&mut self, place: Place, started: Started) {
        let over = started.term < self.over_before;
        if let Some(waiter) = self.places.get_mut(&place) {
            waiter.started = Some(started);
            if over {
                waiter.tell(Reply::WrongLeader);
            }
        }
    }

    /// The result, if it is known.
    pub(crate) fn reply(&mut self, place: Place) -> Option<Reply> {
        self.places.get_mut(&place)?.reply.take()
    }

    /// Gives a place up.
    pub(crate) fn leave(&mut self, place: Place) {
        self.places.remove(&place);
    }

    /// Operation `id` was executed with this result: tells all that wait for it.
    pub(crate) fn tell(&mut self, id: OperationId, reply: &Reply) {
        // On most servers nobody waits.
        if self.places.is_empty() {
            return;
        }
        for (_, waiter) in self.places.range_mut(Place::all_of(id)) {
            waiter.tell(reply.clone());
        }
    }

    /// Tells those that nothing will come any more whose entry is at or before `applied`. What they waited for was not what
    /// was applied there, or is hidden in a snapshot.
    pub(crate) fn refuse_up_to(&mut self, applied: Index) {
        self.refuse(|started| started.index <= applied);
    }

    /// Tells those that nothing will come any more whose entries were made before `term`, which has begun; also those that
    /// are only now about to wait.
    pub(crate) fn refuse_before(&mut self, term: Term) {
        self.over_before = self.over_before.max(term);
        self.refuse(|started| started.term < term);
    }

    /// Tells those that nothing will come any more whose entries were made in the leadership of `term`: it is over.
    pub(crate) fn refuse_of(&mut self, term: Term) {
        self.refuse(|started| started.term == term);
    }

    /// The server stops: nobody waits any longer.
    pub(crate) fn refuse_all(&mut self) {
        self.places.values_mut().for_each(|waiter| waiter.tell(Reply::WrongLeader));
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Tells those that nothing will come any more whose entry is one of the `lost`. An operation that Raft has not yet
    /// accepted is none.
    fn refuse(&mut self, lost: impl Fn(Started) -> bool) {
        for waiter in self.places.values_mut() {
            if waiter.started.is_some_and(&lost) {
                waiter.tell(Reply::WrongLeader);
            }
        }
    }
}

impl Waiter {
    /// The first result counts.
    fn tell(&mut self, reply: Reply) {
        if self.reply.is_none() {
            self.reply = Some(reply);
            self.told.notify_one();
        }
    }
}

impl Place {
    fn all_of(id: OperationId) -> RangeInclusive<Place> {
        Place { id, number: 0 }..=Place { id, number: u64::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: OperationId = OperationId { client: 1, seq: 1 };
    const B: OperationId = OperationId { client: 1, seq: 2 };

    fn started(index: u64, term: u64) -> Started {
        Started { index: Index(index), term: Term(term) }
    }

    /// One who waits for operation `id` at this entry.
    fn waiting(waiters: &mut Waiters, id: OperationId, at: Started) -> Place {
        let (place, _) = waiters.join(id);
        waiters.started(place, at);
        place
    }

    #[test]
    fn a_result_goes_to_all_who_wait_for_this_operation_and_to_nobody_else() {
        let mut waiters = Waiters::default();
        let places = [A, B, A].map(|id| waiting(&mut waiters, id, started(5, 1)));
        waiters.tell(A, &Reply::Written);
        let replies = places.map(|place| waiters.reply(place));
        assert_eq!(replies, [Some(Reply::Written), None, Some(Reply::Written)]);
    }

    #[test]
    fn a_result_that_comes_before_start_has_returned_is_not_lost() {
        let mut waiters = Waiters::default();
        let (place, _) = waiters.join(A);
        waiters.tell(A, &Reply::Written);
        waiters.started(place, started(5, 1));
        assert_eq!(waiters.reply(place), Some(Reply::Written));
    }

    #[test]
    fn the_first_result_counts() {
        let mut waiters = Waiters::default();
        let place = waiting(&mut waiters, A, started(5, 1));
        waiters.tell(A, &Reply::Written);
        waiters.refuse_all();
        assert_eq!(waiters.reply(place), Some(Reply::Written));
    }

    #[test]
    fn those_whose_entry_is_lost_are_refused_and_the_others_wait_on() {
        let entries = [started(5, 1), started(6, 1), started(7, 2)];
        let refused = |refuse: fn(&mut Waiters)| {
            let mut waiters = Waiters::default();
            let places = entries.map(|at| waiting(&mut waiters, A, at));
            // Raft has not accepted this one yet.
            let (early, _) = waiters.join(B);
            refuse(&mut waiters);
            assert_eq!(waiters.reply(early), None);
            places.map(|place| waiters.reply(place) == Some(Reply::WrongLeader))
        };
        assert_eq!(refused(|waiters| waiters.refuse_up_to(Index(6))), [true, true, false]);
        assert_eq!(refused(|waiters| waiters.refuse_before(Term(2))), [true, true, false]);
        assert_eq!(refused(|waiters| waiters.refuse_of(Term(2))), [false, false, true]);
    }

    #[test]
    fn who_begins_to_wait_when_the_leadership_is_over_already_is_refused_too() {
        let mut waiters = Waiters::default();
        let (late, _) = waiters.join(A);
        waiters.refuse_before(Term(2));
        assert_eq!(waiters.reply(late), None, "Raft has not accepted it yet, and might in a later term");
        waiters.started(late, started(5, 1));
        assert_eq!(waiters.reply(late), Some(Reply::WrongLeader));
        let in_time = waiting(&mut waiters, B, started(6, 2));
        assert_eq!(waiters.reply(in_time), None);
    }

    #[test]
    fn whoever_leaves_leaves_nothing_behind() {
        let mut waiters = Waiters::default();
        let (first, second) = (waiting(&mut waiters, A, started(5, 1)), waiting(&mut waiters, A, started(6, 1)));
        waiters.leave(first);
        assert_eq!(waiters.len(), 1);
        waiters.leave(second);
        assert!(waiters.is_empty());
        waiters.tell(A, &Reply::Written);
        assert!(waiters.is_empty(), "a result nobody waits for takes no place");
    }
}
