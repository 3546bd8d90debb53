//! Who waits for the result of which operation. All of this is under the server's lock; who is told something here is
//! answered after it.
//!
//! A handler takes its caller's place *before* it gives the operation to Raft, because the entry may be applied before `start`
//! has returned. It is found again by the identity of the operation, never by the index of the entry alone: at that index may
//! come to stand what another leader has put there. Whoever is told leaves its place, so that none is left behind whatever the
//! result.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use raftapi::{Index, Started, Term};

use crate::messages::{OperationId, Reply};

/// All that wait at one server; an `A` is how one of them is answered.
pub(crate) struct Waiters<A> {
    /// An operation that arrived twice has two.
    places: BTreeMap<Place, Waiter<A>>,
    /// How many places were ever taken.
    taken: u64,
    /// What was accepted in terms before this one is refused: the leadership in which it was is over.
    over_before: Term,
    /// Those that wait no longer, and what they are to be told.
    told: Vec<(A, Reply)>,
}

/// One place among those who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    id: OperationId,
    number: u64,
}

struct Waiter<A> {
    /// Where the entry is, once Raft has it.
    started: Option<Started>,
    answer: A,
}

impl<A> Waiters<A> {
    /// A place for the result of operation `id`, which goes to `answer`.
    pub(crate) fn join(&mut self, id: OperationId, answer: A) -> Place {
        self.taken += 1;
        let place = Place { id, number: self.taken };
        self.places.insert(place, Waiter { started: None, answer });
        place
    }

    /// Raft has put the operation into its log. The leadership in which it did so may be over by now, and the result may be
    /// known already.
    pub(crate) fn started(&mut self, place: Place, started: Started) {
        if started.term < self.over_before {
            self.refuse_place(place);
        } else if let Some(waiter) = self.places.get_mut(&place) {
            waiter.started = Some(started);
        }
    }

    /// Raft has not accepted the operation.
    pub(crate) fn refuse_place(&mut self, place: Place) {
        if let Some(waiter) = self.places.remove(&place) {
            self.told.push((waiter.answer, Reply::WrongLeader));
        }
    }

    /// Operation `id` was executed with this result: it goes to all that wait for it.
    pub(crate) fn tell(&mut self, id: OperationId, reply: &Reply) {
        // On most servers nobody waits.
        if self.places.is_empty() {
            return;
        }
        while let Some((&place, _)) = self.places.range(Place::all_of(id)).next() {
            let waiter = self.places.remove(&place).expect("just seen");
            self.told.push((waiter.answer, reply.clone()));
        }
    }

    /// Nothing will come any more for those whose entry is at or before `applied`. What they waited for was not what was
    /// applied there, or is hidden in a snapshot.
    pub(crate) fn refuse_up_to(&mut self, applied: Index) {
        self.refuse(|started| started.index <= applied);
    }

    /// Nothing will come any more for those whose entries were made before `term`, which has begun; also for those that are
    /// only now about to wait.
    pub(crate) fn refuse_before(&mut self, term: Term) {
        self.over_before = self.over_before.max(term);
        self.refuse(|started| started.term < term);
    }

    /// Nothing will come any more for those whose entries were made in the leadership of `term`: it is over.
    pub(crate) fn refuse_of(&mut self, term: Term) {
        self.refuse(|started| started.term == term);
    }

    /// The server stops: nobody waits any longer.
    pub(crate) fn refuse_all(&mut self) {
        let all = std::mem::take(&mut self.places).into_values();
        self.told.extend(all.map(|waiter| (waiter.answer, Reply::WrongLeader)));
    }

    /// Those that wait no longer, and what each is to be told, in the order in which it became known.
    pub(crate) fn take_told(&mut self) -> Vec<(A, Reply)> {
        std::mem::take(&mut self.told)
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Refuses those whose entry is one of the `lost`. An operation that Raft has not yet accepted is none.
    fn refuse(&mut self, lost: impl Fn(Started) -> bool) {
        let is_lost = |waiter: &Waiter<A>| waiter.started.is_some_and(&lost);
        let refused: Vec<Place> =
            self.places.iter().filter(|(_, waiter)| is_lost(waiter)).map(|(&place, _)| place).collect();
        refused.into_iter().for_each(|place| self.refuse_place(place));
    }
}

impl<A> Default for Waiters<A> {
    fn default() -> Waiters<A> {
        Waiters { places: BTreeMap::new(), taken: 0, over_before: Term::ZERO, told: Vec::new() }
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

    /// One, known by this name, who waits for operation `id` at this entry.
    fn wait(waiters: &mut Waiters<&'static str>, name: &'static str, id: OperationId, at: Started) {
        let place = waiters.join(id, name);
        waiters.started(place, at);
    }

    #[test]
    fn a_result_goes_to_all_who_wait_for_this_operation_and_to_nobody_else() {
        let mut waiters = Waiters::default();
        for (name, id) in [("one", A), ("two", B), ("three", A)] {
            wait(&mut waiters, name, id, started(5, 1));
        }
        waiters.tell(A, &Reply::Written);
        assert_eq!(waiters.take_told(), [("one", Reply::Written), ("three", Reply::Written)]);
        assert_eq!(waiters.len(), 1, "whoever is told leaves its place");
    }

    #[test]
    fn a_result_that_comes_before_start_has_returned_is_not_lost() {
        let mut waiters = Waiters::default();
        let place = waiters.join(A, "early");
        waiters.tell(A, &Reply::Written);
        waiters.started(place, started(5, 1));
        assert_eq!(waiters.take_told(), [("early", Reply::Written)]);
        assert!(waiters.is_empty());
    }

    #[test]
    fn the_first_result_counts() {
        let mut waiters = Waiters::default();
        wait(&mut waiters, "one", A, started(5, 1));
        waiters.tell(A, &Reply::Written);
        waiters.refuse_all();
        assert_eq!(waiters.take_told(), [("one", Reply::Written)]);
        assert_eq!(waiters.take_told(), [], "and nobody is told twice");
    }

    #[test]
    fn those_whose_entry_is_lost_are_refused_and_the_others_wait_on() {
        let refused = |refuse: fn(&mut Waiters<&'static str>)| {
            let mut waiters = Waiters::default();
            for (name, at) in [("5 of 1", started(5, 1)), ("6 of 1", started(6, 1)), ("7 of 2", started(7, 2))] {
                wait(&mut waiters, name, A, at);
            }
            waiters.join(B, "Raft has not accepted this one yet");
            refuse(&mut waiters);
            let told = waiters.take_told();
            assert!(told.iter().all(|(_, reply)| *reply == Reply::WrongLeader));
            told.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(refused(|waiters| waiters.refuse_up_to(Index(6))), ["5 of 1", "6 of 1"]);
        assert_eq!(refused(|waiters| waiters.refuse_before(Term(2))), ["5 of 1", "6 of 1"]);
        assert_eq!(refused(|waiters| waiters.refuse_of(Term(2))), ["7 of 2"]);
    }

    #[test]
    fn who_begins_to_wait_when_the_leadership_is_over_already_is_refused_too() {
        let mut waiters = Waiters::default();
        let late = waiters.join(A, "late");
        waiters.refuse_before(Term(2));
        assert_eq!(waiters.take_told(), [], "Raft has not accepted it yet, and might in a later term");
        waiters.started(late, started(5, 1));
        assert_eq!(waiters.take_told(), [("late", Reply::WrongLeader)]);
        wait(&mut waiters, "in time", B, started(6, 2));
        assert_eq!(waiters.take_told(), []);
    }

    #[test]
    fn what_raft_does_not_accept_is_refused_and_leaves_nothing_behind() {
        let mut waiters = Waiters::default();
        let place = waiters.join(A, "one");
        wait(&mut waiters, "two", A, started(6, 1));
        waiters.refuse_place(place);
        assert_eq!(waiters.take_told(), [("one", Reply::WrongLeader)]);
        assert_eq!(waiters.len(), 1);
        waiters.tell(A, &Reply::Written);
        assert!(waiters.is_empty());
        assert_eq!(waiters.take_told().len(), 1);
        waiters.tell(A, &Reply::Written);
        assert_eq!(waiters.take_told(), [], "a result nobody waits for goes to nobody");
    }
}
